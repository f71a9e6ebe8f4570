"""Compilation on tiny files: selection, joining, counting, atomic writes."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from kgzsl.engines import open_engine
from kgzsl.errors import ArtifactError, InvalidInputError, SourceError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, compile_graph
from kgzsl.graphs.compile import _graph
from kgzsl.graphs.join import Joined, join_sources
from kgzsl.graphs.relations import relation_policy
from kgzsl.graphs.validate import validate_graph
from kgzsl.sources import Relation, SourceInfo, Statements
from kgzsl.testing.graphs import write_wordnet


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    return write_wordnet(tmp_path / "dict")


def recipe(folder: Path, select: dict[str, Any] | None = None, relations: tuple[str, ...] = ("hypernym",)) -> Path:
    content: dict[str, Any] = {
        "format": 1,
        "name": "tiny",
        "sources": [{"reader": "wordnet", "path": "dict", "settings": {"relations": list(relations)}}],
    }
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**content, "select": select} if select else content), encoding="utf-8")
    return path


def edges(graph: KnowledgeGraph) -> set[tuple[str, str, str]]:
    return {
        (graph.ids[s], graph.relations[r].id, graph.ids[o]) for s, r, o in zip(graph.subject, graph.relation, graph.object, strict=True)
    }


def test_without_selection_everything_is_kept(tmp_path: Path, key: dict[str, str]) -> None:
    graph = compile_graph(recipe(tmp_path, relations=("hypernym", "part_meronym")))
    assert set(graph.ids) == set(key.values())
    assert (key["dog"], "part_meronym", key["paw"]) in edges(graph)
    assert len(graph.subject) == 6


def test_classes_climb_until_a_member(tmp_path: Path, key: dict[str, str]) -> None:
    climb = {"members": [{"ids": [key["dog"]]}], "classes": [{"ids": [key["puppy"], key["cat"]]}], "climb": "hypernym"}
    graph = compile_graph(recipe(tmp_path, climb))
    # puppy stops at the member dog; cat climbs to the root; dog → animal is kept since both ends are nodes.
    assert set(graph.ids) == {key[k] for k in ("puppy", "dog", "cat", "animal", "entity")}
    assert (key["dog"], "hypernym", key["animal"]) in edges(graph)
    only = compile_graph(recipe(tmp_path, {**climb, "classes": [{"ids": [key["puppy"]]}]}))
    assert set(only.ids) == {key["puppy"], key["dog"]}
    assert only.manifest["dropped"]["compile"] == {"edge to a node not selected": 4, "node not selected": 6}


def test_rules_expand_and_are_counted(tmp_path: Path, key: dict[str, str]) -> None:
    rules = {"relation": "hypernym", "subtrees": [key["dog"][5:]], "singles": [key["thing"][5:]], "expands_to": 3}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    path = recipe(tmp_path, {"members": [{"rules": "rules.yaml"}]})
    assert set(compile_graph(path).ids) == {key[k] for k in ("dog", "puppy", "thing")}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({**rules, "expands_to": 4}), encoding="utf-8")
    with pytest.raises(SourceError, match="must expand to 4"):
        compile_graph(path)


@pytest.mark.parametrize(
    ("select", "error", "message"),
    [
        ({"members": [{"ids": ["n99999999"]}]}, UnknownNameError, "1 unknown: wn30:n99999999"),
        ({"members": [{"ids": ["poodle"]}]}, InvalidInputError, "CURIE"),
        ({"members": [{"ids": []}]}, InvalidInputError, "at least one node"),
        ({"classes": [{"file": "ids.txt"}]}, InvalidInputError, "twice"),
        ({"members": [{"ids": ["n99999999"]}], "climb": "part_of"}, UnknownNameError, "n99999999"),
    ],
)
def test_bad_selections_change_nothing(
    tmp_path: Path, key: dict[str, str], select: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "ids.txt").write_text("n00000001\nn00000001\n", encoding="utf-8")
    with pytest.raises(error, match=message):
        compile_graph(recipe(tmp_path, select), out=tmp_path / "tiny.kg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dict", "ids.txt", "tiny.yaml"]


def test_unknown_climb_relation(tmp_path: Path, key: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError, match=r"part_of(.|\n)*choose from: hypernym"):
        compile_graph(recipe(tmp_path, {"classes": [{"ids": [key["cat"]]}], "climb": "part_of"}))


def test_nothing_is_overwritten_unasked(tmp_path: Path, key: dict[str, str]) -> None:
    first = compile_graph(recipe(tmp_path), out=tmp_path / "tiny.kg")
    with pytest.raises(InvalidInputError, match="overwrit"):
        compile_graph(recipe(tmp_path, {"members": [{"ids": [key["dog"]]}]}), out=tmp_path / "tiny.kg")
    assert KnowledgeGraph.load(tmp_path / "tiny.kg").digest == first.digest
    second = compile_graph(recipe(tmp_path, {"members": [{"ids": [key["dog"]]}]}), out=tmp_path / "tiny.kg", overwrite=True)
    assert KnowledgeGraph.load(tmp_path / "tiny.kg").digest == second.digest != first.digest


HYPERNYM, PART = Relation("hypernym", "is a kind of"), Relation("part", "has part")


def statements(name: str, ids: list[str], triples: list[tuple[int, int, int, float]], relations: tuple[Relation, ...]) -> Statements:
    columns = np.asarray(triples, dtype=np.float64).reshape(-1, 4)
    subject, relation, obj = (columns[:, k].astype(np.int32) for k in range(3))
    return Statements(
        ids=pa.array(ids),
        kinds=pa.array(["concept"] * len(ids)),
        labels=pa.array([f"{i} of {name}" for i in ids]),
        texts=pa.array([""] * len(ids), type=pa.string()),
        relations=relations,
        subject=subject,
        relation=relation,
        object=obj,
        weight=columns[:, 3].astype(np.float32),
        info=SourceInfo(name, "1", "CC0", {}),
    )


def join(*sources: Statements, **settings: Any) -> Joined:
    with open_engine() as engine:
        return join_sources(sources, relation_policy(sources, {}), engine, **settings)


def built(*sources: Statements, **settings: Any) -> KnowledgeGraph:
    manifest = {"sources": [{"name": s.info.name} for s in sources]}
    return _graph(join(*sources, **settings), sources, manifest)


def test_sources_join_by_id_and_duplicates_are_counted() -> None:
    one = statements("one", ["t:c", "t:a"], [(0, 0, 1, 1.0), (0, 0, 1, 3.0), (1, 0, 1, 1.0)], (HYPERNYM,))
    two = statements("two", ["t:b", "t:a", "t:c"], [(2, 1, 1, 5.0), (0, 0, 1, 2.0)], (PART, HYPERNYM))
    graph, dropped = built(one, two), join(one, two).dropped
    assert graph.ids == ("t:a", "t:b", "t:c")
    assert graph.labels == ("t:a of one", "t:b of two", "t:c of one")
    assert graph.node_sources == ("one", "two", "one")
    rows = [
        (graph.ids[s], graph.relations[r].id, graph.ids[o], float(w), int(e))
        for s, r, o, w, e in zip(graph.subject, graph.relation, graph.object, graph.weight, graph.edge_source, strict=True)
    ]
    # two says c hypernym a with weight 5: it stands, since it is the heaviest of three.
    assert rows == [("t:b", "part", "t:a", 2.0, 1), ("t:c", "hypernym", "t:a", 5.0, 1)]
    assert dropped == {"edge from a node to itself": 1, "edge stated twice": 2}


def test_order_of_reading_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    ids = [f"t:{i}" for i in range(50)]
    triples = [(int(a), 0, int(b), 1.0) for a, b in rng.integers(0, 50, size=(200, 2))]
    graph = built(statements("one", ids, triples, (HYPERNYM,)))
    order = rng.permutation(50)
    place = np.argsort(order)
    shuffled = [(int(place[a]), r, int(place[b]), w) for a, r, b, w in triples]
    rng.shuffle(shuffled)
    again = built(statements("one", [ids[i] for i in order], shuffled, (HYPERNYM,)))
    assert again.ids == graph.ids
    assert again.digest == graph.digest


def test_relations_that_disagree_are_refused() -> None:
    other = Relation("hypernym", "is a kind of", symmetric=True)
    with pytest.raises(SourceError, match="agree"):
        join(statements("one", ["t:a"], [], (HYPERNYM,)), statements("two", ["t:a"], [], (other,)))


def test_statements_check_their_columns() -> None:
    with pytest.raises(SourceError, match="every object is a position below 1"):
        statements("one", ["t:a"], [(0, 0, 1, 1.0)], (HYPERNYM,))


def test_a_full_disk_leaves_nothing(tmp_path: Path, key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    compile_graph(recipe(tmp_path), out=tmp_path / "tiny.kg")
    before = {p.name: p.read_bytes() for p in (tmp_path / "tiny.kg").iterdir()}
    monkeypatch.setattr("kgzsl.graphs.graph.write_manifest", full)
    for out in ("tiny.kg", "other.kg"):
        with pytest.raises(ArtifactError, match="No space left"):
            compile_graph(recipe(tmp_path), out=tmp_path / out, overwrite=True)
    assert {p.name: p.read_bytes() for p in (tmp_path / "tiny.kg").iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dict", "tiny.kg", "tiny.yaml"]


def test_all_nouns() -> None:
    graph = compile_graph("wordnet-nouns")
    assert len(graph) == 82_115
    assert graph.counts()["relations"]["instance_hypernym"] == 8_577
    assert graph.counts()["relations"]["part_meronym"] == 9_097
    assert validate_graph(graph) == []
