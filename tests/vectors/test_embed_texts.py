"""The cache of node vectors: found by what they depend on, rebuilt when damaged, never in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.matrices import Vectors
from kgzsl.vectors import TextEncoder, embed_texts, precomputed


class Lengths(TextEncoder):
    """Counts letters; knows no word with a z. Small enough to see through."""

    name = "lengths"
    source = "this test"
    calls = 0

    def __init__(self, digest: str = "d1") -> None:
        self._digest = digest

    @property
    def digest(self) -> str:
        return self._digest

    def meta(self) -> dict[str, Any]:
        return {"encoder": self.name, "model_digest": self.digest}

    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        type(self).calls += 1
        return np.array([[len(t), 1.0] for t in texts], np.float32), np.array(["z" not in t for t in texts])


@pytest.fixture
def graph() -> SimpleNamespace:
    return SimpleNamespace(ids=["cn:a", "cn:b"], labels=["ab", "cde"], texts=["gloss", ""])


def test_a_second_call_reads_the_cache(graph: SimpleNamespace, tmp_path: Path) -> None:
    Lengths.calls = 0
    first = embed_texts(graph, Lengths(), cache_dir=tmp_path)
    again = embed_texts(graph, Lengths(), cache_dir=tmp_path)
    assert Lengths.calls == 1 and again.ids == first.ids == ("cn:a", "cn:b")
    np.testing.assert_array_equal(again.matrix, [[9, 1], [3, 1]])
    assert again.meta["template"] == "{lemmas}: {gloss}" and again.meta["oov"]["out_of_vocabulary"] == 0


@pytest.mark.parametrize("change", ["text", "id", "template", "model", "policy"])
def test_any_change_of_an_input_is_another_entry(graph: SimpleNamespace, tmp_path: Path, change: str) -> None:
    embed_texts(graph, Lengths(), cache_dir=tmp_path)
    Lengths.calls = 0
    if change == "text":
        graph.texts = ["glosses", ""]
    if change == "id":
        graph.ids = ["cn:b", "cn:a"]
    options: dict[str, Any] = {"template": "{lemmas}"} if change == "template" else {"oov": "zero"} if change == "policy" else {}
    embed_texts(graph, Lengths("d2" if change == "model" else "d1"), cache_dir=tmp_path, **options)
    assert Lengths.calls == 1


@pytest.mark.parametrize("damage", ["matrix", "manifest", "missing"])
def test_a_damaged_entry_is_rebuilt_and_said(
    graph: SimpleNamespace, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    embed_texts(graph, Lengths(), cache_dir=tmp_path)
    (entry,) = tmp_path.iterdir()
    file = entry / {"matrix": "matrix.safetensors", "manifest": "manifest.json", "missing": "ids.txt"}[damage]
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-3] + b"xyz")
    np.testing.assert_array_equal(embed_texts(graph, Lengths(), cache_dir=tmp_path).matrix, [[9, 1], [3, 1]])
    assert "rebuilding a damaged cache entry" in capsys.readouterr().err
    embed_texts(graph, Lengths(), cache_dir=tmp_path)
    assert capsys.readouterr().err == ""


def test_out_of_vocabulary_nodes_leave_nothing_in_the_cache(graph: SimpleNamespace, tmp_path: Path) -> None:
    graph.labels = ["zebra", "cde"]
    with pytest.raises(InvalidInputError, match="1 of 2"):
        embed_texts(graph, Lengths(), cache_dir=tmp_path)
    assert not list(tmp_path.iterdir())
    assert embed_texts(graph, Lengths(), cache_dir=tmp_path, oov="mean").meta["oov"]["first"] == ["zebra: gloss"]


def test_a_cache_that_cannot_be_written_costs_only_time(graph: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    assert len(embed_texts(graph, Lengths(), cache_dir=blocked / "cache")) == 2
    assert "could not be cached" in capsys.readouterr().err


def test_precomputed_tables(tmp_path: Path) -> None:
    np.save(tmp_path / "m.npy", np.eye(3, dtype=np.float32))
    vectors = precomputed(tmp_path / "m.npy", ["cn:a", "cn:b", "cn:c"])
    assert isinstance(vectors, Vectors)
    vectors.save(tmp_path / "v")
    assert precomputed(tmp_path / "v", ["cn:c"]).matrix.tolist() == [[0, 0, 1]]
    with pytest.raises(InvalidInputError):
        precomputed(tmp_path / "m.npy", ["cn:a"])
    with pytest.raises(MissingDataError):
        precomputed(tmp_path / "absent.npy", ["cn:a"])
    np.save(tmp_path / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidInputError):
        precomputed(tmp_path / "object.npy", ["cn:a"])


def test_an_encoder_by_file_by_folder_and_by_wrong_name(graph: SimpleNamespace, tmp_path: Path) -> None:
    table = tmp_path / "mine.txt"
    table.write_text("ab 1 0\ncde 0 1\n", encoding="utf-8")
    vectors = embed_texts(graph, str(table), cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(vectors.matrix, [[1, 0], [0, 1]])
    assert vectors.meta["model"] == "mine.txt" and vectors.meta["template"] == "{lemmas}"
    with pytest.raises(UnknownNameError, match="minilm"):
        embed_texts(graph, "word2vec", cache_dir=tmp_path / "cache")
    with pytest.raises(InvalidInputError, match="folder"):
        embed_texts(graph, "sentence-transformers", cache_dir=tmp_path / "cache")


FULL_DISK = """
import resource, sys
from types import SimpleNamespace
from kgzsl.vectors import embed_texts
words = [f"w{i}" for i in range(500)]
open(sys.argv[1] + "/t.txt", "w").write("".join(f"{w} {' '.join('1' * 50)}\\n" for w in words))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # a write past this fails as on a full disk
graph = SimpleNamespace(ids=[f"cn:{w}" for w in words], labels=words, texts=words)
print(embed_texts(graph, sys.argv[1] + "/t.txt", cache_dir=sys.argv[1] + "/cache").matrix.shape)
"""


def test_a_full_disk_costs_the_cache_and_not_the_result(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(500, 50)" and "could not be cached" in done.stderr
    assert list((tmp_path / "cache").iterdir()) == []
