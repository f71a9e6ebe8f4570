"""GloVe: against a slow, independent averaging of the packaged table, and every way a table can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from kgzsl.data import locate
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.vectors import GloVe


@pytest.fixture(scope="module")
def table() -> dict[str, np.ndarray]:
    try:
        folder = locate("glove-6b-50d")
    except MissingDataError as error:
        pytest.skip(str(error))
    words = pq.read_table(folder / "glove_6B_index.parquet")
    matrix = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    return {word: np.asarray(matrix[place], float) for place, word in enumerate(words.column("index").to_pylist()[:60_000])}


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def test_a_row_is_the_unit_mean_over_lemmas_of_the_mean_over_words(table: dict[str, np.ndarray]) -> None:
    found = GloVe().encode(["Dog, domestic dog", "guinea-pig", "tiger"])
    domestic_dog = (table["domestic"] + table["dog"]) / 2
    np.testing.assert_allclose(found[0], unit((table["dog"] + domestic_dog) / 2), atol=1e-6)
    np.testing.assert_allclose(found[2], unit(table["tiger"]), atol=1e-6)
    hyphenated = table.get("guinea-pig", (table["guinea"] + table["pig"]) / 2)
    np.testing.assert_allclose(found[1], unit(hyphenated), atol=1e-6)


def test_unknown_lemmas_leave_the_known_ones(table: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(GloVe().encode(["zzqqx, dog"])[0], unit(table["dog"]), atol=1e-6)


def test_out_of_vocabulary_is_an_error_unless_a_policy_is_chosen(table: dict[str, np.ndarray]) -> None:
    texts = ["dog", *(f"zzqqx{i}" for i in range(7)), "cat"]
    with pytest.raises(InvalidInputError, match=r"7 of 9 texts.*'zzqqx0'.*\+2 more"):
        GloVe().encode(texts)
    zero, counts = GloVe().encode_with_counts(texts, oov="zero")
    assert not zero[1:8].any() and counts["out_of_vocabulary"] == 7 and counts["first"] == texts[1:6]
    mean = GloVe().encode(texts, oov="mean")
    np.testing.assert_allclose(mean[1:8], np.tile((mean[0] + mean[8]) / 2, (7, 1)), atol=1e-6)
    with pytest.raises(InvalidInputError, match="policy"):
        GloVe().encode(texts, oov="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("header", ["", "3 4\n"])
def test_text_files_with_and_without_a_word2vec_header(tmp_path: Path, header: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_text(header + "dog 1 0 0 0\nsea lion 0 2 0 0\ncat 0 0 3 0 \n", encoding="utf-8")
    found = GloVe(path).encode(["dog", "sea lion, cat"])
    np.testing.assert_allclose(found[0], [1, 0, 0, 0])
    expected = [0, 2, 3, 0] if header else None  # the header gives the width, without which a word cannot hold a space
    if expected:
        np.testing.assert_allclose(found[1], np.array(expected) / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize(
    "content",
    [b"", b"dog 1 2 3\ncat 1 2\n", b"dog 1 2 x\n", b"dog 1 nan 3\n", b"\xff\xfe\x00dog", b"dog\n"],
    ids=["empty", "ragged", "not a number", "nan", "binary", "no values"],
)
def test_a_table_that_is_not_one_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(SourceError):
        GloVe(path).encode(["dog", "cat"], oov="zero")


def test_a_missing_table_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError):
        GloVe(tmp_path / "absent.txt")
