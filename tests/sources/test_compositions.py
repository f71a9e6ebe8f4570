"""Composition lists become the graph of CGE, counted by an independent reading of the same lists."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError
from kgzsl.sources import Statements, readers


def read(path: Path, prefix: str = "t", **setting: Any) -> Statements:
    return readers.make("compositions", {"prefix": prefix, **setting}).read(path)


def edges(found: Statements) -> set[tuple[str, str, str]]:
    ids, names = found.ids.to_pylist(), [r.id for r in found.relations]
    columns = (found.subject.tolist(), found.relation.tolist(), found.object.tolist())
    return {(ids[s], names[r], ids[o]) for s, r, o in zip(*columns, strict=True)}


def cge(pairs: set[tuple[str, str]], prefix: str = "t") -> set[tuple[str, str, str]]:
    """The edges of CGE's graph, written down pair by pair."""
    out = set()
    for s, o in pairs:
        s, o = (n.replace("%", "%25").replace("/", "%2F").replace(" ", "_") for n in (s, o))
        pair = f"{prefix}:pair/{s}/{o}"
        out |= {(pair, "has_state", f"{prefix}:state/{s}"), (pair, "has_object", f"{prefix}:object/{o}")}
        out.add((f"{prefix}:state/{s}", "composes", f"{prefix}:object/{o}"))
    return out


def folder(name: str) -> Path:
    return Path(os.environ["KGZSL_DATA"]) / "czsl" / name


@pytest.mark.data
def test_cgqa_has_the_published_counts() -> None:
    lists = {p: [tuple(line.split()) for line in (folder("cgqa") / f"{p}_pairs.txt").open()] for p in ("train", "val", "test")}
    assert len(set(lists["train"])) == 5_592
    pairs = {(s, o) for listed in lists.values() for s, o in listed}
    found = read(folder("cgqa"), "cgqa")
    assert Counter(found.kinds.to_pylist()) == {"state": 413, "object": 674, "pair": len(pairs)} and len(pairs) == 7_767
    assert edges(found) == cge(pairs, "cgqa") and len(found.subject) == 3 * len(pairs)
    assert found.dropped == {"pair listed again": sum(map(len, lists.values())) - len(pairs)}
    assert len({s for s, _ in pairs} & {o for _, o in pairs}) > 0  # names that are states and objects: two nodes each


@pytest.mark.data
def test_the_open_world_of_cgqa() -> None:
    found = read(folder("cgqa"), "cgqa", open_world=True)
    assert Counter(found.kinds.to_pylist())["pair"] == 413 * 674 == 278_362 and len(found.subject) == 3 * 278_362
    assert len(set(found.ids.to_pylist())) == len(found.ids)
    assert edges(read(folder("cgqa"), "cgqa")) < edges(found)


@pytest.mark.data
def test_fashion_names_hold_spaces_and_the_table_says_what_the_lists_say() -> None:
    with (folder("fashion") / "metadata.csv").open(newline="") as stream:
        rows = [(r["state"], r["object"]) for r in csv.DictReader(stream)]
    found, table = read(folder("fashion"), "fashion"), read(folder("fashion") / "metadata.csv", "fashion")
    assert Counter(found.kinds.to_pylist()) == {"state": 35, "object": 83, "pair": 368 + 104 + 103}
    assert edges(found) == edges(table) == cge(set(rows), "fashion")
    assert table.dropped == {"pair listed again": len(rows) - 575}
    assert "Navy Blue Track Pants" in found.labels.to_pylist() and "fashion:pair/Navy_Blue/Track_Pants" in found.ids.to_pylist()


def test_the_layout_of_mit_states(tmp_path: Path) -> None:
    home = tmp_path / "compositional-split-natural"
    home.mkdir()
    (home / "train_pairs.txt").write_text("old dog\nsliced apple\norange dog\n")
    (home / "test_pairs.txt").write_text("old dog\nold orange\n")
    found = read(tmp_path)
    assert edges(found) == cge({("old", "dog"), ("sliced", "apple"), ("orange", "dog"), ("old", "orange")})
    assert found.dropped == {"pair listed again": 1} and set(found.info.files) == {"train_pairs.txt", "test_pairs.txt"}
    assert edges(read(home, files=["test_pairs.txt"])) == cge({("old", "dog"), ("old", "orange")})
    world = read(home, files=["test_pairs.txt", "train_pairs.txt"], open_world=True)
    assert edges(world) == cge({(s, o) for s in ("old", "orange", "sliced") for o in ("apple", "dog", "orange")})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not empty"),
        ("old dog\nold\n", "line 2: 'old'"),
        ("old dog\n\nvery old dog\n", "line 3: 'very old dog'"),
        ("very old\tdog\nold cat\n", "line 2: 'old cat'"),
        ("very old\tdog\nold\tcat\tbrown\n", "line 2"),
        ("flip flops\tblue\nflip_flops\tblue\n", "t:state/flip_flops"),
        ("<html><body>no</body></html>\n", "line 1"),
    ],
)
def test_malformed_lists_are_refused_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "train_pairs.txt").write_text(text)
    with pytest.raises(SourceError, match=said):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns"),
        ("a,b\n1,2\n", "state"),
        ("state,object\n", "no row"),
        ("state,object\nold,dog\n,cat\n", "row 3"),
        ("state,object\nold\n", "columns"),
    ],
)
def test_malformed_tables_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(SourceError, match=said):
        read(tmp_path / "m.csv")


def test_what_is_not_there_and_wrong_settings(tmp_path: Path) -> None:
    for setting in ({}, {"files": ["train_pairs.txt"]}):
        with pytest.raises(MissingDataError, match=r"train_pairs\.txt"):
            read(tmp_path, **setting)
    (tmp_path / "train_pairs.txt").write_bytes("vieux chien\nné chat\n".encode("latin-1"))
    with pytest.raises(SourceError, match="UTF-8"):
        read(tmp_path)
    for wrong in ({"prefix": "a b"}, {"prefix": ""}, {"files": []}, {"files": "x"}, {"open_world": "yes"}):
        with pytest.raises(InvalidInputError):
            readers.make("compositions", {"prefix": "t", **wrong})


def test_a_world_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train_pairs.txt").write_text("".join(f"s{i} o{i}\n" for i in range(4_500)))
    with pytest.raises(SourceError, match=r"4,500 states × 4,500 objects"):
        read(tmp_path, open_world=True)


NAMES = st.text(alphabet="ab/%é_+", min_size=1, max_size=4)
FAST = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FAST
@given(pairs=st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8))
def test_generated_lists_agree_with_a_slow_loop(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    (tmp_path / "train_pairs.txt").write_text("".join(f"{s} {o}\n" for s, o in pairs), encoding="utf-8")
    found = read(tmp_path)
    assert edges(found) == cge(set(pairs)) and len(found.subject) == 3 * len(set(pairs))
    assert found.dropped.get("pair listed again", 0) == len(pairs) - len(set(pairs))


@FAST
@given(raw=st.one_of(st.binary(max_size=120), st.text(alphabet='so \t\n\r,"\x00\u2028é', max_size=120).map(str.encode)))
def test_no_bytes_break_the_reader(tmp_path: Path, raw: bytes) -> None:
    for name in ("train_pairs.txt", "m.csv"):
        (tmp_path / name).write_bytes(raw if name.endswith("txt") else b"state,object\n" + raw)
        try:
            found = read(tmp_path / name)
        except KgzslError:
            continue
        assert len(found.subject) and not any(c.isspace() for i in found.ids.to_pylist() for c in i)
