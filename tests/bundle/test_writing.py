"""Artifacts on a full disk, two processes at one target, ids that are no lines."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from kgzsl.artifacts import atomic_directory, check_target, write_manifest
from kgzsl.errors import ArtifactError, InvalidInputError
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.workspace import Workspace


def folder_of(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in path.iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="limits on file sizes are a Unix thing")
def test_a_full_disk_is_told_in_words_and_changes_nothing(tmp_path):
    """A limit on file sizes stands for the full disk; safetensors reports it with an error of its own."""
    code = """
        import resource, signal, sys
        import numpy as np
        from kgzsl.encoders import NearestText
        from kgzsl.errors import ArtifactError
        from kgzsl.experiments.results import write_result
        from kgzsl.experiments import results
        from kgzsl.matrices import ClassEmbeddings
        path = sys.argv[1]
        small, big = ClassEmbeddings(("a",), np.ones((1, 2))), ClassEmbeddings(("a",), np.ones((1, 50_000)))
        small.save(path + "/old")
        encoder = NearestText()
        encoder.load_state({"texts": big.matrix, "weights": big.matrix, "k": np.array([1])})
        results.check = lambda result, where: result
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        for write in (
            lambda: big.save(path + "/old", overwrite=True),
            lambda: encoder.save(path + "/new"),
            lambda: write_result({"long": "x" * 50_000}, path + "/new.json"),
        ):
            try:
                write()
            except ArtifactError as error:
                print(error)
        assert ClassEmbeddings.load(path + "/old").dim == 2
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("whole or not at all") == done.stdout.count("nothing was changed") == 3
    assert [p.name for p in tmp_path.iterdir()] == ["old"]


def test_what_another_process_wrote_meanwhile_is_never_replaced_unasked(tmp_path):
    mine, theirs = ClassEmbeddings(("a",), np.ones((1, 2))), ClassEmbeddings(("b",), np.ones((1, 3)))
    with pytest.raises(ArtifactError, match="another process wrote meanwhile"), atomic_directory(tmp_path / "e") as folder:
        mine._write(folder)
        theirs.save(tmp_path / "e")
    assert [p.name for p in tmp_path.iterdir()] == ["e"] and ClassEmbeddings.load(tmp_path / "e").ids == ("b",)
    with atomic_directory(tmp_path / "f", overwrite=True) as folder:
        mine._write(folder)
        write_manifest(folder, "embeddings", {"meta": {}})
        theirs.save(tmp_path / "f")
    assert ClassEmbeddings.load(tmp_path / "f").ids == ("a",)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e", "f"]


def test_targets_are_checked_before_work(tmp_path):
    check_target(tmp_path / "new")
    path = ClassEmbeddings(("a",), np.ones((1, 2))).save(tmp_path / "e")
    check_target(path, overwrite=True)
    with pytest.raises(InvalidInputError, match="--overwrite"):
        check_target(path)
    with pytest.raises(InvalidInputError, match="only an artifact"):
        check_target(tmp_path, overwrite=True)


@pytest.mark.parametrize("torn", ["a\nb", "a\rb"])
def test_an_id_is_one_line(tmp_path, torn):
    for matrix in (ClassEmbeddings((torn,), np.ones((1, 2))), Features(("x",), np.ones((1, 2)), labels=(torn,))):
        with pytest.raises(InvalidInputError, match="one line"):
            matrix.save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_features_without_their_labels_file_are_refused(tmp_path):
    path = ClassEmbeddings(("a",), np.ones((1, 2))).save(tmp_path / "f")
    (path / "manifest.json").unlink()
    write_manifest(path, "features", {"meta": {}})
    with pytest.raises(ArtifactError, match=r"labels\.txt"):
        Features.load(path)


def test_two_processes_share_one_graph(tmp_path, world, monkeypatch):
    """The one that comes second takes the graph that the first put there."""
    import kgzsl.graphs.compile as compile_module
    import kgzsl.testing

    recipe = str(Path(kgzsl.testing.__file__).parent / "recipes" / "carnivores.yaml")
    workspace, original = Workspace(tmp_path), compile_module._compile

    def slow(checked, engine):
        monkeypatch.setattr(compile_module, "_compile", original)
        Workspace(tmp_path).graph(recipe)
        return original(checked, engine)

    monkeypatch.setattr(compile_module, "_compile", slow)
    assert workspace.graph(recipe).digest == world.graph.digest
    (path,) = tmp_path.iterdir()
    before = folder_of(path)
    assert Workspace(tmp_path).graph(recipe).digest == world.graph.digest and folder_of(path) == before
