"""Completion sets: the benchmarks as they are, shipped splits made anew, and files with every mistake that matters."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgzsl.data.benchmarks import benchmark_path
from kgzsl.datasets import (
    CandidateLists,
    CompletionSet,
    Triples,
    UnseenEntities,
    UnseenRelations,
    list_completion_sets,
    read_completion_set,
)
from kgzsl.datasets.completion_holdout import (
    PLANS,
    HoldoutPlan,
    apply_holdout,
    make_holdout,
    overlap_of_relations,
    shipped_holdout,
)
from kgzsl.datasets.completion_tables import words_of
from kgzsl.errors import IncompatibleError, InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError

PARTS = {"train": "a\tlikes\tb\nb\tlikes\tc\nc\tknows\ta\n", "valid": "a\tlikes\tc\n", "test": "b\tknows\tc\n"}
BY_RELATION = {"train": "a\tlikes\tb\nb\tlikes\tc\n", "valid": "a\tknows\tc\n", "test": "b\thates\tc\n"}
TEXTS = "likes\tis fond of\nknows\thas met\nhates\tcannot stand\n"


def write(folder: Path, parts: Mapping[str, str] = PARTS, **others: str) -> Path:
    """Write a small benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {**parts, **others}.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def unzipped(file: Path) -> str:
    """Return the text of a gzip file."""
    return gzip.decompress(file.read_bytes()).decode()


# ---- folders of your own


def test_a_folder_of_triples(tmp_path: Path) -> None:
    data = read_completion_set(write(tmp_path / "small", entity2text="a\tAnn\nz\tnobody\n"), version="7")
    assert (data.name, data.version, data.KIND) == ("small", "7", "links")
    assert data.facts.entities == ("a", "b", "c") and data.facts.relations == ("knows", "likes")
    assert data.facts.entity_texts == ("Ann", "", "")
    assert data.triples("test").tolist() == [[1, 0, 2]] and data.triples("train").tolist() == [[0, 1, 1], [1, 1, 2], [2, 0, 0]]
    assert data.counts()["entities of test without a training triple"] == 0
    assert data.digest == read_completion_set(tmp_path / "small", version="7").digest != replace(data, version="8").digest


def test_zipped_files_spaces_and_triples_that_are_there_again(tmp_path: Path) -> None:
    folder = write(tmp_path / "zipped", {"valid": "b\tlikes \t a\n", "test": "b\tknows\tc\n"})
    with gzip.open(folder / "train.tsv.gz", "wt") as stream:
        stream.write("b\tlikes \tc\nc\tknows\t a\nb\tlikes \tc\n")
    data = read_completion_set(folder)
    assert data.facts.entities == ("a", "b", "c") and data.facts.relations == ("knows", "likes")
    assert data.counts()["dropped: train triples that are there again"] == 1 and len(data.triples("train")) == 2


@pytest.mark.parametrize(
    ("parts", "settings", "error", "said"),
    [
        ({**PARTS, "test": "b\tknows\n"}, {}, SourceError, "line 1"),
        ({**PARTS, "test": "b\tknows\tc\nb\t\tc\n"}, {}, SourceError, "line 2: the line has an empty field"),
        ({**PARTS, "test": "b\tknows\tc\td\n"}, {}, SourceError, "has 3 fields, not 4"),
        ({**PARTS, "test": ""}, {}, SourceError, "is empty"),
        ({**PARTS, "test": "b \tknows\tc\n"}, {}, SourceError, "'b' and 'b ' both become 'b'"),
        ({**PARTS, "test": "b\t knows\tc\n"}, {}, SourceError, "'knows' and ' knows' both become 'knows'"),
        ({**PARTS, "test": "a\tlikes\tb\n"}, {}, InvalidInputError, r"is in one part, once\s+received: 1 are there again: \(a, likes, b\)"),
        (PARTS, {"split": "relations"}, InvalidInputError, r"a relation is in one part\s+received: in train and in valid: likes"),
        (PARTS, {"split": "sideways"}, InvalidInputError, "split is one of links, relations, entities"),
        (BY_RELATION, {"split": "relations"}, InvalidInputError, "3 have none: hates, knows, likes"),
        (BY_RELATION, {"split": "relations", "without_text": "shrug"}, InvalidInputError, "without_text is one of"),
        (BY_RELATION, {"sides": 2}, InvalidInputError, "must be parameters it has"),
        ({"train": PARTS["train"], "valid": PARTS["valid"]}, {}, MissingDataError, "test.txt"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, parts: dict, settings: dict, error: type[KgzslError], said: str) -> None:
    with pytest.raises(error, match=said):
        read_completion_set(write(tmp_path / "wrong", parts), **settings)


def test_not_text_not_there_and_unknown(tmp_path: Path) -> None:
    folder = write(tmp_path / "binary")
    (folder / "test.txt").write_bytes(b"a\tknows\t\xff\xfe\n")
    with pytest.raises(SourceError, match="UTF-8"):
        read_completion_set(folder)
    with pytest.raises(UnknownNameError, match="choose from: fb15k-237, fb15k-237-relations, folder"):
        read_completion_set(tmp_path / "nowhere")
    with pytest.raises(MissingDataError, match="is no folder"):
        read_completion_set("folder", path=tmp_path / "nowhere")


def test_a_split_by_relation_with_texts(tmp_path: Path) -> None:
    folder = write(tmp_path / "relations", BY_RELATION, relation2text=TEXTS)
    data = read_completion_set(folder, split="relations")
    assert isinstance(data, UnseenRelations) and data.facts.relation_texts == ("cannot stand", "has met", "is fond of")
    (folder / "relation2text.txt").write_text(TEXTS.replace("cannot stand", ""))
    with pytest.raises(InvalidInputError, match="1 have none: hates"):
        read_completion_set(folder, split="relations")
    assert read_completion_set(folder, split="relations", without_text="keep").facts.without_text() == ("hates",)


def test_a_split_by_entity(tmp_path: Path) -> None:
    folder = write(tmp_path / "graph")
    second = {
        part: "".join(f"2{line}\n" for line in text.replace("\tb", "\t2b").replace("\tc", "\t2c").replace("\ta", "\t2a").splitlines())
        for part, text in PARTS.items()
    }
    write(tmp_path / "graph_ind", second)
    data = read_completion_set(folder, split="entities")
    assert isinstance(data, UnseenEntities) and len(data.triples("facts")) == 3 and data.new_entities("test") == 2
    write(tmp_path / "graph_ind", {"test": "a\tlikes\t2b\n"})
    with pytest.raises(InvalidInputError, match="an entity is in one of two graphs"):
        read_completion_set(folder, split="entities")
    write(tmp_path / "graph_ind", {"test": "2a\tadores\t2b\n"})
    with pytest.raises(InvalidInputError, match="relations that were trained"):
        read_completion_set(folder, split="entities")


def test_types_refuse_what_cannot_be() -> None:
    with pytest.raises(InvalidInputError, match="not name an id twice"):
        Triples(("a", "a"), ("r",), np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(InvalidInputError, match="positions of entities"):
        Triples(("a", "b"), ("r",), np.array([[0, 1, 1]]))
    with pytest.raises(InvalidInputError, match=r"int64 \[triples, 3\]"):
        Triples(("a", "b"), ("r",), np.zeros((1, 2), dtype=np.int64))
    with pytest.raises(InvalidInputError, match="one text each"):
        Triples(("a", "b"), ("r",), np.array([[0, 0, 1]]), entity_texts=("one",))
    facts = Triples(("a", "b"), ("r",), np.array([[0, 0, 1], [1, 0, 0]]))
    with pytest.raises(InvalidInputError, match="test holds none"):
        CompletionSet("x", "1", facts, np.array([0, 1], dtype=np.int8))


def test_candidates_that_miss_are_counted() -> None:
    lists = CandidateLists("given", np.array([0, 1, 1]), np.array([0, 2, 3]), np.array([0, 1, 1, -1]))
    assert lists.missing(np.array([1, 1, 0, 0])).tolist() == [False, False, True, False]


def test_words_of_names() -> None:
    assert words_of("_member_of_domain_region") == "member of domain region"
    assert words_of("/film/film./film/genre") == "film film film genre"


# ---- the benchmarks


@pytest.mark.data
@pytest.mark.parametrize("name", ["fb15k-237", "wn18rr", "umls", "grail-fb237", "grail-wn18rr", "fb15k-237-relations", "wn18rr-relations"])
def test_benchmarks_as_published(name: str) -> None:
    data = read_completion_set(name)
    assert data.name == name and not data.facts.without_text()
    assert sum(not text for text in data.facts.entity_texts) == 0
    assert data.licence != "not stated"


@pytest.mark.data
def test_a_damaged_benchmark_is_not_the_benchmark(tmp_path: Path) -> None:
    for part in PARTS:
        lines = unzipped(benchmark_path(f"kgc/umls/{part}.txt.gz")).splitlines(keepends=True)
        (tmp_path / f"{part}.txt").write_text("".join(lines[:-1] if part == "test" else lines))
    with pytest.raises(InvalidInputError, match=r"has 661 triples in test\s+received: 660"):
        read_completion_set("umls", path=tmp_path)


@pytest.fixture
def nell(tmp_path: Path) -> Path:
    """The folder of NELL-ZS, its files linked, to put others beside them."""
    for file in benchmark_path("kgc/nell-zs").iterdir():
        (tmp_path / file.name).symlink_to(file)
    return tmp_path


@pytest.mark.data
def test_nell_says_what_of_it_is_here() -> None:
    data = read_completion_set("nell-zs", training="partial")
    assert isinstance(data, UnseenRelations) and data.name == "nell-zs-partial" and "27 relations" in data.version
    counts = data.counts()
    assert (counts["relations of training"], counts["relations of training as published"]) == (27, 139)
    assert counts["test triples whose head and tail training knows"] == 2_423
    assert counts["test triples whose candidates miss the true tail"] == 443
    assert data.relation_nodes[data.facts.relations.index("concept:leaguecoaches")] == "nell:leaguecoaches"
    assert data.schema == "nell-zs-schema"


@pytest.mark.data
def test_nell_with_relations_of_another_release_is_another_set() -> None:
    with pytest.raises(InvalidInputError, match="1 have none: concept:athleteflyouttosportsteamposition"):
        read_completion_set("nell-zs")
    data = read_completion_set("nell-zs", without_text="drop")
    assert data.name == "nell-zs-recon" and len(data.relations_of("train")) == 179
    assert data.counts()["dropped: train triples of relations without a text"] > 0
    assert "concept:academicfield:applications" in data.facts.entities
    assert not any(name.startswith("concept_") for name in data.facts.entities)


@pytest.mark.data
def test_wiki_counts_what_is_there_again() -> None:
    data = read_completion_set("wiki-zs")
    assert data.name == "wiki-zs-partial" and data.counts()["dropped: test triples that are there again"] == 102
    assert not data.facts.without_text()
    with pytest.raises(InvalidInputError, match="candidates is one of published, all"):
        read_completion_set("wiki-zs", candidates="types")


@pytest.mark.data
def test_published_candidates(nell: Path) -> None:
    plain = read_completion_set("nell-zs", path=nell, training="partial", candidates="all")
    facts, test = plain.facts, plain.triples("test")
    named = [(facts.entities[h], facts.relations[r], facts.entities[t]) for h, r, t in test.tolist()]
    content: dict[str, dict[str, list[str]]] = {}
    for h, r, t in named[:-2]:  # two triples without a query
        content.setdefault(r, {})[f"{h}\t{r}\t{t}"] = [t, "concept:city:paris", facts.entities[0], facts.entities[0], "concept:no:body"]
    (nell / "test_candidates.json").write_text(json.dumps(content))
    data = read_completion_set("nell-zs", path=nell, training="partial")
    lists = data.candidates["test"]
    assert lists.rule == "published, per triple" and int((lists.of < 0).sum()) == 2
    assert data.counts()["test triples whose candidates miss the true tail"] == 0
    assert 2 <= np.diff(lists.offsets).max() <= 3
    assert data.digest != plain.digest
    content[named[0][1]]["concept:no:body\tx\ty"] = ["concept:city:paris"]
    (nell / "test_candidates.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"is a triple of test\s+received: 1 are not"):
        read_completion_set("nell-zs", path=nell, training="partial")
    (nell / "test_candidates.json").write_text(json.dumps({named[0][1]: {"a\tb": "paris"}}))
    with pytest.raises(SourceError, match="a list of entities for each query"):
        read_completion_set("nell-zs", path=nell, training="partial")


@pytest.mark.data
def test_candidates_by_relation_and_none(nell: Path) -> None:
    with pytest.raises(MissingDataError, match=r"test_candidates\.json"):
        read_completion_set("nell-zs", path=nell, training="partial", candidates="published")
    plain = read_completion_set("nell-zs", path=nell, training="partial", candidates="all")
    every = {plain.facts.relations[r]: list(plain.facts.entities[:50]) for r in plain.relations_of("valid", "test").tolist()}
    (nell / "rel2candidates.json").write_text(json.dumps(every))
    data = read_completion_set("nell-zs", path=nell, training="partial")
    missed = int((data.triples("test")[:, 2] >= 50).sum())
    assert data.counts()["test triples whose candidates miss the true tail"] == missed > 0
    del every["concept:leaguecoaches"]
    (nell / "rel2candidates.json").write_text(json.dumps(every))
    with pytest.raises(SourceError, match="1 have none: concept:leaguecoaches"):
        read_completion_set("nell-zs", path=nell, training="partial")


@pytest.mark.data
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "a JSON object that is not empty"),
        ("{", "is a JSON object"),
        ('{"concept:r": []}', "a list of triples that is not empty"),
        ('{"concept:r": [["a", "concept:r"]]}', "a head, a relation and a tail"),
        ('{"concept:r": [["a", "concept:s", "b"]]}', "listed under its own relation"),
        ('{"concept:r": [["a", "concept:r", " "]]}', "none of them empty"),
    ],
)
def test_malformed_tasks(nell: Path, content: str, said: str) -> None:
    (nell / "train_tasks.json").write_text(content)
    with pytest.raises(SourceError, match=said):
        read_completion_set("nell-zs", path=nell)


@pytest.mark.data
def test_a_published_file_of_other_relations_is_refused(nell: Path) -> None:
    tasks = json.loads(unzipped(nell / "train_tasks_partial.json.gz"))
    (nell / "train_tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(InvalidInputError, match=r"has \(139, 10, 32\) relations"):
        read_completion_set("nell-zs", path=nell)
    tasks["concept:leaguecoaches"] = json.loads(unzipped(nell / "test_tasks.json.gz"))["concept:leaguecoaches"]
    (nell / "train_tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(InvalidInputError, match=r"a relation is in one part|is in one part, once"):
        read_completion_set("nell-zs", path=nell)


# ---- relations held out


@pytest.mark.data
@pytest.mark.parametrize("name", sorted(PLANS))
def test_shipped_splits_are_made_again(name: str) -> None:
    reader, plan = PLANS[name]
    whole = reader().read()
    made, shipped = make_holdout(name, whole, plan), shipped_holdout(name)
    assert made == shipped
    data = apply_holdout(shipped, whole)
    near = overlap_of_relations(whole.facts)
    part = {r: k for k, p in enumerate(data.PARTS) for r in data.relations_of(p).tolist()}
    apart = np.array([part[r] for r in range(len(part))])
    assert near[apart[:, None] != apart[None, :]].max() < plan.overlap
    assert [len(data.relations_of(p)) for p in data.PARTS][1:] == [plan.valid, plan.test]
    assert data.new_entities("valid") == data.new_entities("test") == 0
    assert sum(data.dropped.values()) + len(data) == len(whole)


def test_overlap_counts_copies_and_inverses() -> None:
    rows = [[0, 0, 1], [1, 0, 2], [1, 1, 0], [2, 1, 1], [0, 1, 3], [0, 2, 1], [3, 2, 3], [3, 2, 0]]
    overlap = overlap_of_relations(Triples(tuple("abcd"), ("r", "turned", "other"), np.array(rows)))
    assert overlap[0, 1] == overlap[1, 0] == 1  # both pairs of r, reversed
    assert overlap[0, 2] == 0.5 and overlap[1, 2] == pytest.approx(2 / 3)


def drawn(relations: int) -> CompletionSet:
    random = np.random.default_rng(0)
    rows = np.unique(np.stack([random.integers(0, n, 900) for n in (60, relations, 60)], axis=1), axis=0)
    facts = Triples(tuple(f"{i:02d}" for i in range(60)), tuple(f"r{i:02d}" for i in range(relations)), rows)
    return CompletionSet("drawn", "1", facts, (np.arange(len(rows)) % 3).astype(np.int8))


def test_splits_follow_their_plan() -> None:
    whole = drawn(20)
    plan = HoldoutPlan(valid=3, test=4, strata=3)
    one = make_holdout("drawn-relations", whole, plan)
    assert one == make_holdout("drawn-relations", whole, plan)
    assert one.digest != make_holdout("drawn-relations", whole, replace(plan, seed=1)).digest
    assert [len(one.relations[p]) for p in ("train", "valid", "test")] == [13, 3, 4]
    with pytest.raises(InvalidInputError, match="can be held out for"):
        make_holdout("drawn-relations", whole, HoldoutPlan(valid=10, test=15))
    with pytest.raises(IncompatibleError, match="splits one version"):
        apply_holdout(one, replace(whole, version="2"))


def test_sets_are_listed_with_their_sources() -> None:
    found = {entry.name: entry for entry in list_completion_sets()}
    assert {"nell-zs", "wiki-zs", "fb15k-237", "wn18rr-relations", "grail-fb237", "folder"} <= found.keys()
    assert all(entry.summary and entry.source for entry in found.values())


@pytest.mark.data
def test_the_script_finds_the_shipped_splits() -> None:
    script = Path(__file__).parents[2] / "scripts" / "make_relation_splits.py"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
