"""The WordNet reader: what it reads from true files, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kgzsl import data
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources import Statements, readers
from kgzsl.testing.graphs import SYNSETS, write_wordnet


def triples(statements: Statements) -> set[tuple[str, str, str]]:
    ids = statements.ids.to_pylist()
    return {
        (ids[s], statements.relations[r].id, ids[o])
        for s, r, o in zip(statements.subject, statements.relation, statements.object, strict=True)
    }


def test_tiny_files_give_exactly_their_statements(tmp_path: Path) -> None:
    key = write_wordnet(tmp_path)
    read = readers.make("wordnet", {"relations": ["hypernym", "instance_hypernym", "part_meronym"]}).read(tmp_path)
    assert triples(read) == {
        (key["animal"], "hypernym", key["entity"]),
        (key["dog"], "hypernym", key["animal"]),
        (key["cat"], "hypernym", key["animal"]),
        (key["puppy"], "hypernym", key["dog"]),
        (key["paw"], "hypernym", key["entity"]),
        (key["lassie"], "instance_hypernym", key["dog"]),
        (key["dog"], "part_meronym", key["paw"]),
    }
    row = read.ids.to_pylist().index(key["dog"])
    assert read.labels[row].as_py() == "dog, domestic dog"
    assert read.texts[row].as_py() == "a member of the genus Canis"
    assert read.kinds.to_pylist().count("individual") == 1
    assert read.kinds[read.ids.to_pylist().index(key["lassie"])].as_py() == "individual"


def test_real_nouns_are_complete() -> None:
    read = readers.make("wordnet").read(data.locate("wordnet-3.0"))
    assert len(read.ids) == 82_115  # wnstats(7WN): noun synsets of WordNet 3.0
    assert len(read.subject) == 75_850
    row = read.ids.to_pylist().index("wn30:n02084071")
    assert read.labels[row].as_py() == "dog, domestic dog, Canis familiaris"
    assert read.texts[row].as_py().startswith("a member of the genus Canis")
    assert '"' not in read.texts[row].as_py()
    assert read.dropped == {}


def test_all_parts_of_speech_join() -> None:
    settings = {"parts_of_speech": ["adv", "adj", "verb", "noun"], "relations": []}
    read = readers.make("wordnet", settings).read(data.locate("wordnet-3.0"))
    assert len(read.ids) == 117_659  # wnstats(7WN)
    counts = dict(zip((r.id for r in read.relations), np.bincount(read.relation).tolist(), strict=True))
    assert counts["similar"] == 21_386
    assert counts["entailment"] == 408
    assert not any("(" in label and label.endswith(("(a)", "(p)", "(ip)")) for label in read.labels.to_pylist())


def test_pointers_to_unread_parts_of_speech_are_counted() -> None:
    read = readers.make("wordnet", {"relations": ["derivation"]}).read(data.locate("wordnet-3.0"))
    assert read.dropped["object in a part of speech that was not read"] > 10_000


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    write_wordnet(tmp_path / "unix")
    (tmp_path / "windows").mkdir()
    raw = (tmp_path / "unix" / "data.noun").read_bytes()
    (tmp_path / "windows" / "data.noun").write_bytes(raw.replace(b"\n", b"\r\n"))
    one, two = (readers.make("wordnet").read(tmp_path / f) for f in ("unix", "windows"))
    assert one.ids.equals(two.ids)
    assert one.texts.equals(two.texts)
    assert triples(one) == triples(two)


def test_another_version_is_refused_with_the_reason(tmp_path: Path) -> None:
    write_wordnet(tmp_path, version="3.1")
    with pytest.raises(SourceError, match=r"3\.0 is needed.*byte offset(.|\n)*is WordNet 3\.1"):
        readers.make("wordnet").read(tmp_path)


Damage = Callable[[bytes], bytes]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-20], r"line 10: .*in the middle"),
        (lambda raw: b"", "is empty"),
        (lambda raw: b"<!DOCTYPE html>\n<html>404</html>\n", "begins with its licence"),
        (lambda raw: b"\x1f\x8b\x08\x00" + raw, "begins with its licence"),
        (lambda raw: raw.replace(b"a feline", b"\xe9 feline"), "line 6: .*UTF-8"),
        (lambda raw: raw.replace(b"a feline mammal", b"a feline mammalian"), "line 7: .*byte its offset"),
        (lambda raw: raw.replace(b"05 n 01 cat 0 001 @", b"05 n 01 cat 0 001 ?"), "line 6: .*unknown pointer symbol"),
        (lambda raw: raw.replace(b"05 n 01 cat 0 001", b"05 n 01 cat 0 009"), "line 6: .*9 pointers are promised"),
        (lambda raw: raw.replace(b"05 n 01 cat", b"05 v 01 cat"), "line 6: .*part of speech"),
        (lambda raw: raw.replace(b" | a feline", b" / a feline"), "line 6: .*no gloss"),
        (lambda raw: raw[: raw.index(b" 05 n") - 8], "holds no synset"),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path: Path, damage: Damage, message: str) -> None:
    write_wordnet(tmp_path)
    file = tmp_path / "data.noun"
    before = file.read_bytes()
    file.write_bytes(damage(before))
    assert file.read_bytes() != before
    with pytest.raises(SourceError, match=message):
        readers.make("wordnet").read(tmp_path)


def test_truncation_between_lines_is_noticed(tmp_path: Path) -> None:
    forward = [SYNSETS[0], ("early", "early", "points ahead", [("@", "animal")]), *SYNSETS[1:]]
    key = write_wordnet(tmp_path, forward)
    file = tmp_path / "data.noun"
    file.write_bytes(file.read_bytes()[: int(key["animal"][-8:])])
    with pytest.raises(SourceError, match="1 missing"):
        readers.make("wordnet").read(tmp_path)


def test_missing_folder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"kgzsl data fetch wordnet-3\.0"):
        readers.make("wordnet").read(tmp_path / "nowhere")


def test_unknown_settings_name_the_choices() -> None:
    with pytest.raises(InvalidInputError, match=r"hyperonym(.|\n)*choose from(.|\n)*hypernym"):
        readers.make("wordnet", {"relations": ["hyperonym"]})
    with pytest.raises(InvalidInputError, match="nouns"):
        readers.make("wordnet", {"parts_of_speech": ["nouns"]})
    with pytest.raises(InvalidInputError, match="lang"):
        readers.make("wordnet", {"lang": "en"})
    with pytest.raises(UnknownNameError, match=r"choose from: .*wordnet"):
        readers.lookup("wordnett")
