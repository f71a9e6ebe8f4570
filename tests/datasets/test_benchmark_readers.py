"""CUB and AwA1 as they lie on disk; copies that were tampered with are refused."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgzsl.datasets import FEATURE_SETS, Awa1, Cub, FeatureSet, kzsl_names, kzsl_split, list_feature_sets, read_feature_set
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources.class_names import awa_ids, cub_ids

needs_data = [pytest.mark.data, pytest.mark.skipif(not os.environ.get("KGZSL_DATA"), reason="KGZSL_DATA is not set")]


def unseen_accuracy(found: FeatureSet) -> float:
    """Per-class top-1 of a closed-form bilinear classifier (ESZSL's form) among the unseen classes.

    Only rows, labels and class semantics that are joined rightly give more than chance.
    """
    x, mean, scale = found.train.matrix, found.train.matrix.mean(axis=0), found.train.matrix.std(axis=0) + 1e-6
    x = ((x - mean) / scale).astype(np.float64)
    centre = found.embeddings.rows(found.split.seen).mean(axis=0)
    seen, unseen = (found.embeddings.rows(ids).astype(np.float64) - centre for ids in (found.split.seen, found.split.unseen))
    seen, unseen = (s / np.linalg.norm(s, axis=1, keepdims=True) for s in (seen, unseen))
    truth = np.where(np.array(found.train.labels)[:, None] == np.array(found.split.seen), 1.0, -1.0)
    left = np.linalg.solve(x.T @ x + len(x) * np.eye(x.shape[1]), x.T @ truth @ seen)
    bilinear = left @ np.linalg.inv(seen.T @ seen + np.eye(seen.shape[1]))
    tested = found.test_unseen
    answers = np.array(found.split.unseen)[np.argmax(((tested.matrix - mean) / scale) @ bilinear @ unseen.T, axis=1)]
    labels = np.array(tested.labels)
    return float(np.mean([np.mean(answers[labels == c] == c) for c in found.split.unseen]))


class TestBenchmarks:
    pytestmark = needs_data

    def test_cub_has_its_published_counts_and_classes(self) -> None:
        found = read_feature_set("cub")
        assert found.counts() | {"train": 0} == {
            "rows": 11_788,
            "dim": 1_000,
            "seen": 150,
            "unseen": 50,
            "embedding_dim": 312,
            "train": 0,
            "test_seen": 0,
            "test_unseen": 2_933,
        }
        assert "cub:Black_footed_Albatross" in found.split.unseen and "cub:Laysan_Albatross" in found.split.seen
        assert found.embeddings.matrix.max() == 100 and len(found.embeddings.meta["columns"]) == 312
        # Laysan albatross: the published file's second line begins 4.41 4.41 2.94
        np.testing.assert_allclose(found.embeddings.rows(["cub:Laysan_Albatross"])[0, :3], [4.41176, 4.41176, 2.94118], rtol=1e-5)

    def test_held_out_cub_keeps_a_fifth_of_every_seen_class_for_the_test(self) -> None:
        found = read_feature_set("cub").with_test_seen().validate()
        tested, trained = (np.unique(f.labels, return_counts=True)[1] for f in (found.test_seen, found.train))
        assert len(tested) == len(trained) == 150
        np.testing.assert_allclose(tested / (tested + trained), 0.2, atol=0.02)

    def test_the_proposed_split_of_cub_has_other_unseen_classes_and_its_own_rows(self) -> None:
        standard, proposed = Cub().read(), Cub(split="proposed").read()
        assert (proposed.counts()["train"], proposed.counts()["test_seen"], proposed.counts()["test_unseen"]) == (7_057, 1_764, 2_967)
        assert len(set(standard.split.unseen) & set(proposed.split.unseen)) == 18
        assert len({standard.digest, proposed.digest, Cub(semantics="sentences").read().digest}) == 3

    @pytest.mark.parametrize(("name", "least"), [("cub", 0.5), ("cub-sentences", 0.6), ("cub-proposed", 0.5), ("awa1", 0.15)])
    def test_rows_labels_and_semantics_line_up_so_that_unseen_classes_are_found(self, name: str, least: float) -> None:
        """Chance is 0.02 on CUB and 0.1 on AwA1, whose descriptor is weak."""
        assert unseen_accuracy(read_feature_set(name)) > least

    def test_awa1_has_its_published_counts_on_both_splits(self) -> None:
        standard, proposed = Awa1().read(), Awa1(split="proposed").read()
        for found, unseen in ((standard, 6_180), (proposed, 5_685)):
            counts = found.counts()
            assert (counts["rows"], counts["dim"], counts["seen"], counts["unseen"], counts["embedding_dim"]) == (30_475, 252, 40, 10, 85)
            assert counts["test_unseen"] == unseen and counts["train"] == 30_475 - unseen
        assert "awa:giant+panda" in standard.split.unseen and "awa:giant+panda" in proposed.split.seen
        assert set(np.unique(Awa1(attributes="binary").read().embeddings.matrix)) == {0, 1}

    def test_the_proposed_unseen_animals_are_those_of_kzsl(self) -> None:
        names = kzsl_names("AwA")
        assert {f"awa:{names[i]}" for i in kzsl_split("AwA").unseen} == set(Awa1(split="proposed").read().split.unseen)

    def test_a_label_file_that_counts_from_one_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "awa1"
        shutil.copytree(Awa1().folder.file("classes.txt").parent, root)
        content = np.load(root / "phog.npz", allow_pickle=False)
        (root / "phog.npz").chmod(0o644)
        root.chmod(0o755)
        np.savez(root / "phog.npz", X=content["X"], y=content["y"] + 1)
        with pytest.raises(InvalidInputError, match=r"0 … 49, counting from 0"):
            Awa1(root).read()

    def test_a_folder_that_lost_a_row_is_refused(self, tmp_path: Path) -> None:
        root = tmp_path / "awa1"
        shutil.copytree(Awa1().folder.file("classes.txt").parent, root)
        content = np.load(root / "phog.npz", allow_pickle=False)
        (root / "phog.npz").chmod(0o644)
        root.chmod(0o755)
        np.savez(root / "phog.npz", X=content["X"][1:], y=content["y"][1:])
        with pytest.raises(InvalidInputError, match="rows 30,474, not 30,475"):
            Awa1(root).read()


@pytest.fixture
def tiny_cub(tmp_path: Path) -> Path:
    """Three birds in the layout of `cub/`: enough for everything but the published counts."""
    names = ["001.Crow", "002.Gull", "003.Wren"]
    (tmp_path / "classes.txt").write_text("".join(f"{n} {name}\n" for n, name in enumerate(names, 1)))
    (tmp_path / "images.txt").write_text("".join(f"{n} {names[(n - 1) // 2]}/{n}.jpg\n" for n in range(1, 7)))
    (tmp_path / "standard_split_unseen_classes.txt").write_text("003.Wren\n")
    (tmp_path / "class_attribute_labels_continuous.txt").write_text("1 2\n3 4\n5 6\n")
    np.savez(tmp_path / "resnet_logits.npz", X=np.arange(12, dtype=np.float16).reshape(6, 2), y=np.array([0, 0, 1, 1, 2, 2]))
    return tmp_path


def one_based(root: Path) -> None:
    np.savez(root / "resnet_logits.npz", X=np.ones((6, 2)), y=np.array([1, 1, 2, 2, 3, 3]))


def other_order(root: Path) -> None:
    np.savez(root / "resnet_logits.npz", X=np.ones((6, 2)), y=np.array([0, 1, 0, 1, 2, 2]))


def pickled(root: Path) -> None:
    np.savez(root / "resnet_logits.npz", X=np.array([{"a": 1}], dtype=object), y=np.array([0]))


def words(root: Path) -> None:
    np.savez(root / "resnet_logits.npz", X=np.array([["a", "b"]] * 6), y=np.array([0, 0, 1, 1, 2, 2]))


def an_array_alone(root: Path) -> None:
    with open(root / "resnet_logits.npz", "wb") as stream:
        np.save(stream, np.ones((6, 2)))


def truncated(root: Path) -> None:
    (root / "resnet_logits.npz").write_bytes((root / "resnet_logits.npz").read_bytes()[:100])


def without_labels(root: Path) -> None:
    np.savez(root / "resnet_logits.npz", X=np.ones((6, 2)))


def renumbered(root: Path) -> None:
    (root / "classes.txt").write_text("0 001.Crow\n1 002.Gull\n2 003.Wren\n")


def unnumbered(root: Path) -> None:
    (root / "classes.txt").write_text("Crow\nGull\nWren\n")


def not_text(root: Path) -> None:
    (root / "classes.txt").write_bytes(b"\xff\xfe\x00")


def fewer_images(root: Path) -> None:
    (root / "images.txt").write_text("1 001.Crow/1.jpg\n")


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (one_based, InvalidInputError, "0 … 2, counting from 0"),
        (other_order, SourceError, "lies in the folder of its class"),
        (pickled, SourceError, "without pickles"),
        (words, SourceError, "`X` of resnet_logits.npz is a dense array of real numbers"),
        (an_array_alone, SourceError, "resnet_logits.npz holds"),
        (truncated, SourceError, "resnet_logits.npz holds"),
        (without_labels, SourceError, "resnet_logits.npz holds"),
        (renumbered, SourceError, "from 1, each number once"),
        (unnumbered, SourceError, "from 1, each number once"),
        (not_text, SourceError, "UTF-8"),
        (fewer_images, SourceError, "one feature row per image"),
        (lambda root: None, SourceError, "200 lines of 312 numbers"),  # whole, and not CUB
    ],
)
def test_a_folder_that_is_not_cub_is_refused(tiny_cub: Path, spoil: Any, error: type[KgzslError], message: str) -> None:
    spoil(tiny_cub)
    with pytest.raises(error, match=message):
        Cub(tiny_cub).read()


@pytest.mark.parametrize("file", ["classes.txt", "images.txt", "resnet_logits.npz", "class_attribute_labels_continuous.txt"])
def test_a_missing_file_is_named_with_its_place(tiny_cub: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tiny_cub / file).unlink()
    if "attribute" in file:
        with pytest.raises(MissingDataError, match=r"\$KGZSL_DATA/cub/class_attribute_labels_continuous\.txt"):
            Cub(tiny_cub)._attributes(("cub:Crow",))
        return
    with pytest.raises(MissingDataError, match=rf"\$KGZSL_DATA/cub/{file}"):
        Cub(tiny_cub).read()


@pytest.mark.parametrize("name", ["cub", "cub-sentences", "cub-proposed", "awa1", "awa1-proposed", "awa2", "snips", "xlsa17-flo"])
def test_without_the_data_every_reader_says_which_file_goes_where(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KGZSL_DATA", raising=False)
    with pytest.raises(MissingDataError, match=r"KGZSL_DATA is not set\n  remedy: put the published file at \$KGZSL_DATA/"):
        read_feature_set(name)
    monkeypatch.setenv("KGZSL_DATA", str(tmp_path))
    with pytest.raises(MissingDataError, match=f"not in {tmp_path}"):
        read_feature_set(name)


def test_class_names_that_are_not_the_published_ones_are_refused() -> None:
    assert cub_ids(["001.Black_footed_Albatross"]) == ("cub:Black_footed_Albatross",)
    assert awa_ids(["polar+bear"]) == ("awa:polar+bear",)
    with pytest.raises(SourceError, match="Crow"):
        cub_ids(["Crow"])
    with pytest.raises(SourceError, match="polar bear"):
        awa_ids(["polar bear"])
    with pytest.raises(InvalidInputError, match="twice"):
        cub_ids(["001.Crow", "002.Crow"])


class TestResolver:
    def test_every_feature_set_has_a_summary_and_a_source(self) -> None:
        entries = {entry.name: entry for entry in list_feature_sets()}
        assert {"cub", "awa1", "awa2", "folder", "snips", "xlsa17-cub", "xlsa17-sun"} <= set(entries)
        assert all(entry.summary and entry.source for entry in entries.values())

    def test_an_unknown_name_lists_the_choices(self) -> None:
        with pytest.raises(UnknownNameError, match=r"choose from: awa1, .*cub, .*xlsa17-sun"):
            read_feature_set("cub200")

    @pytest.mark.parametrize("settings", [{"splitt": "standard"}, {"split": "mine"}, {"semantics": "w2v"}])
    def test_settings_that_a_reader_does_not_take_are_refused(self, settings: dict[str, str]) -> None:
        with pytest.raises(InvalidInputError):
            FEATURE_SETS.make("cub", settings)
