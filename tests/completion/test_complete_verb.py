"""`kgzsl complete` as a person runs it, on the UMLS semantic network and on a folder of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import kgzsl
from kgzsl.cli.complete import read_settings
from kgzsl.cli.main import app
from kgzsl.completion.evidence import Carriers, find_entity, find_relation
from kgzsl.datasets import Triples, read_completion_set
from kgzsl.errors import IncompatibleError, InvalidInputError, KgzslError, UnknownNameError

QUICK = {"dim": 30, "epochs": 10, "batch_size": 100, "regularisation": 0.01}


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["complete", *(str(a) for a in arguments)])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("complete") / "umls.model"
    kgzsl.fit_completion(read_completion_set("umls"), settings=QUICK, keep=folder)
    return folder


@pytest.mark.data
def test_answers_come_with_reasons(kept: Path) -> None:
    done = run("--dataset", "umls", "--head", "hormone", "--relation", "affects", "--keep", kept, "--top", 4)
    assert done.exit_code == 0, (done.output, done.exception)
    assert "(hormone, affects, ?): best 4 of 135 entities by complex" in done.output
    assert "train" in done.output
    done = run("--dataset", "umls", "--head", "hormone", "-r", "affects", "--keep", kept, "--top", 7, "--json")
    found = json.loads(done.output)
    data = read_completion_set("umls")
    names, rows = data.facts.entities, data.facts.triples
    model = kgzsl.fit_completion(data, settings=QUICK, keep=kept)
    from kgzsl.metrics.filtered_ranking import Queries

    scores = np.asarray(
        model.score(Queries("tail", np.array([names.index("hormone")]), np.array([data.facts.relations.index("affects")])), None)
    )[0]
    assert [a["entity"] for a in found["answers"]] == [names[i] for i in np.argsort(-scores)[:7]]
    stated = {(names[h], data.facts.relations[r], names[t]): data.PARTS[p] for (h, r, t), p in zip(rows.tolist(), data.parts, strict=True)}
    for answer in found["answers"]:
        assert answer["known"] == stated.get(("hormone", "affects", answer["entity"]), "")
        for fact in (*answer["between"], *(fact for fact, _ in answer["similar"])):
            assert stated[tuple(fact)] == "train"  # what it shows as evidence was seen
        for fact in answer["between"]:
            assert {fact[0], fact[2]} == {"hormone", answer["entity"]}
        assert all(fact[1] == "affects" and 0 < alike <= 1 + 1e-6 for fact, alike in answer["similar"])


@pytest.mark.data
def test_heads_new_answers_and_the_rank_of_one(kept: Path) -> None:
    found = kgzsl.complete("umls", relation="affects", tail="cell function", keep=kept, top=135, settings=QUICK)
    assert found.side == "head"
    assert found.given == "cell_function"
    assert sorted(a.rank for a in found.answers) == list(range(1, 136))
    new = kgzsl.complete("umls", relation="affects", tail="cell_function", keep=kept, top=135, new=True, settings=QUICK)
    assert {a.entity for a in new.answers} == {a.entity for a in found.answers if not a.known}
    both = kgzsl.complete("umls", relation="affects", head="hormone", tail="cell_function", keep=kept, top=1, settings=QUICK)
    assert both.asked is not None
    assert both.asked.known
    assert both.asked.rank >= both.answers[0].rank == 1
    done = run("--dataset", "umls", "--head", "hormone", "--relation", "affects", "--tail", "cell_function", "--keep", kept)
    assert f"cell_function: rank {both.asked.rank} of 135" in done.output


@pytest.mark.data
@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"head": "hormon", "relation": "affects"}, UnknownNameError, "did you mean hormone"),
        ({"head": "hormone", "relation": "affect"}, UnknownNameError, r"did you mean affects.*adjacent_to"),
        ({"relation": "affects"}, InvalidInputError, "a head or a tail"),
        ({"head": "hormone", "relation": "affects", "top": 0}, InvalidInputError, "top"),
        ({"head": "hormone", "relation": "affects", "axioms": "last"}, InvalidInputError, "axioms"),
        ({"head": "hormone", "relation": "affects", "model": "gpt"}, UnknownNameError, "complex, degree, distmult"),
        ({"head": "hormone", "relation": "affects", "settings": {"width": 3}}, InvalidInputError, "width"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_fit(arguments: dict[str, Any], error: type[KgzslError], said: str) -> None:
    with pytest.raises(error, match=f"(?s){said}"):
        kgzsl.complete("umls", **arguments)


@pytest.mark.data
def test_a_kept_model_is_the_one_asked_for(kept: Path, tmp_path: Path) -> None:
    data = read_completion_set("umls")
    before = {p.name: p.read_bytes() for p in kept.iterdir()}
    for other in ({"model": "distmult"}, {"settings": {"dim": 31}}):
        with pytest.raises(IncompatibleError, match="keeps the model"):
            kgzsl.fit_completion(data, keep=kept, **other)
    assert before == {p.name: p.read_bytes() for p in kept.iterdir()}
    (tmp_path / "own.model").mkdir()
    with pytest.raises(KgzslError):
        kgzsl.fit_completion(data, keep=tmp_path / "own.model")
    assert list((tmp_path / "own.model").iterdir()) == []


@pytest.mark.data
def test_an_unseen_relation_is_answered_by_its_axioms() -> None:
    from kgzsl.completion import AxiomAnswers, TrainingFacts
    from kgzsl.datasets import read_relation_schema
    from kgzsl.front_completion import read_for_completion

    data = read_for_completion("nell-zs")
    training = TrainingFacts.of(data)
    axioms = AxiomAnswers(training.facts, read_relation_schema("nell-zs"))
    unseen = sorted(set(axioms.derivable()) - {data.facts.relations[r] for r in training.seen_relations()})
    relation = next(r for r in unseen if axioms.derived(r).nnz)
    head = int(axioms.derived(relation).nonzero()[0][0])
    found = kgzsl.complete(data, relation=relation, head=data.facts.entities[head], top=3, model="complex")
    assert not found.seen
    assert found.model == "axioms"
    assert found.answers[0].proofs
    assert found.answers[0].score == pytest.approx(float(np.log1p(axioms.derived(relation)[head].max())), rel=1e-5)
    without = next(data.facts.relations[r] for r in data.relations_of("test") if data.facts.relations[r] not in axioms.derivable())
    with pytest.raises(InvalidInputError, match="never shows"):
        kgzsl.complete(data, relation=without, head=data.facts.entities[head])


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "trade"
    folder.mkdir()
    (folder / "train.txt").write_text("ann\tknows\tbob\nbob\tknows\tcat\ncat\tknows\tann\nann\tlikes\tcat\n")
    (folder / "valid.txt").write_text("bob\tlikes\tann\n")
    (folder / "test.txt").write_text("cat\tlikes\tbob\n")
    done = run(
        "--dataset", folder, "--head", "ann", "--relation", "knows", "--model", "transe", "--set", "dim=8", "--set", "epochs=5", "--json"
    )
    assert done.exit_code == 0, (done.output, done.exception)
    found = json.loads(done.output)
    assert found["model"] == "transe"
    assert {a["entity"] for a in found["answers"]} == {"ann", "bob", "cat"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["trade"]  # nothing is written where nothing was said


def test_a_model_that_is_no_link_model(tmp_path: Path) -> None:
    folder = tmp_path / "trade"
    folder.mkdir()
    rows = [(f"p{k}", "sells", f"w{k}") for k in range(6)] + [(f"w{k}", "part of", f"s{k}") for k in range(6)]
    rows += [(f"p{k}", "supplies", f"s{k}") for k in range(5)]
    (folder / "train.txt").write_text("".join("\t".join(row) + "\n" for row in rows))
    (folder / "valid.txt").write_text("p0\tsupplies\ts1\n")
    (folder / "test.txt").write_text("p5\tsupplies\ts5\n")
    found = kgzsl.complete(folder, head="p5", relation="supplies", model="neighbourhood", settings={"penalties": [1.0]}, top=1)
    assert (found.model, found.answers[0].entity, found.answers[0].known) == ("neighbourhood", "s5", "test")
    with pytest.raises(InvalidInputError, match="are kept"):
        kgzsl.complete(folder, head="p5", relation="supplies", model="neighbourhood", keep=tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_names_and_texts_find_entities() -> None:
    facts = Triples(
        ("q1", "q2", "q3", "q4"),
        ("/people/person/place", "_has_part", "/film/film/place"),
        np.array([[0, 0, 1]]),
        ("Bank, a house of money", "bank; a river's side", "Paris", "paris, in Texas"),
    )
    assert find_entity("q1", facts) == 0
    assert find_entity("Bank, a house of money", facts) == 0
    with pytest.raises(InvalidInputError, match=r"q3 \(Paris\), q4"):
        find_entity("paris", facts)
    with pytest.raises(UnknownNameError, match="q3"):
        find_entity("Pariss", facts)
    assert find_relation("has_part", facts) == 1
    with pytest.raises(UnknownNameError, match=r"(?s)/people/person/place; /film/film/place"):
        find_relation("place", facts)


def test_evidence_by_hand() -> None:
    facts = Triples(tuple("abcd"), ("p", "q"), np.array([[0, 0, 1], [1, 1, 0], [2, 0, 3], [0, 0, 3]]))
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, -1]], dtype=np.float32)
    found = Carriers(facts, vectors).of(0, 0, 1)
    assert found.between == (("b", "q", "a"),)
    assert found.similar == ()  # the tail of the others is opposite
    found = Carriers(facts, vectors).of(2, 0, 1)
    assert [(fact, round(alike, 3)) for fact, alike in found.similar] == [(("a", "p", "b"), 0.6)]
    assert Carriers(facts).of(0, 0, 1).similar == ()


def test_settings_of_the_command_line() -> None:
    assert read_settings(["dim=8", "precision=bfloat16", "learning_rate=1e-3"]) == {
        "dim": 8,
        "precision": "bfloat16",
        "learning_rate": 1e-3,
    }
    for bad in (["dim"], ["=3"], ["dim="], ["dim=1", "dim=2"]):
        with pytest.raises(InvalidInputError, match="NAME=VALUE"):
            read_settings(bad)
