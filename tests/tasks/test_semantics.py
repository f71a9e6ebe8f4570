"""Graph embeddings as class semantics: text, propagation, and predicted weights; never a row of an unseen class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kgzsl.classifiers import feature_classifier
from kgzsl.datasets import read_feature_set
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, compile_graph, undirected
from kgzsl.ids import positions
from kgzsl.matrices import Features
from kgzsl.tasks.semantics import GraphSemantics, knowledge_graph_of
from kgzsl.vectors import MiniLM

FITTED = [("graph_gp", {"steps": 2}), ("sgcn", {"epochs": 3, "hidden": [16]}), ("nearest_text", {})]


class Counting(MiniLM):
    """MiniLM that remembers what it was asked for."""

    asked: int = 0

    def _encode(self, texts: Any) -> Any:
        self.asked += len(texts)
        return super()._encode(texts)


@pytest.fixture(scope="module")
def birds() -> KnowledgeGraph:
    return knowledge_graph_of("cub", compile_graph("birds"))


@pytest.fixture
def semantics(world: Any) -> Any:
    def made(encoder: str, settings: dict[str, Any] | None = None, **more: Any) -> GraphSemantics:
        return GraphSemantics(world.graph, encoder=encoder, settings=settings or {}, **more)

    return made


@pytest.fixture
def train(rows: Features, halves: Any) -> Features:
    """Rows of every third seen class, so that a regression takes a moment."""
    return rows.of_classes(halves[0][::3])


def test_text_is_the_node_s_own_and_propagated_the_means_over_the_whole_graph(world: Any, semantics: Any, train: Features) -> None:
    classes = world.weights.ids[::7]
    np.testing.assert_allclose(semantics("text")(train, classes).matrix, world.vectors.rows(classes), atol=1e-5)
    at, full = world.graph.positions(classes), world.vectors.matrix
    step = undirected(world.graph).adjacency[0]
    for hops in (0, 1, 2, 3):
        found = semantics("propagated", {"hops": hops})(train, classes)
        assert found.ids == tuple(classes) and found.meta["encoder"] == "propagated"
        np.testing.assert_allclose(found.matrix, full[at], atol=1e-5)
        full = step @ full
    np.testing.assert_array_equal(
        semantics("propagated")(train, classes).matrix, semantics("propagated", {"hops": 2})(train, classes).matrix
    )


def test_no_text_outside_the_receptive_field_is_encoded(birds: KnowledgeGraph, train: Features, tmp_path: Any, monkeypatch: Any) -> None:
    encoder = Counting()
    monkeypatch.setenv("KGZSL_CACHE", str(tmp_path))  # nothing is cached yet
    GraphSemantics(birds, encoder, "text")(train, ["cub:Mallard"])
    assert encoder.asked == 1
    GraphSemantics(birds, encoder, "propagated", {"hops": 1})(train, ["cub:Mallard"])
    assert encoder.asked == 3
    GraphSemantics(birds, encoder, "propagated", {"hops": 1})(train, ["cub:Mallard"])
    assert encoder.asked == 3


def test_the_birds_stand_below_birds(birds: KnowledgeGraph) -> None:
    assert len(birds) == len(compile_graph("birds")) + 200 and birds.name == "birds+cub"
    assert birds.neighbours("cub:Laysan_Albatross") == [("out", "hypernym", "wn30:n02058221")]
    with pytest.raises(UnknownNameError, match="choose from: cub, snips"):
        knowledge_graph_of("awa", birds)
    with pytest.raises(InvalidInputError, match="a source of birds"):
        knowledge_graph_of("cub", birds)


@pytest.mark.parametrize(("encoder", "settings"), FITTED)
def test_predicted_weights_are_those_of_the_encoder_on_scaled_features(
    encoder: str, settings: dict[str, Any], world: Any, semantics: Any, train: Features, halves: Any
) -> None:
    made = semantics(encoder, settings, penalty=0.1)
    found = made(train, halves[1])
    assert found.matrix.shape == (len(halves[1]), train.dim + 1) and found.ids == tuple(halves[1])
    deviation, mean = train.matrix.std(axis=0), train.matrix.mean(axis=0)
    # on scaled features the rows are the encoder's own, of length 1 (graph_gp's are longer for general classes)
    weight = found.matrix[:, :-1] * deviation
    scaled = np.concatenate([weight, found.matrix[:, -1:] + found.matrix[:, :-1] @ mean[:, None]], axis=1)
    if encoder == "nearest_text":
        np.testing.assert_allclose(np.linalg.norm(scaled, axis=1), 1, atol=1e-3)
    rows = train.matrix[:5]
    mine = rows @ found.matrix[:, :-1].T + found.matrix[:, -1]
    np.testing.assert_allclose(mine, (rows - mean) / deviation @ scaled[:, :-1].T + scaled[:, -1], atol=1e-3)


@pytest.mark.parametrize(("encoder", "settings"), [*FITTED, ("text", {}), ("propagated", {})])
def test_rows_repeat_bit_for_bit_and_do_not_depend_on_the_other_classes(
    encoder: str, settings: dict[str, Any], semantics: Any, train: Features, halves: Any
) -> None:
    some, all_of_them = halves[1][:5], (*halves[0], *halves[1])
    first = semantics(encoder, settings)(train, some)
    assert np.array_equal(first.matrix, semantics(encoder, settings)(train, some).matrix)
    np.testing.assert_allclose(semantics(encoder, settings)(train, all_of_them).rows(some), first.matrix, atol=1e-4)


def test_the_classifier_keeps_the_weights_of_seen_classes_and_finds_unseen_ones(
    world: Any, semantics: Any, rows: Features, train: Features, halves: Any
) -> None:
    seen, unseen = halves[0][::3], halves[1]
    classifier = semantics("graph_gp", penalty=0.1).classifier(train, (*seen, *unseen))
    best = np.array(classifier.classes)[classifier.scores(train.matrix).argmax(axis=1)]
    assert (best == np.array(train.labels)).mean() > 0.9
    hidden = rows.of_classes(unseen)
    scores = classifier.scores(hidden.matrix)[:, positions(unseen, classifier.classes, "them")]
    assert (np.array(unseen)[scores.argmax(axis=1)] == np.array(hidden.labels)).mean() > 5 / len(unseen)


def test_what_cannot_be_made_is_refused(semantics: Any, train: Features, halves: Any) -> None:
    with pytest.raises(UnknownNameError, match=r"choose from: .*dgp, .*propagated, .*sgcn, .*text"):
        semantics("word2vec")
    with pytest.raises(InvalidInputError, match="must be parameters it has"):
        semantics("sgcn", {"hops": 2})
    with pytest.raises(InvalidInputError, match="`text` takes no settings"):
        semantics("text", {"hops": 2})
    with pytest.raises(InvalidInputError, match="`propagated` takes `hops`"):
        semantics("propagated", {"hop": 2})
    with pytest.raises(InvalidInputError, match="whole number of at least 0"):
        semantics("propagated", {"hops": -1})
    with pytest.raises(InvalidInputError, match="choose from: none, centre, standardise"):
        semantics("sgcn", feature_scaling="l2")
    with pytest.raises(InvalidInputError, match="not weights"):
        semantics("text").classifier(train, halves[1])
    with pytest.raises(InvalidInputError, match="features without labels"):
        semantics("nearest_text")(Features(train.ids, train.matrix), halves[1])
    with pytest.raises(UnknownNameError, match="cub:Dodo"):
        semantics("propagated")(train, ["cub:Dodo"])


@pytest.mark.data
class TestBenchmarks:
    def test_the_graph_tells_unseen_birds_apart(self, birds: KnowledgeGraph) -> None:
        """Chance is 0.02; attributes reach 0.6."""
        found = read_feature_set("cub")
        accuracy = {}
        for encoder in ("text", "propagated"):
            own = GraphSemantics(birds, encoder=encoder)(found.train, found.split.classes)
            classifier = feature_classifier("eszsl").fit(found.train.matrix, found.train.labels, own)
            at = positions(found.split.unseen, own.ids, "them")
            best = classifier.scores(found.test_unseen.matrix)[:, at].argmax(axis=1)
            accuracy[encoder] = (np.array(found.split.unseen)[best] == np.array(found.test_unseen.labels)).mean()
        assert accuracy["text"] > 0.2 and accuracy["propagated"] > accuracy["text"]

    def test_intents_stand_in_their_graph(self) -> None:
        graph = knowledge_graph_of("snips", compile_graph("intents"))
        found = read_feature_set("snips")
        own = GraphSemantics(graph, encoder="text")(found.train, found.split.classes)
        assert own.dim == found.features.dim and np.allclose(np.linalg.norm(unit_rows(own.matrix), axis=1), 1)
        assert read_feature_set("snips", semantics="text").with_embeddings(own).embeddings.ids == found.split.classes
