"""Artifacts are whole or absent, and a changed byte is an error."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from kgzsl.artifacts import atomic_directory, atomic_file, read_manifest, write_manifest
from kgzsl.errors import ArtifactError, DigestMismatchError, InvalidInputError
from kgzsl.matrices import ClassEmbeddings, Vectors


def _vectors(rows: int = 3) -> Vectors:
    return Vectors(
        tuple(f"wn30:n0000000{i}" for i in range(rows)), np.arange(rows * 4, dtype=np.float32).reshape(rows, 4), {"model": "real"}
    )


def test_round_trip_keeps_every_bit(tmp_path):
    vectors = _vectors()
    again = Vectors.load(vectors.save(tmp_path / "v"))
    assert again.ids == vectors.ids and again.meta == vectors.meta
    np.testing.assert_array_equal(again.matrix, vectors.matrix)


def test_same_content_same_bytes(tmp_path):
    first, second = _vectors().save(tmp_path / "a"), _vectors().save(tmp_path / "b")
    assert {p.name: p.read_bytes() for p in first.iterdir()} == {p.name: p.read_bytes() for p in second.iterdir()}


def test_an_exception_leaves_nothing_behind(tmp_path):
    with pytest.raises(RuntimeError), atomic_directory(tmp_path / "a") as folder:
        (folder / "half").write_text("x")
        raise RuntimeError("power cut")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_old_artifact_whole(tmp_path, monkeypatch):
    path = _vectors().save(tmp_path / "v")
    before = {p.name: p.read_bytes() for p in path.iterdir()}
    original = Path.write_text

    def full(self, *args, **kwargs):
        if self.name == "manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ArtifactError, match="No space left"):
        _vectors(2).save(path, overwrite=True)
    assert {p.name: p.read_bytes() for p in path.iterdir()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["v"]


def test_nothing_is_overwritten_unasked(tmp_path):
    path = _vectors().save(tmp_path / "v")
    with pytest.raises(InvalidInputError, match="overwrit"):
        _vectors(2).save(path)
    assert len(Vectors.load(path)) == 3
    _vectors(2).save(path, overwrite=True)
    assert len(Vectors.load(path)) == 2


def test_a_folder_that_is_no_artifact_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"...")
    with pytest.raises(InvalidInputError, match="only an artifact"):
        _vectors().save(tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "cat.jpg").exists()


@pytest.mark.parametrize("name", ["ids.txt", "matrix.safetensors"])
def test_a_changed_file_is_a_digest_mismatch(tmp_path, name):
    path = _vectors().save(tmp_path / "v")
    content = bytearray((path / name).read_bytes())
    content[-1] ^= 1
    (path / name).write_bytes(content)
    with pytest.raises(DigestMismatchError, match=name):
        Vectors.load(path)


def test_a_changed_manifest_is_a_digest_mismatch(tmp_path):
    path = _vectors().save(tmp_path / "v")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["meta"]["model"] = "another"
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DigestMismatchError):
        Vectors.load(path)


def test_a_truncated_file_is_refused(tmp_path):
    path = _vectors().save(tmp_path / "v")
    (path / "matrix.safetensors").write_bytes((path / "matrix.safetensors").read_bytes()[:20])
    with pytest.raises(DigestMismatchError):
        Vectors.load(path)
    with pytest.raises(ArtifactError):  # also when digests are not looked at
        Vectors.load(path, verify=False)


def test_foreign_kinds_missing_files_and_newer_formats_are_refused(tmp_path):
    path = _vectors().save(tmp_path / "v")
    with pytest.raises(ArtifactError, match="kind 'vectors'"):
        ClassEmbeddings.load(path)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        Vectors.load(tmp_path)
    (path / "ids.txt").unlink()
    with pytest.raises(ArtifactError, match="missing"):
        Vectors.load(path)
    newer = tmp_path / "newer"
    newer.mkdir()
    write_manifest(newer, "vectors", {})
    text = (newer / "manifest.json").read_text().replace('"format_version": 1', '"format_version": 99')
    (newer / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match="99"):
        read_manifest(newer, "vectors")


def test_a_manifest_cannot_point_outside_its_folder(tmp_path):
    from kgzsl.artifacts import digest

    folder = tmp_path / "evil"
    folder.mkdir()
    (tmp_path / "secret").write_text("x")
    body = {"kind": "vectors", "format_version": 1, "files": {"../secret": "0" * 64}}
    (folder / "manifest.json").write_text(json.dumps({**body, "digest": digest(body)}))
    with pytest.raises(ArtifactError, match="inside its folder"):
        read_manifest(folder, "vectors")


def test_atomic_file_keeps_the_old_content_on_failure(tmp_path):
    target = tmp_path / "r.json"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
