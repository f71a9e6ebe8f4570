"""The WordNet reader: what it reads from true files, and what it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl import data
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources import Statements, readers
from kgzsl.sources.vocabulary import vocabulary
from kgzsl.sources.wndb import read_synsets
from kgzsl.sources.wnlines import LETTERS
from kgzsl.testing.graphs import HEADER, SYNSETS, write_wordnet

POINTERS = vocabulary().wordnet
SYMBOLS = [*POINTERS, "~", "~i", "#p", "#m", "#s", "-c", "-r", "-u"]
_SYMBOL = f"(?:{'|'.join(map(re.escape, SYMBOLS))})"
LINE = re.compile(
    r"([0-9]{8}) [0-9]{2} ([nvasr]) ([0-9a-f]{2}) ((?:[^ \x00-\x1f]+ [0-9a-f] )+)([0-9]{3}) "
    rf"((?:{_SYMBOL} [0-9]{{8}} [nvasr] [0-9a-f]{{4}} )*)([0-9]{{2}} (?:\+ [0-9]{{2}} [0-9a-f]{{2}} )*)?"
)


def slowly(raw: bytes, part: str) -> list[tuple[Any, ...]]:
    """Read a data file line by line with a pattern of the whole line (`man wndb`); ValueError where it does not match.

    Returns
    -------
    Per synset: id, kind, label, gloss, gloss with examples, (symbol, target) of each pointer.
    """
    text = raw.replace(b"\r\n", b"\n").decode("utf-8")
    if not text.endswith("\n"):
        raise ValueError("cut")
    lines = text.split("\n")[:-1]
    header = next((i for i, line in enumerate(lines) if not line.startswith("  ")), len(lines))
    if "WordNet 3.0 Copyright" not in "\n".join(lines[:header]) or header == len(lines):
        raise ValueError("header")
    found, place = [], sum(len(line.encode()) + 1 for line in lines[:header])
    for line in lines[header:]:
        head, bar, gloss = line.partition(" | ")
        match = LINE.fullmatch(head + " ")
        if not bar or not match or int(match[1]) != place:
            raise ValueError(line)
        words, pointers, frames = match[4].split(" ")[:-1:2], match[6].split(" ")[:-1], (match[7] or "").split()
        letter = LETTERS[part]
        if int(match[3], 16) != len(words) or int(match[5]) * 4 != len(pointers) or match[2].replace("s", "a") != letter:
            raise ValueError(line)
        if frames and (part != "verb" or 1 + 3 * int(frames[0]) != len(frames)):
            raise ValueError(line)
        if part == "adj":
            words = [re.sub(r"\((?:a|p|ip)\)\Z", "", w) for w in words]
        found.append(
            (
                f"wn30:{letter}{match[1]}",
                "individual" if "@i" in pointers[::4] else "concept",
                ", ".join(words).replace("_", " "),
                gloss.split('; "')[0].strip(" ;"),
                gloss.strip(" ;"),
                [(s, t.replace("s", "a") + o) for s, o, t in zip(pointers[::4], pointers[1::4], pointers[2::4], strict=True)],
            )
        )
        place += len(line.encode()) + 1
    return found


def quickly(file: Path, part: str) -> list[tuple[Any, ...]]:
    """Return what `slowly` returns, by the reader."""
    numbers = {symbol: i for i, symbol in enumerate(SYMBOLS)}
    read, full = (read_synsets(file, part, "3.0", numbers, examples=examples) for examples in (False, True))
    pointers: list[list[tuple[str, str]]] = [[] for _ in read.ids]
    letters = [*LETTERS.values()]
    for owner, symbol, target in zip(read.owner.tolist(), read.symbol.tolist(), read.target.tolist(), strict=True):
        pointers[owner].append((SYMBOLS[symbol], f"{letters[target >> 32]}{target & 0xFFFFFFFF:08d}"))
    for column in (read.ids, read.labels, read.texts, full.texts):
        column.validate(full=True)
    kinds = ["individual" if i else "concept" for i in read.individual]
    columns = (read.ids.to_pylist(), kinds, read.labels.to_pylist(), read.texts.to_pylist(), full.texts.to_pylist(), pointers)
    return list(zip(*columns, strict=True))


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


@pytest.mark.parametrize("part", LETTERS)
def test_real_files_are_read_as_a_slow_reader_reads_them(part: str) -> None:
    file = data.locate("wordnet-3.0") / f"data.{part}"
    assert quickly(file, part) == slowly(file.read_bytes(), part)


def test_relations_join_across_parts_of_speech_as_a_slow_join_does() -> None:
    folder = data.locate("wordnet-3.0")
    read = readers.make("wordnet", {"parts_of_speech": ["verb", "adj", "adv"], "relations": []}).read(folder)
    slow = [synset for part in ("verb", "adj", "adv") for synset in slowly((folder / f"data.{part}").read_bytes(), part)]
    assert read.ids.to_pylist() == [s[0] for s in slow]
    inside = {s[0] for s in slow}
    kept = [(s[0], POINTERS[symbol].id, f"wn30:{target}") for s in slow for symbol, target in s[5] if symbol in POINTERS]
    expected = [edge for edge in kept if edge[2] in inside]
    ids, names = read.ids.to_pylist(), [r.id for r in read.relations]
    edges = zip(read.subject.tolist(), read.relation.tolist(), read.object.tolist(), strict=True)
    assert [(ids[s], names[r], ids[o]) for s, r, o in edges] == expected
    assert read.dropped == {"object in a part of speech that was not read": len(kept) - len(expected)}
    assert {(a[5], b[5]) for a, _, b in expected} >= {("v", "v"), ("v", "a"), ("a", "v"), ("r", "a")}


def test_examples_stay_on_request(tmp_path: Path) -> None:
    key = write_wordnet(tmp_path)
    read = readers.make("wordnet", {"examples": True}).read(tmp_path)
    row = read.ids.to_pylist().index(key["dog"])
    assert read.texts[row].as_py() == 'a member of the genus Canis; "the dog barked"; "dogs"'


def lines_of(rows: list[tuple[list[str], list[tuple[str, int, str]], int, str]], letter: str, part: str) -> bytes:
    """Return a data file of synsets given as (words, pointers, frames, gloss), with the offsets that it must have."""
    raw = "".join(f"{line.format(version='3.0')}\n" for line in HEADER).encode()
    for words, pointers, frames, gloss in rows:
        text = f"{len(raw):08d} 03 {letter} {len(words):02x} " + "".join(f"{w} 0 " for w in words) + f"{len(pointers):03d} "
        text += "".join(f"{symbol} {target:08d} {type_} 0a0f " for symbol, target, type_ in pointers)
        text += f"{frames:02d} " + "+ 02 0b " * frames if part == "verb" else ""
        raw += f"{text}| {gloss}\n".encode()
    return raw


word = st.one_of(
    st.sampled_from(["a_b", "x(a)", "y(ip)", "(p)", "z_(p)_", "|", "a,_b(p)"]), st.text("ab_()'é—\u2028\xa0\"|;", min_size=1, max_size=6)
)
pointer = st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 99_999_999), st.sampled_from("nvasr"))
gloss_text = st.lists(st.sampled_from(['; "', " ", ";", '"', " | ", "é", "ab", "\t", "\r", "\x0b"]), max_size=6).map("".join)
row = st.tuples(st.lists(word, min_size=1, max_size=4), st.lists(pointer, max_size=4), st.integers(0, 3), gloss_text)
#: Replaces as many bytes as it brings, mostly, so that offsets stay right and the fields are what is tried.
mutation = st.tuples(
    st.integers(0, 10**6),
    st.sampled_from(
        [b" ", b"|", b"\n", b"\r\n", b"\t", b"0", b"9", b"f", b"+", b"@i", b" | ", b'; "', b"\xff", b"\xc3\xa9", b"n", b"", b"\x00"]
    ),
    st.sampled_from([0, 0, 0, 0, -1, 1, 7]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(row, min_size=1, max_size=4),
    st.sampled_from([("n", "noun"), ("v", "verb"), ("a", "adj"), ("s", "adj"), ("r", "adv")]),
    st.lists(mutation, max_size=2),
    st.booleans(),
)
def test_any_file_is_read_or_refused_as_the_slow_reader_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], kind: tuple[str, str], mutations: list[tuple[int, bytes, int]], windows: bool
) -> None:
    raw = lines_of(rows, *kind)
    start = raw.index(b"reserved")
    for place, new, more in mutations:
        at = start + place % (len(raw) - start)
        raw = raw[:at] + new + raw[max(at + len(new) + more, at) :]
    if windows:
        raw = raw.replace(b"\n", b"\r\n")
    file = tmp_path_factory.mktemp("fuzz") / f"data.{kind[1]}"
    file.write_bytes(raw)
    try:
        expected = slowly(raw, kind[1])
    except ValueError:
        with pytest.raises(SourceError, match=re.escape(str(file))):
            read_synsets(file, kind[1], "3.0", dict.fromkeys(SYMBOLS, 0))
    else:
        assert quickly(file, kind[1]) == expected


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
        (lambda raw: raw[: raw.index(b" 05 n") - 8], "line 3: .*holds no synset"),
        (lambda raw: raw.replace(b"05 n 01 cat 0 001 @", b"05 n 01 cat 0 00x @"), "line 6: .*no number of pointers"),
        (lambda raw: raw.replace(b"05 n 01 cat 0 001 @", b"05 n 02 cat 0 001 @"), "line 6: .*(fewer words|number of pointers)"),
        (lambda raw: raw.replace(b"05 n 01 cat 0 001 @", b"05 n 01 cat 0 000 @"), "line 6: .*fields after the pointers"),
        (lambda raw: raw.replace(b"05 n 01 cat 0", b"05 n 01 c\tt 0"), "line 6: .*control character"),
        (lambda raw: raw.replace(b"05 n 01 cat 0", b"05 n 01 cat x"), "line 6: .*malformed word"),
        (lambda raw: raw.replace(b"05 n 01 cat 0", b"05 n 0g cat 0"), "line 6: .*no number of words"),
        (lambda raw: raw.replace(b"05 n 01 cat 0", b"0x n 01 cat 0"), "line 6: .*other widths"),
        (lambda raw: raw.replace(b"n 0000 | a feline", b"n 00z0 | a feline"), "line 6: .*malformed pointer"),
        (lambda raw: raw.replace(b"n 0000 | a feline m", b"n 00000 | a feline "), "line 6: .*malformed pointer"),
        (lambda raw: raw.replace(b"n 0000 | a feline", b"x 0000 | a feline"), "line 6: .*malformed pointer"),
        (lambda raw: raw.replace(b" n 0000 | a feline", b" n 00000| a feline"), "line 6: .*no gloss"),
        (lambda raw: raw + b"7\n", "line 11: .*(no synset|byte its offset)"),
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


VERB = lines_of([(["run"], [], 2, "move fast"), (["go"], [("@", 151, "v")], 1, "move")], "v", "verb")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"02 + 02 0b + 02 0b", b"03 + 02 0b + 02 0b", "another number of frames than promised"),
        (b"02 + 02 0b + 02 0b", b"2f + 02 0b + 02 0b", "another number of frames than promised"),
        (b"02 + 02 0b + 02 0b", b"02 + 02 0b - 02 0b", "malformed frame"),
        (b"02 + 02 0b + 02 0b", b"02 + 02 0b + 0f 0b", "malformed frame"),
        (b"02 + 02 0b + 02 0b", b"02 + 02 0b + 02 0g", "malformed frame"),
        (b"02 + 02 0b + 02 0b", b"02 + 02 0b + 02b 0", "malformed frame"),
        (b"02 + 02 0b + 02 0b", b"02 + 02 0b + 02_0b", "fields after the pointers"),
        (b" v 0a0f ", b" v 0a_f ", "malformed pointer"),
        (b" v 01 run", b" n 01 run", "another part of speech"),
    ],
)
def test_damaged_verbs_are_refused(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    file = tmp_path / "data.verb"
    file.write_bytes(VERB)
    assert len(quickly(file, "verb")) == 2
    assert VERB.count(old) == 1
    file.write_bytes(VERB.replace(old, new))
    with pytest.raises(SourceError, match=message):
        read_synsets(file, "verb", "3.0", dict.fromkeys(SYMBOLS, 0))


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
