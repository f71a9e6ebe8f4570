"""Rules over ids, kinds and nodes in the reader of triples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources import Statements, readers
from kgzsl.sources._rules import Rules

LINES = """AwA:n02106662\trdfs:subClassOf\tAwA:n02104523
AwA:n02106662\tAwA:hasColor\tAwA:a001
AwA:a001\trdfs:subClassOf\tAwA:a092
AwA:a001\trdfs:label\tblack
cn:dog\trdfs:subClassOf\tcn:animal
AwA:n02106662\towl:sameAs\tcn:german_shepherd
"""
IRI = "http://www.semanticweb.org/ontologies/AwA#"
SETTING = {
    "vocabulary": "iris",
    "prefixes": {"AwA": IRI, "awa": IRI},
    "ids": {r"AwA:(n\d{8})": r"wn30:\1", "AwA:(.*)": r"awa:\1"},
}


def read(folder: Path, text: str = LINES, **setting: Any) -> Statements:
    (folder / "t.tsv").write_text(text)
    return readers.make("triples", {**SETTING, **setting}).read(folder / "t.tsv")


def kinds(found: Statements) -> dict[str, str]:
    return dict(zip(found.ids.to_pylist(), found.kinds.to_pylist(), strict=True))


def test_the_first_pattern_that_covers_an_id_renames_it(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert set(found.ids.to_pylist()) == {
        *("wn30:n02106662", "wn30:n02104523", "awa:a001", "awa:a092", "cn:dog", "cn:animal", "cn:german_shepherd")
    }
    assert {r.id for r in found.relations} == {"hypernym", "equivalent", "awa:hasColor"}
    assert found.prefixes == {"awa": IRI} and "black" in found.labels.to_pylist()


def test_two_names_can_become_one_node(tmp_path: Path) -> None:
    found = read(tmp_path, ids={"AwA:a.*": "awa:attribute", **SETTING["ids"]})  # type: ignore[dict-item]
    assert "awa:attribute" in found.ids.to_pylist() and len(found.ids) == 6


def test_kinds_by_pattern_and_by_relation(tmp_path: Path) -> None:
    assert set(kinds(read(tmp_path)).values()) == {"concept"}
    assert {i for i, k in kinds(read(tmp_path, kinds={r"awa:a\d+": "attribute"})).items() if k == "attribute"} == {"awa:a001", "awa:a092"}
    said = "AwA:eats\trdfs:domain\tAwA:animal\nAwA:eats\trdfs:subPropertyOf\tAwA:does\nAwA:cat\trdfs:subClassOf\tAwA:animal\n"
    found = kinds(read(tmp_path, said, kind="by_relations"))
    assert found == {"awa:eats": "relation", "awa:does": "relation", "awa:animal": "concept", "awa:cat": "concept"}
    assert kinds(read(tmp_path, said, kind="by_relations", kinds={"awa:cat": "individual"}))["awa:cat"] == "individual"


def test_statements_about_other_nodes_are_counted(tmp_path: Path) -> None:
    found = read(tmp_path, nodes="(wn30|awa):.*")
    assert len(found.subject) == 3 and found.dropped == {"statement about a node outside `nodes`": 2}
    assert not [i for i in found.ids.to_pylist() if i.startswith("cn:")]
    classes = read(tmp_path, nodes="wn30:.*")
    assert len(classes.subject) == 1 and classes.dropped == {"statement about a node outside `nodes`": 5}


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ({"ids": {"(": "x"}}, InvalidInputError),
        ({"ids": {"AwA:.*": r"x:\7"}}, InvalidInputError),
        ({"ids": {"AwA:.*": "nothing"}}, SourceError),
        ({"ids": {"AwA:.*": "x: y"}}, SourceError),
        ({"kinds": {"(?=look)": "concept"}}, InvalidInputError),
        ({"kinds": {".*": "thing"}}, InvalidInputError),
        ({"nodes": "[a"}, InvalidInputError),
    ],
)
def test_rules_that_are_none_are_refused(tmp_path: Path, setting: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        read(tmp_path, **setting)


def test_patterns_cost_time_in_proportion_to_their_input() -> None:
    ids = pa.array(["a:" + "a" * 50_000 + "!"])  # a backtracking engine needs 2 to the power of 50,000 steps
    assert Rules(ids={"a:(a+)+": "b:x"}).rewrite(ids) == ids
