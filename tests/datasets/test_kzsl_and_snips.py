"""Splits of K-ZSL and the SNIPS intents."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgzsl.datasets import KZSL_COUNTS, SNIPS_COUNTS, TextSet, hop_sets, kzsl_names, kzsl_split, read_feature_set, read_snips, train_ids
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings

needs_data = [pytest.mark.data, pytest.mark.skipif(not os.environ.get("KGZSL_DATA"), reason="KGZSL_DATA is not set")]


class TestBenchmarks:
    pytestmark = needs_data

    @pytest.mark.parametrize("name", KZSL_COUNTS)
    def test_kzsl_splits_have_the_published_counts_and_a_name_per_class(self, name: str) -> None:
        split = kzsl_split(name)
        assert (len(split.seen), len(split.unseen)) == KZSL_COUNTS[name][1:]
        assert sorted(kzsl_names(name)) == sorted(split.classes) and all(kzsl_names(name).values())

    @pytest.mark.parametrize("name", ["ImNet-A", "ImNet-O"])
    def test_imagenet_backbones_know_the_seen_classes_and_none_of_the_unseen(self, name: str) -> None:
        split = kzsl_split(name)
        try:
            known = set(train_ids())
        except MissingDataError as error:
            pytest.skip(str(error))
        assert set(split.seen) <= known and not set(split.unseen) & known
        assert set(split.unseen) <= set(hop_sets()["All"])

    def test_snips_has_its_sentences_and_zsl_kgs_unseen_intents(self) -> None:
        found = read_snips()
        assert len(found) == 13_802 and found.split.unseen == ("snips:book", "snips:playlist") and len(found.split.seen) == 5
        assert {part: len(found.of_part(part)) for part in SNIPS_COUNTS} == {"train": 5_974, "dev": 3_914, "test": 3_914}
        assert found.texts[found.ids.index("snips-train-5")] == "tell me the weather forecast for croatia now"
        assert {found.labels[found.ids.index(i)] for i in found.of_part("test")} == set(found.split.unseen)

    def test_sentences_become_feature_rows(self) -> None:
        found = read_snips()
        # what a sentence encoder would give is stood in for by two real measures of every sentence
        vectors = np.array([[len(text), len(text.split())] for text in found.texts])
        embeddings = ClassEmbeddings(ids=found.split.classes, matrix=np.eye(7))
        rows = found.feature_set(vectors, embeddings, {"backbone": "lengths"})
        assert rows.counts()["train"] == 5_974 + 3_914 and rows.counts()["test_unseen"] == 3_914
        assert rows.with_test_seen().counts()["test_seen"] == pytest.approx(0.2 * 9_888, abs=3)

    def test_snips_by_name_has_its_published_counts_and_vectors_of_one_space(self) -> None:
        found, other = read_feature_set("snips"), read_feature_set("snips", semantics="text")
        want = {"rows": 13_802, "seen": 5, "unseen": 2, "train": 9_888, "test_unseen": 3_914}
        assert dict(found.published) == want and want.items() <= found.counts().items()
        assert found.features.dim == found.embeddings.dim == 384 and found.features.meta["recipe"]["backbone"] == "all-MiniLM-L6-v2"
        np.testing.assert_allclose(np.linalg.norm(found.features.matrix, axis=1), 1, atol=1e-5)
        assert found.digest == read_feature_set("snips").digest != other.digest
        # far above chance without a label of either intent
        scores = found.test_unseen.matrix @ found.embeddings.rows(found.split.unseen).T
        assert (np.array(found.split.unseen)[scores.argmax(axis=1)] == np.array(found.test_unseen.labels)).mean() > 0.7
        with pytest.raises(InvalidInputError, match="label, text"):
            read_feature_set("snips", semantics="attributes")

    def test_snips_that_lost_a_line_is_refused(self, tmp_path: Path) -> None:
        source = Path(os.environ["KGZSL_DATA"]) / "text" / "snips"
        for part in SNIPS_COUNTS:
            (tmp_path / f"{part}.txt").write_bytes((source / f"{part}.txt").read_bytes())
        (tmp_path / "dev.txt").write_text("\n".join((source / "dev.txt").read_text(encoding="utf-8").split("\n")[1:]), encoding="utf-8")
        with pytest.raises(InvalidInputError, match=r"others in dev: .*1953"):
            read_snips(tmp_path)


@pytest.fixture
def kzsl_folder(tmp_path: Path) -> Path:
    """ImNet-O's layout and counts, with made-up ids."""
    ids = [f"n{i:08d}" for i in range(35)]
    content = {"seen": {i: f"dish {i}" for i in ids[:10]}, "unseen": {i: f"dish {i}" for i in ids[10:]}}
    (tmp_path / "ImNet_O").mkdir()
    (tmp_path / "ImNet_O" / "class.json").write_text(json.dumps(content))
    (tmp_path / "ImNet_O_split.json").write_text(json.dumps({part: list(names) for part, names in content.items()}))
    return tmp_path


def other_counts(content: dict[str, Any]) -> None:
    content["unseen"].pop("n00000034")


def leak(content: dict[str, Any]) -> None:
    content["unseen"].pop("n00000034")
    content["unseen"]["n00000000"] = "dish"


def list_instead(content: dict[str, Any]) -> None:
    content["seen"] = list(content["seen"])


def other_class(content: dict[str, Any]) -> None:
    content["seen"]["n00000077"] = content["seen"].pop("n00000000")


def not_an_id(content: dict[str, Any]) -> None:
    content["seen"]["pizza"] = content["seen"].pop("n00000000")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_counts, "received: 10 and 24"),
        (leak, "1 are both: wn30:n00000000"),
        (list_instead, "seen is not one"),
        (other_class, "name the same seen classes"),
        (not_an_id, "an id is a CURIE"),
    ],
)
def test_a_split_that_is_not_the_published_one_is_refused(kzsl_folder: Path, spoil: Any, message: str) -> None:
    assert len(kzsl_split("ImNet-O", kzsl_folder).unseen) == 25
    content = json.loads((kzsl_folder / "ImNet_O" / "class.json").read_text())
    spoil(content)
    (kzsl_folder / "ImNet_O" / "class.json").write_text(json.dumps(content))
    with pytest.raises(KgzslError, match=message):
        kzsl_split("ImNet-O", kzsl_folder)


def test_missing_kzsl_files_and_unknown_names_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"\$KGZSL_DATA/kzsl/ImNet_A/class\.json"):
        kzsl_split("ImNet-A", tmp_path)
    with pytest.raises(UnknownNameError, match="AwA, ImNet-A, ImNet-O"):
        kzsl_names("ImNet-B", tmp_path)


@pytest.mark.parametrize("line", ["weather", "weather\t", "\twhat is it", "two words\tand more"])
def test_a_line_without_an_intent_and_a_sentence_is_refused(tmp_path: Path, line: str) -> None:
    for part in SNIPS_COUNTS:
        (tmp_path / f"{part}.txt").write_text(f"music\tplay it\n{line}\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"an intent, a tab and a sentence\n  received: .* as line 2"):
        read_snips(tmp_path)


def test_few_sentences_intents_in_two_parts_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"\$KGZSL_DATA/text/snips/train\.txt"):
        read_snips(tmp_path)
    for part, intents in SNIPS_COUNTS.items():
        (tmp_path / f"{part}.txt").write_text("".join(f"{intent}\tdo it\n" for intent in intents), encoding="utf-8")
    with pytest.raises(InvalidInputError, match="published sentences per intent"):
        read_snips(tmp_path)
    (tmp_path / "test.txt").write_text("music\tplay it\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="1 are both: snips:music"):
        read_snips(tmp_path)


def test_a_text_set_is_even_and_knows_its_parts(tmp_path: Path) -> None:
    from kgzsl.datasets import Split

    split = Split("t", "1", ("t:a",), ("t:b",))
    found = TextSet("t", "1", ("1", "2"), ("x", "y"), ("t:a", "t:b"), ("train", "test"), split)
    assert found.of_part("test") == ("2",) and found.counts() == {"train": {"t:a": 1}, "test": {"t:b": 1}}
    with pytest.raises(UnknownNameError, match="train, test"):
        found.of_part("dev")
    with pytest.raises(InvalidInputError, match="2 ids, 1 texts"):
        TextSet("t", "1", ("1", "2"), ("x",), ("t:a", "t:b"), ("train", "test"), split)
