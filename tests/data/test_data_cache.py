"""Import, locate, verify, status; archives that try to leave the folder."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from kgzsl import data
from kgzsl.data import Catalogue
from kgzsl.errors import DigestMismatchError, InvalidInputError, MissingDataError, SourceError, UnknownNameError


def sha(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")}


def test_import_keeps_the_listed_files_only(cache: Path, archive: Path, catalogue: Catalogue) -> None:
    folder = data.import_file("tiny", archive, catalogue=catalogue)
    assert folder == cache / "tiny-1.0"
    kept = contents(folder)
    assert {k: v for k, v in kept.items() if k != "manifest.json"} == {"words.txt": b"dog\ncat\n", "sub/vectors.bin": bytes(range(256))}
    assert not list(cache.parent.rglob("escaped*"))
    assert data.locate("tiny", catalogue=catalogue) == folder
    assert [p.name for p in cache.iterdir()] == ["tiny-1.0"]


def test_missing_data_says_all_that_helps(cache: Path, catalogue: Catalogue) -> None:
    with pytest.raises(MissingDataError) as caught:
        data.locate("tiny", catalogue=catalogue)
    for word in ("tiny", "1.0", catalogue["tiny"].sha256, str(cache), "kgzsl data fetch tiny", "kgzsl data import tiny"):
        assert word in str(caught.value)


def test_another_archive_is_refused_and_nothing_is_kept(cache: Path, archive: Path, catalogue: Catalogue) -> None:
    raw = bytearray(archive.read_bytes())
    raw[40] ^= 1
    archive.write_bytes(raw)
    with pytest.raises(DigestMismatchError, match=catalogue["tiny"].sha256):
        data.import_file("tiny", archive, catalogue=catalogue)
    archive.write_bytes(b"")
    with pytest.raises(DigestMismatchError, match="0 bytes"):
        data.import_file("tiny", archive, catalogue=catalogue)
    with pytest.raises(InvalidInputError, match="must be a file"):
        data.import_file("tiny", archive.parent / "absent.whl", catalogue=catalogue)
    assert not cache.exists()


@pytest.mark.parametrize("same_time", [False, True])
def test_a_changed_cached_file_is_noticed(cache: Path, archive: Path, catalogue: Catalogue, same_time: bool) -> None:
    folder = data.import_file("tiny", archive, catalogue=catalogue)
    file = folder / "words.txt"
    before = file.stat()
    file.write_bytes(b"dog\nhat\n")  # same size
    if same_time:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DigestMismatchError, match=r"words\.txt"):
        data.locate("tiny", catalogue=catalogue)
    with pytest.raises(DigestMismatchError, match=r"words\.txt"):
        data.verify("tiny", catalogue=catalogue)
    assert [s.state for s in data.status(catalogue=catalogue)] == ["damaged"]
    data.import_file("tiny", archive, catalogue=catalogue)
    assert data.verify("tiny", catalogue=catalogue) == folder


def test_a_missing_cached_file_is_noticed_and_replaced(cache: Path, archive: Path, catalogue: Catalogue) -> None:
    folder = data.import_file("tiny", archive, catalogue=catalogue)
    (folder / "words.txt").unlink()
    (folder / "manifest.json").unlink()
    with pytest.raises(DigestMismatchError, match="missing"):
        data.locate("tiny", catalogue=catalogue)
    data.import_file("tiny", archive, catalogue=catalogue)
    assert (folder / "words.txt").read_bytes() == b"dog\ncat\n"


def test_status_lists_every_entry(cache: Path, archive: Path, catalogue: Catalogue) -> None:
    assert [(s.name, s.state) for s in data.status(catalogue=catalogue)] == [("tiny", "missing")]
    data.import_file("tiny", archive, catalogue=catalogue)
    (status,) = data.status(catalogue=catalogue)
    assert (status.state, status.path) == ("present", str(cache / "tiny-1.0"))


def test_the_catalogue_cannot_write_outside(archive: Path, make_catalogue: Callable[..., Catalogue]) -> None:
    for name in ("../words.txt", "/etc/words.txt", ""):
        with pytest.raises(InvalidInputError, match="inside the cache"):
            make_catalogue(archive, f'{{ member = "tiny_data/words.txt", name = "{name}", bytes = 8, sha256 = "{"0" * 64}" }}')


def test_wrong_members_are_refused(cache: Path, archive: Path, make_catalogue: Callable[..., Catalogue]) -> None:
    words = sha(b"dog\ncat\n")
    cases = [
        ("tiny_data/absent.txt", 8, words, SourceError, "absent.txt is not among"),
        ("tiny_data/words.txt", 7, words, DigestMismatchError, "read 8 bytes, promised 7"),
        ("tiny_data/words.txt", 9, words, DigestMismatchError, "promised 9"),
        ("tiny_data/words.txt", 8, "0" * 64, DigestMismatchError, "words.txt differs"),
    ]
    for member, size, digest, error, message in cases:
        listed = f'{{ member = "{member}", name = "words.txt", bytes = {size}, sha256 = "{digest}" }}'
        with pytest.raises(error, match=message):
            data.import_file("tiny", archive, catalogue=make_catalogue(archive, listed))
    assert not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "zip link"])
def test_links_are_never_followed(cache: Path, tmp_path: Path, make_catalogue: Callable[..., Catalogue], kind: str) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"dog\ncat\n")
    if kind == "zip link":
        path = tmp_path / "links-1.0-py3-none-any.whl"
        info = zipfile.ZipInfo("pkg/words.txt")
        info.external_attr = 0o120777 << 16
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(info, str(secret))
    else:
        path = tmp_path / "links-1.0.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            regular = tarfile.TarInfo("pkg/other.txt")
            regular.size = 8
            tar.addfile(regular, io.BytesIO(b"dog\ncat\n"))
            link = tarfile.TarInfo("pkg/words.txt")
            link.type, link.linkname = (tarfile.SYMTYPE, str(secret)) if kind == "symbolic link" else (tarfile.LNKTYPE, "pkg/other.txt")
            tar.addfile(link)
    listed = f'{{ member = "pkg/words.txt", name = "words.txt", bytes = 8, sha256 = "{sha(secret.read_bytes())}" }}'
    catalogue = make_catalogue(path, listed, "wheel" if kind == "zip link" else "sdist")
    with pytest.raises(SourceError, match="link"):
        data.import_file("tiny", path, catalogue=catalogue)


def test_a_file_that_is_no_archive_is_refused(cache: Path, tmp_path: Path, make_catalogue: Callable[..., Catalogue]) -> None:
    for name, kind in (("a.whl", "wheel"), ("a.tar.gz", "sdist")):
        path = tmp_path / name
        path.write_bytes(b"<html>not found</html>")
        with pytest.raises(SourceError, match="readable"):
            data.import_file("tiny", path, catalogue=make_catalogue(path, None, kind))


def test_wordnet_by_environment(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGZSL_WORDNET", str(tmp_path))
    with pytest.raises(MissingDataError, match="KGZSL_WORDNET"):
        data.locate("wordnet-3.0")
    (tmp_path / "data.noun").write_text("x", encoding="utf-8")
    assert data.locate("wordnet-3.0") == tmp_path


def test_wordnet_in_nltk_data(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nltk_data = pytest.importorskip("nltk.data")
    monkeypatch.setattr(nltk_data, "path", [str(tmp_path / "packed"), str(tmp_path / "nltk_data")])
    monkeypatch.setattr("kgzsl.data.cache._DEBIAN_WORDNET", tmp_path / "debian")
    (tmp_path / "packed" / "corpora").mkdir(parents=True)
    (tmp_path / "packed" / "corpora" / "wordnet.zip").write_bytes(b"PK")
    with pytest.raises(MissingDataError, match=r"wordnet\.zip .*unzip it"):
        data.locate("wordnet-3.0")
    folder = tmp_path / "nltk_data" / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    (folder / "data.noun").write_text("x", encoding="utf-8")
    assert data.locate("wordnet-3.0") == folder


def test_unknown_names_list_the_choices(cache: Path) -> None:
    for function in (data.locate, data.verify, data.fetch):
        with pytest.raises(UnknownNameError, match=r"choose from: .*wordnet-3\.0"):
            function("wordnet")


def test_the_shipped_catalogue_is_whole() -> None:
    catalogue = data.load_catalogue()
    assert {s.name for s in catalogue} >= {
        "wordnet-3.0",
        "imagenet-classes",
        "glove-6b-50d",
        "minilm-l6-v2",
        "efficientnet-lite0",
        "efficientnet-lite2",
    }
    for source in catalogue:
        assert source.licence
        assert source.use
        assert source.files
        assert source.folder.endswith(source.version)
        for digest in (source.sha256, *(f.sha256 for f in source.files)):
            assert len(bytes.fromhex(digest)) == 32


def test_a_bad_catalogue_file_is_refused(tmp_path: Path) -> None:
    for text in ("[tiny", "[tiny]\nversion = '1'\n", "[tiny]\ncolour = 'red'\n"):
        (tmp_path / "bad.toml").write_text(text, encoding="utf-8")
        with pytest.raises(InvalidInputError, match=r"bad\.toml"):
            data.load_catalogue(tmp_path / "bad.toml")


def test_benchmark_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KGZSL_DATA", raising=False)
    with pytest.raises(MissingDataError, match="KGZSL_DATA=/path"):
        data.benchmark_path("imagenet")
    monkeypatch.setenv("KGZSL_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match="imagenet does not exist"):
        data.benchmark_path("imagenet")
    (tmp_path / "imagenet").mkdir()
    assert data.benchmark_path("imagenet") == tmp_path / "imagenet"


def test_two_processes_may_import_at_once(cache: Path, archive: Path, tmp_path: Path, catalogue: Catalogue) -> None:
    code = (
        "import sys; from pathlib import Path; from kgzsl import data; "
        "print(data.import_file('tiny', sys.argv[1], catalogue=data.load_catalogue(Path(sys.argv[2]))))"
    )
    command = [sys.executable, "-c", code, str(archive), str(tmp_path / "sources.toml")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(4)]
    assert [p.wait() for p in started] == [0] * 4, b"".join(p.stderr.read() for p in started if p.stderr)
    data.verify("tiny", catalogue=catalogue)
    assert [p.name for p in cache.iterdir()] == ["tiny-1.0"]
