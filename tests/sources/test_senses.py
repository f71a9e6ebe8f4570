"""Sense ranks: against a slow reader of the same files, and against the words of the synsets."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl import data
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.sources import Senses, readers, sense_ranks
from kgzsl.sources.wnlines import LETTERS
from kgzsl.testing.graphs import HEADER

TOP = "".join(f"{line.format(version='3.0')}\n" for line in HEADER)


def slowly(raw: bytes, part: str) -> dict[str, tuple[tuple[str, ...], int]]:
    """Read an index line by line: lemma → (synsets, how many are ranked by use); ValueError where a line is malformed."""
    text = raw.replace(b"\r\n", b"\n").decode("utf-8")
    if not text.endswith("\n"):
        raise ValueError("cut")
    found: dict[str, tuple[tuple[str, ...], int]] = {}
    entries = [line for line in text.split("\n")[:-1] if not (line.startswith("  ") and not found)]
    for line in entries:
        fields = line.rstrip(" ").split(" ")
        if not line.endswith(" ") or any(c < " " for c in line) or len(fields) < 7 or fields[1] != LETTERS[part]:
            raise ValueError(line)
        if not all(re.fullmatch("[0-9]{1,4}", f) for f in fields[2:4]):
            raise ValueError(line)
        symbols, rest = int(fields[3]), fields[4 + int(fields[3]) :]
        numbers, offsets = rest[:2], rest[2:]
        if len(numbers) < 2 or not all(re.fullmatch("[0-9]{1,4}", f) for f in numbers):
            raise ValueError(line)
        if not all(re.fullmatch("[0-9]{8}", o) for o in offsets) or not fields[0] or symbols < 0:
            raise ValueError(line)
        lemma = fields[0].replace("_", " ")
        if int(fields[2]) != int(numbers[0]) or int(fields[2]) != len(offsets) or int(numbers[1]) > len(offsets) or lemma in found:
            raise ValueError(line)
        found[lemma] = (tuple(f"wn30:{LETTERS[part]}{o}" for o in offsets), int(numbers[1]))
    if not found:
        raise ValueError("nothing")
    return found


def told(senses: Senses) -> dict[str, tuple[tuple[str, ...], int]]:
    return {lemma: (senses[lemma], int(tagged)) for lemma, tagged in zip(senses, senses.tagged, strict=True)}


@pytest.mark.parametrize(("part", "lemmas", "senses"), [("verb", 11_529, 25_047), ("adj", 21_479, 30_002), ("adv", 4_481, 5_580)])
def test_real_files_are_read_as_a_slow_reader_reads_them(part: str, lemmas: int, senses: int) -> None:
    folder = data.locate("wordnet-3.0")
    read = sense_ranks(folder, part)
    assert (len(read), len(read.synsets)) == (lemmas, senses)  # wnstats(7WN)
    assert told(read) == slowly((folder / f"index.{part}").read_bytes(), part)


def test_nouns_have_the_senses_that_wordnet_shows() -> None:
    read = sense_ranks(data.locate("wordnet-3.0"))
    assert (len(read), len(read.synsets)) == (117_798, 146_312)  # wnstats(7WN)
    assert read["Canis_familiaris"] == ("wn30:n02084071",)
    assert read["dog"][:2] == ("wn30:n02084071", "wn30:n10114209")
    assert read.first(["bank", "Domestic dog", "no such word"]) == ["wn30:n09213565", "wn30:n02084071", None]
    assert "crane" in read and "no such word" not in read
    with pytest.raises(KeyError):
        read["no such word"]


def test_a_synset_of_the_index_has_the_lemma_among_its_words() -> None:
    folder = data.locate("wordnet-3.0")
    words = {(i, w.lower()) for i, label in zip(*_columns(folder), strict=True) for w in label.split(", ")}
    table = sense_ranks(folder, "verb").table()
    assert set(zip(table["synset"].to_pylist(), table["lemma"].to_pylist(), strict=True)) == words
    ranks = table.filter(np.asarray(table["lemma"]) == "run")["rank"].to_pylist()
    assert ranks == list(range(1, 42))
    assert table.schema.names == ["lemma", "synset", "rank", "ranked_by_use"]


def _columns(folder: Path) -> tuple[list[str], list[str]]:
    read = readers.make("wordnet", {"parts_of_speech": ["verb"]}).read(folder)
    return read.ids.to_pylist(), read.labels.to_pylist()


GOOD = "bank n 2 3 @ ~ #p 2 1 00000010 00000200  \nriver_bank n 1 1 @ 1 0 00000010  \n"


def write(folder: Path, text: bytes) -> Path:
    (folder / "index.noun").write_bytes(text)
    return folder


def test_a_hand_written_index(tmp_path: Path) -> None:
    read = sense_ranks(write(tmp_path, (TOP + GOOD).encode()))
    assert told(read) == {"bank": (("wn30:n00000010", "wn30:n00000200"), 1), "river bank": (("wn30:n00000010",), 0)}
    assert read.table().to_pylist()[1] == {"lemma": "bank", "synset": "wn30:n00000200", "rank": 2, "ranked_by_use": False}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: raw[:-5], "line 4: .*in the middle"),
        (lambda raw: raw.split(b"bank")[0], "line 3: .*no synset"),
        (lambda raw: b"<html>\n</html>\n", "begins with its licence"),
        (lambda raw: raw.replace(b"3.0", b"3.1"), r"3\.0 is needed"),
        (lambda raw: raw.replace(b"river", b"riv\xe9r"), "line 4: .*UTF-8"),
        (lambda raw: raw.replace(b"river_bank n", b"river_bank v"), "line 4: .*part of speech"),
        (lambda raw: raw.replace(b"river_bank n 1", b"river_bank n x"), "line 4: .*a number that is none"),
        (lambda raw: raw.replace(b"river_bank n 1", b"river_bank n 9"), "line 4: .*fewer"),
        (lambda raw: raw.replace(b"n 2 3", b"n 1 3"), "line 3: .*contradict"),
        (lambda raw: raw.replace(b"2 1 00000010", b"2 3 00000010"), "line 3: .*contradict"),
        (lambda raw: raw + b"lonely n 0 1 @ 0 0  \n", "line 5: .*contradict"),
        (lambda raw: raw.replace(b"00000200", b"0000020"), "line 3: .*malformed offset"),
        (lambda raw: raw.replace(b"00000200", b"0000020x"), "line 3: .*malformed offset"),
        (lambda raw: raw.replace(b"00000200", b"00000200 00000300"), "line 3: .*more fields"),
        (lambda raw: raw.replace(b"river_bank", b"bank"), "line 4: .*second time"),
        (lambda raw: raw.replace(b"  \n", b"\n"), "line 3: .*no space"),
    ],
)
def test_damaged_files_are_refused_with_the_line(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    before = (TOP + GOOD).encode()
    assert damage(before) != before
    with pytest.raises(SourceError, match=message):
        sense_ranks(write(tmp_path, damage(before)))


def test_a_missing_index_and_an_unknown_part_of_speech(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"index\.noun"):
        sense_ranks(tmp_path)
    with pytest.raises(InvalidInputError, match=r"noun, verb, adj, adv"):
        sense_ranks(tmp_path, "nouns")


mutation = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from([b" ", b"\n", b"\r\n", b"\t", b"0", b"9", b"n", b"@", b"\xff", b"\xc3\xa9", b"", b"\x00", b"00000010 "]),
    st.sampled_from([0, 0, 0, -1, 1, 7]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutation, min_size=1, max_size=3), st.booleans())
def test_any_file_is_read_or_refused_as_the_slow_reader_does(
    tmp_path_factory: pytest.TempPathFactory, mutations: list[tuple[int, bytes, int]], windows: bool
) -> None:
    body = GOOD.encode()
    for place, new, more in mutations:
        at = place % len(body)
        body = body[:at] + new + body[max(at + len(new) + more, at) :]
    raw = TOP.encode() + body
    raw = raw.replace(b"\n", b"\r\n") if windows else raw
    folder = write(tmp_path_factory.mktemp("fuzz"), raw)
    try:
        expected = slowly(raw, "noun")
    except ValueError:
        with pytest.raises(SourceError):
            sense_ranks(folder)
    else:
        assert told(sense_ranks(folder)) == expected


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.sampled_from(["", TOP, TOP + GOOD]))
def test_no_bytes_do_anything_else_than_be_refused_or_read(tmp_path_factory: pytest.TempPathFactory, noise: bytes, top: str) -> None:
    folder = write(tmp_path_factory.mktemp("noise"), top.encode() + noise + b"\n")
    (folder / "data.noun").write_bytes(top.encode() + noise + b"\n")
    with pytest.raises(SourceError, match=r"data\.noun"):
        readers.make("wordnet").read(folder)
    try:
        assert len(sense_ranks(folder)) > 0
    except SourceError as error:
        assert "index.noun" in str(error)
