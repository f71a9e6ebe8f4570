"""Tables that say where classes stand in WordNet, read as a source."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.datasets import class_links
from kgzsl.datasets.class_links import TABLES
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources import Statements, readers
from kgzsl.sources.class_names import awa_ids

HEAD = "id\tparents\tby\tlabel\ttext\n"


def read(path: Path, **setting: Any) -> Statements:
    return readers.make("class_links", setting).read(path)


def edges(found: Statements) -> set[tuple[str, str]]:
    ids = found.ids.to_pylist()
    return {(ids[s], ids[o]) for s, o in zip(found.subject.tolist(), found.object.tolist(), strict=True)}


@pytest.mark.parametrize("name", ["cub", "snips"])
def test_a_shipped_table_gives_what_attaching_gives(name: str) -> None:
    table, found = class_links(name), read(TABLES / f"{name}.tsv")
    assert edges(found) == {(c.id, p) for c in table.classes for p in c.parents}
    labels = dict(zip(found.ids.to_pylist(), zip(found.labels.to_pylist(), found.texts.to_pylist(), strict=True), strict=True))
    assert all(labels[c.id] == (c.label, c.text) for c in table.classes)
    assert [r.id for r in found.relations] == ["hypernym"] and found.info.files == table.source.files


@pytest.mark.data
def test_awa_by_the_names_of_kzsl() -> None:
    home = Path(os.environ["KGZSL_DATA"])
    content = json.loads((home / "kzsl/AwA/class.json").read_text())
    found = read(home / "kzsl/AwA/class.json", prefix="awa", relation="equivalent")
    assert edges(found) == {(f"awa:{n}", f"wn30:{w}") for part in content.values() for w, n in part.items()}
    names = [line.split()[1] for line in (home / "awa1/classes.txt").read_text().splitlines()]
    assert {i for i in found.ids.to_pylist() if i.startswith("awa:")} == set(awa_ids(names))
    assert [r.id for r in found.relations] == ["equivalent"] and "polar bear" in found.labels.to_pylist()


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"seen": {}}',
        '{"seen": {}, "unseen": {}}',
        '{"seen": {"n1": "ox"}, "unseen": {}}',
        '{"seen": {"n02403003": 3}, "unseen": {}}',
        '{"seen": {"n02403003": "ox"}, "unseen": {"n02403004": "ox"}}',
        "[" * 100_000,
    ],
)
def test_a_malformed_class_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "class.json").write_text(content)
    with pytest.raises(SourceError, match=r"class\.json"):
        read(tmp_path / "class.json", prefix="awa")


def test_parents_are_curies_and_settings_known(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text(HEAD + "x:a\twn30:n1 dog\thand\ta\t\n")
    with pytest.raises(SourceError, match="line 2"):
        read(tmp_path / "x.tsv")
    (tmp_path / "class.json").write_text('{"seen": {"n02403003": "ox"}, "unseen": {}}')
    with pytest.raises(InvalidInputError, match="prefix: awa"):
        read(tmp_path / "class.json")
    with pytest.raises(UnknownNameError):
        read(tmp_path / "x.tsv", relation="is_a")
    for name in ("no.tsv", "no.json"):
        with pytest.raises(MissingDataError):
            read(tmp_path / name, prefix="x")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.one_of(st.binary(max_size=100), st.text(alphabet="x:a\t\n wn30hand\u2028\x00", max_size=100).map(str.encode)))
def test_no_bytes_break_the_reader(tmp_path: Path, raw: bytes) -> None:
    for name in ("x.tsv", "class.json"):
        (tmp_path / name).write_bytes(HEAD.encode() + raw if name == "x.tsv" else raw)
        try:
            found = read(tmp_path / name, prefix="x")
        except KgzslError:
            continue
        assert all(":" in i for i in found.ids.to_pylist())
