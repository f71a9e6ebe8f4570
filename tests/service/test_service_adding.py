"""Classes that are added while the service runs."""

from __future__ import annotations

import numpy as np
import pytest
from serving import LEFT_OUT

from kgzsl.encoders import ENCODERS
from kgzsl.graphs.attach import NewClass, attach
from kgzsl.matrices import Vectors
from kgzsl.service.adding import Added, AddedClasses
from kgzsl.service.client import ServiceProblem
from kgzsl.sources.base import SourceInfo


@pytest.fixture
def encoder(bundle):
    made = ENCODERS.make(bundle.adding.encoder, bundle.adding.settings)
    made.load_state(bundle.adding.state)
    return made


@pytest.fixture(autouse=True)
def none_stays(client):
    yield
    for one in client.added_classes("carnivores"):
        client.remove_class("carnivores", one.id)


def test_a_node_is_predicted_as_the_encoder_would_have(client, bundle, world, encoder, rows):
    vectors = Vectors(world.graph.ids, bundle.adding.vectors, bundle.adding.vectors_meta)
    weight = encoder.encode(encoder.view(world.graph), vectors, [LEFT_OUT[0]]).matrix[0]
    (added,) = client.add_classes("carnivores", [{"node": LEFT_OUT[0]}])
    assert added.id == LEFT_OUT[0] and added.relation == "is" and added.milliseconds < 2000
    (one,) = client.predict_features("carnivores", rows.matrix[:1], classes=[LEFT_OUT[0]])
    query = np.append(rows.matrix[0], 1.0)
    assert one.answers[0].score == pytest.approx(float(query @ weight / np.linalg.norm(query)), abs=1e-5)
    assert one.answers[0].added and not one.answers[0].seen


def test_an_added_class_is_answered_explained_and_taken_away(client, bundle):
    (added,) = client.add_classes("carnivores", ["ocelot"])
    assert added.id == LEFT_OUT[0] and added.candidates[0].id == LEFT_OUT[0]
    _, (row,) = client.embed("carnivores", [added.id])
    (one,) = client.predict_features("carnivores", row[None, :-1] * 50, top=10)
    assert added.id in [a.id for a in one.answers]
    (one,) = client.predict_features("carnivores", row[None, :-1] * 50, classes=[added.id], explain=True)
    assert one.answers[0].id == added.id and one.explanation.carriers and one.explanation.path.nodes[0].id == added.id
    assert [c.id for c in client.classes("carnivores", "ocelot").classes] == [added.id]
    client.remove_class("carnivores", added.id)
    (one,) = client.predict_features("carnivores", row[None, :-1] * 50)
    assert added.id not in [a.id for a in one.answers]
    assert client.added_classes("carnivores") == []


def test_a_name_that_is_no_node_is_a_kind_of_what_its_ending_names(client):
    (added,) = client.add_classes("carnivores", [{"name": "flying fox", "text": "a fox with wings"}])
    assert added.relation == "kind of" and added.id == "new:flying-fox"
    assert client.node("carnivores", added.node).label.split(", ")[0] == "fox"
    (other,) = client.add_classes("carnivores", [{"name": "zorse", "below": "wn30:n02083346"}])
    assert other.node == "wn30:n02083346"


def test_all_of_a_request_are_added_or_none(client):
    for classes in (
        [{"name": "flying fox"}, {"node": "wn30:n99999999"}],
        [{"name": "flying fox"}, {"name": "Flying  Fox"}],
        [{"name": "flying fox"}, {"name": "tabby cat"}],  # is one of the bundle's own
        [{"name": "flying fox"}, {}],
        [{"name": "flying fox"}, {"name": "!"}],
        [{"name": "flying fox"}, {"shape": "round"}],
    ):
        with pytest.raises(ServiceProblem) as refused:
            client.add_classes("carnivores", classes)
        assert refused.value.status in (400, 404, 409)
        assert client.added_classes("carnivores") == []


@pytest.mark.parametrize("parent", ["wn30:n02083346", "wn30:n02121808", "wn30:n02133161"])
def test_a_new_kind_is_what_the_grown_graph_would_give(bundle, world, encoder, parent):
    """Against `attach` and a full encoding: the Laplacian and the texts exactly, ancestors but for their sizes, which grow by one."""
    vectors = bundle.adding.vectors
    text = vectors[3] + 0.5 * vectors[200]
    text = text / np.linalg.norm(text)
    grown = attach(world.graph, [NewClass("new:x", "x", "", (parent,))], SourceInfo("later", "1", "none", {}))
    place = {i: k for k, i in enumerate(world.graph.ids)}
    matrix = np.stack([vectors[place[i]] if i in place else text for i in grown.ids])
    view = encoder.view(grown)
    joined = Vectors(grown.ids, matrix, bundle.adding.vectors_meta)
    want = encoder.encode(view, joined, ["new:x"]).matrix[0]
    later = encoder.later(encoder.view(world.graph), Vectors(world.graph.ids, vectors, bundle.adding.vectors_meta))
    at = int(world.graph.positions([parent])[0])
    assert later.below(at, text).weight @ want / np.linalg.norm(want) > 0.998
    place_there = grown.positions(["new:x"])
    exact = encoder._features(view, joined, place_there).similarities(place_there)
    found = later._features.leaf(at, text)
    for name in ("text", "ancestor_text"):
        np.testing.assert_allclose(found[name].numpy(), exact[name].numpy(), atol=2e-6)
    np.testing.assert_allclose(found["laplacian"].numpy(), exact["laplacian"].numpy(), rtol=2e-3, atol=1e-6)


def test_later_nodes_are_the_encoder_s(bundle, world, encoder):
    vectors = Vectors(world.graph.ids, bundle.adding.vectors, bundle.adding.vectors_meta)
    view = encoder.view(world.graph)
    later = encoder.later(view, vectors)
    nodes = world.graph.ids[::30]
    want, influence = encoder.encode(view, vectors, nodes).matrix, encoder.influence(view, vectors, nodes)
    for k, node in enumerate(nodes):
        found = later.node(int(world.graph.positions([node])[0]))
        np.testing.assert_allclose(found.weight, want[k], atol=3e-6)
        np.testing.assert_allclose(found.influence, influence[k], atol=3e-5)


def made(name: str) -> Added:
    return Added(f"new:{name}", name, "t:1", np.ones(4, np.float32), np.arange(2), np.ones(2, np.float32), ("a",), (), {"id": name})


def test_workers_see_each_other_s_classes_at_once_and_strange_files_are_passed_over(tmp_path):
    one, other = AddedClasses(tmp_path / "x", 4), AddedClasses(tmp_path / "x", 4)
    assert one.all() == other.all() == ()
    for k in range(20):  # faster than the clock of the file system ticks
        one.add(made(f"c{k}"))
        assert [a.name for a in other.all()] == [f"c{i}" for i in range(k + 1)]
    (tmp_path / "x" / "00-strange.safetensors").write_bytes(b"nothing")
    other.remove("new:c3")
    assert [a.name for a in one.all()] == [f"c{i}" for i in range(20) if i != 3]
    assert AddedClasses(tmp_path / "x", 5).all() == ()  # of another backbone


def test_embeddings_of_ids_and_names(client, bundle):
    spaces = {s.name: s for s in client.embeddings()}
    assert spaces["carnivores"].dim == 1281 and spaces["carnivores-text"].kind == "text"
    ids = list(bundle.weights.ids[:3])
    told, matrix = client.embed("carnivores", ids)
    np.testing.assert_array_equal(matrix, bundle.weights.matrix[:3])
    assert [v.id for v in told] == ids
    told, matrix = client.embed("carnivores", ["pygmy ocelot"])
    assert told[0].node == LEFT_OUT[0] and told[0].candidates and np.isfinite(matrix).all()
    weights = bundle.weights.matrix / np.linalg.norm(bundle.weights.matrix, axis=1, keepdims=True)
    best = [i for i in np.argsort(-(weights @ weights[5])) if i != 5][:4]
    assert [c.id for c in client.nearest("carnivores", bundle.weights.ids[5], limit=4)] == [bundle.weights.ids[i] for i in best]
