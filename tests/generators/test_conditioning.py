"""What conditions a generator: embeddings of nodes that no row decides, classes of a benchmark in a graph, drawn weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kgzsl.classifiers import WeightRegression
from kgzsl.classifiers.scaling import SCALINGS, Scaling
from kgzsl.datasets import FeatureSet, Split, read_feature_set
from kgzsl.encoders.base import unit_rows
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.experiments.cell import cell_of, load_cell, shipped_cells
from kgzsl.experiments.runner import check_cell
from kgzsl.generators import FCLSWGAN
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.tasks.drawn import DrawnWeights, condition_of, drawn_method
from kgzsl.tasks.features import FeatureTask
from kgzsl.tasks.generation import GenerationTask, Use
from kgzsl.tasks.semantics import GraphSemantics, graph_of_classes
from kgzsl.workspace import Workspace

RECIPES = ("kzsl-awa-hierarchy", "kzsl-awa-attributes", "kzsl-awa-literals", "kzsl-awa-conceptnet", "kzsl-awa-disjointness", "kzsl-awa")
SMALL: dict[str, Any] = {"hidden": 16, "epochs": 2, "batch_size": 32, "feature_scaling": "standardise", "end": "linear"}
WALK = {"dim": 8, "window": 2}


@pytest.fixture(scope="module")
def carnivores(world: Any, rows: Features, halves: Any) -> FeatureSet:
    """Rows of the carnivores, four of each, under the texts of their nodes."""
    rng = np.random.default_rng(0)
    ids = tuple(f"{i}/{k}" for k in (0, 1) for i in rows.ids)
    matrix = np.concatenate([rows.matrix, rows.matrix + 0.01 * rng.standard_normal(rows.matrix.shape)])
    embeddings = ClassEmbeddings(world.weights.ids, world.vectors.rows(world.weights.ids), {"semantics": "text"})
    return FeatureSet("carnivores", "1", Features(ids, matrix, rows.meta, rows.labels * 2), Split("carnivores", "1", *halves), embeddings)


# ---- embeddings of nodes


def test_embeddings_of_nodes_are_the_encoder_s_and_no_training_row_decides_them(world: Any, carnivores: FeatureSet) -> None:
    made = GraphSemantics(world.graph, encoder="random_walk", settings=WALK, space="nodes")
    classes = carnivores.split.classes
    found = made(carnivores.train, classes)
    assert found.ids == classes and found.dim == 8 and found.meta["space"] == "nodes" and not made.predicts_weights
    noise = replace(carnivores.train, matrix=np.random.default_rng(1).standard_normal(carnivores.train.matrix.shape))
    np.testing.assert_array_equal(found.matrix, made(noise, classes).matrix)
    assert made.on(carnivores, 3).embeddings.meta["settings"]["seed"] == 3 and made.seeded(3).settings["seed"] == 3
    with pytest.raises(InvalidInputError, match="gives vectors, not weights"):
        made.classifier(carnivores.train, classes)


@pytest.mark.parametrize(("encoder", "space"), [("sgcn", "nodes"), ("text", "nodes"), ("random_walk", "rows")])
def test_only_encoders_without_weights_have_embeddings_of_nodes(world: Any, encoder: str, space: str) -> None:
    with pytest.raises(InvalidInputError, match="weights"):
        GraphSemantics(world.graph, encoder=encoder, space=space)


def test_weights_are_no_embeddings_of_one_seed(world: Any, carnivores: FeatureSet) -> None:
    with pytest.raises(InvalidInputError, match="space nodes"):
        GraphSemantics(world.graph, encoder="random_walk", settings=WALK).on(carnivores, 0)


def test_tasks_on_features_take_embeddings_of_nodes(world: Any, carnivores: FeatureSet) -> None:
    made = GraphSemantics(world.graph, encoder="random_walk", settings={"dim": 32, "window": 3}, space="nodes")
    found = FeatureTask(carnivores, "eszsl", semantics=made).run(0)
    assert found == FeatureTask(made.on(carnivores, 0), "eszsl").run(0)
    assert found["zsl"]["T1"] > 2 / len(carnivores.split.unseen)
    use = Use(per_class=5, evaluate_every=2)
    task = GenerationTask(carnivores, "fclswgan", SMALL, use, semantics=made)
    assert task.run(0) == GenerationTask(made.on(carnivores, 0), "fclswgan", SMALL, use).run(0)


# ---- scaling of embeddings, chosen on held-out seen classes


@pytest.mark.parametrize("name", SCALINGS)
def test_embeddings_are_scaled_with_the_statistics_of_seen_classes(name: str, carnivores: FeatureSet) -> None:
    train, seen = carnivores.train, carnivores.split.seen
    settings = {**SMALL, "epochs": 1, "embedding_scaling": name}
    generator = FCLSWGAN(**settings).fit(train.matrix, train.labels, carnivores.embeddings)
    want = Scaling.of(name, carnivores.embeddings.rows(sorted(seen)))(carnivores.embeddings.matrix)
    np.testing.assert_allclose(generator._scaled(carnivores.embeddings.matrix).numpy(), want, atol=1e-6)
    # an unseen class's embedding changes nothing of what another class is drawn from
    odd = carnivores.embeddings.matrix.copy()
    at = carnivores.embeddings.ids.index(carnivores.split.unseen[0])
    odd[at] += 100
    other = FCLSWGAN(**settings).fit(train.matrix, train.labels, ClassEmbeddings(carnivores.embeddings.ids, odd))
    last = [carnivores.split.unseen[-1]]
    np.testing.assert_array_equal(next(generator.synthesise(last, 3)).matrix, next(other.synthesise(last, 3)).matrix)


def test_a_grid_is_decided_by_held_out_seen_classes_alone(carnivores: FeatureSet, monkeypatch: pytest.MonkeyPatch) -> None:
    use, tried = Use(per_class=5, evaluate_every=1), {}
    original = GenerationTask._source

    def watched(self: GenerationTask, data: FeatureSet, seed: int, epochs: int | None, settings: Any) -> Any:
        source, best = original(self, data, seed, epochs, settings)
        unseen = set(data.split.unseen)
        assert (epochs is None) == unseen.issubset(carnivores.split.seen)  # points of the grid never meet an unseen class
        if epochs is None:
            tried[settings["embedding_scaling"]] = source.score(), best
        else:
            tried["final"] = settings["embedding_scaling"], epochs
        return source, best

    monkeypatch.setattr(GenerationTask, "_source", watched)
    GenerationTask(carnivores, "fclswgan", SMALL, use, grid={"embedding_scaling": ["centre_l2", "none"]}).run(0)
    final = tried.pop("final")
    best = max(tried, key=lambda name: tried[name][0])
    assert len(tried) == 2 and final == (best, tried[best][1])
    with pytest.raises(InvalidInputError, match="a scaling is one of the known ones"):
        GenerationTask(carnivores, "fclswgan", grid={"embedding_scaling": ["l2", "whiten"]})


# ---- classes of a benchmark in a graph


@pytest.mark.data
@pytest.mark.parametrize("recipe", RECIPES)
def test_all_fifty_animals_take_the_place_of_their_synsets(recipe: str) -> None:
    from kgzsl.datasets import kzsl_names

    classes, before = read_feature_set("awa1").split.classes, Workspace().graph(recipe)
    graph, synset = graph_of_classes(classes, before), {f"awa:{name}": node for node, name in kzsl_names("AwA").items()}
    assert len(classes) == 50 and set(synset) == set(classes) and all(c in graph for c in classes)
    assert len(graph) == len(before) and not set(synset.values()) & set(graph.ids)
    own = {node: c for c, node in synset.items()}
    for c in classes:
        want = [(d, r, own.get(o, o)) for d, r, o in before.neighbours(synset[c])]
        assert sorted(graph.neighbours(c)) == sorted(want) and any(r == "hypernym" for _, r, _ in want)
    assert graph_of_classes(classes, graph) is graph


@pytest.mark.data
def test_an_animal_s_node_has_the_attributes_that_its_row_of_the_table_has() -> None:
    """Of all 50 nodes, its own has the most of a class's attributes in common with the published table: no link is mixed up."""
    found = read_feature_set("awa1", attributes="binary")
    graph = graph_of_classes(found.split.classes, Workspace().graph("kzsl-awa-literals"))
    columns = [str(name) for name in found.embeddings.meta["columns"]]
    place = {name: i for i, name in enumerate(columns)}
    stated = np.zeros((50, len(columns)))
    for row, c in enumerate(found.split.classes):
        for direction, _, other in graph.neighbours(c):
            label = graph.labels[int(graph.positions([other])[0])]
            if direction == "out" and other.startswith("awa:a") and label in place:
                stated[row, place[label]] = 1
    table = found.embeddings.rows(found.split.classes)
    table = table - table[:, stated.any(axis=0)].mean()
    alike = (stated - stated.mean(axis=0)) @ (table - table.mean(axis=0)).T
    ranks = (alike > np.diag(alike)[:, None]).sum(axis=1)
    assert stated.sum() > 500 and (ranks == 0).mean() > 0.8 and ranks.max() < 6


@pytest.mark.data
def test_birds_stand_in_the_attribute_graph_or_are_attached() -> None:
    classes = read_feature_set("cub").split.classes
    graph = Workspace().graph("cub")
    assert graph_of_classes(classes, graph) is graph
    below = graph_of_classes(classes, Workspace().graph("birds"))
    assert all(("out", "hypernym") in {(d, r) for d, r, _ in below.neighbours(c)} for c in classes)
    with pytest.raises(UnknownNameError, match="every class has its synset"):
        graph_of_classes(read_feature_set("awa1").split.classes, Workspace().graph("birds"))


# ---- drawn weights


@pytest.fixture(scope="module")
def drawn(world: Any) -> DrawnWeights:
    told = {"hidden": 64, "epochs": 30, "learning_rate": 1e-3, "critic_steps": 2, "class_weight": 10.0, "noise": 8}
    settings = {**SMALL, **told, "embedding_scaling": "standardise"}
    return DrawnWeights(world, "fclswgan", settings, condition_of(world), per_class=10, evaluate_every=10)


def test_drawn_prototypes_find_hidden_weights_and_seen_classes_keep_theirs(world: Any, halves: Any, drawn: DrawnWeights) -> None:
    seen, unseen = halves
    classifier = drawn(seen, [*seen, *unseen])
    assert isinstance(classifier, WeightRegression) and classifier.classes == (*seen, *unseen)
    np.testing.assert_allclose(classifier.weights.rows(seen), unit_rows(world.weights.rows(seen)), atol=1e-6)
    scores = unit_rows(classifier.weights.rows(unseen)) @ unit_rows(world.weights.rows(unseen)).T
    assert (scores.argmax(axis=1) == np.arange(len(unseen))).mean() > 0.25
    again = drawn(seen, unseen)
    assert isinstance(again, WeightRegression)
    np.testing.assert_array_equal(again.weights.matrix, classifier.weights.rows(unseen))


def test_unseen_weights_decide_nothing(world: Any, halves: Any, drawn: DrawnWeights) -> None:
    seen, unseen = halves
    matrix = world.weights.matrix.copy()
    matrix[[world.weights.ids.index(c) for c in unseen]] = 1.0
    blind = replace(world, weights=replace(world.weights, matrix=matrix))
    other, same = replace(drawn, knowledge=blind)(seen, unseen), drawn(seen, unseen)
    assert isinstance(other, WeightRegression) and isinstance(same, WeightRegression)
    np.testing.assert_array_equal(other.weights.matrix, same.weights.matrix)


def test_a_prediction_that_conditions_comes_from_an_encoder_that_has_not_seen_the_class(world: Any, halves: Any) -> None:
    seen, unseen = halves
    before = condition_of(world, "nearest_text")(seen, [*seen, *unseen])
    assert before.dim == world.weights.dim
    matrix = world.weights.matrix.copy()
    matrix[world.weights.ids.index(seen[7])] *= -1
    changed = replace(world, weights=replace(world.weights, matrix=matrix))
    after = condition_of(changed, "nearest_text")(seen, [*seen, *unseen])
    np.testing.assert_array_equal(after.rows([seen[7]]), before.rows([seen[7]]))
    assert not np.array_equal(after.matrix, before.matrix)


def test_nodes_condition_without_any_weight(world: Any, halves: Any) -> None:
    seen, unseen = halves
    found = condition_of(world, "random_walk", WALK, "nodes")(seen, unseen)
    assert found.ids == tuple(unseen) and found.dim == 8
    with pytest.raises(InvalidInputError, match="need no weights"):
        condition_of(world, "sgcn", {}, "nodes")
    with pytest.raises(InvalidInputError, match="`text` takes no settings"):
        condition_of(world, "text", {"hops": 2})
    method = drawn_method(world, {"name": "fclswgan", "settings": SMALL, "per_class": 3}, {"encoder": "random_walk", "settings": WALK}, 5)
    assert isinstance(method, DrawnWeights) and method.seed == 5 and method.per_class == 3


# ---- cells


def test_shipped_cells_that_condition_generators_name_what_there_is(world: Any) -> None:
    found = [cell for cell in map(load_cell, _conditioned()) if cell.generator is not None and cell.encoder]
    for cell in found:
        check_cell(cell)
        if cell.task == "feature-zsl":
            GraphSemantics(world.graph, cell.vectors, str(cell.encoder), cell.encoder_settings, cell.template, space=cell.space)
    assert {c.graph for c in found} >= {"kzsl-awa", "kzsl-awa-disjointness", "kzsl-awa-hierarchy", "kzsl-awa-attributes"}


def _conditioned() -> list[str]:
    return [name for name in shipped_cells() if any(part in name for part in ("fclswgan-", "kggan-", "ontozsl-"))]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"semantics": {"encoder": "text", "space": "pixels"}}, "space"),
        ({"generator": {"name": "fclswgan", "grid": {}}}, "grid"),
        ({"method": {"name": "sgcn"}, "generator": None}, "generator"),
        ({"generator": {"name": "fclswgan", "head": "softmax"}}, "softmax"),
    ],
)
def test_cells_that_say_what_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    content: dict[str, Any] = {
        "name": "local_drawn_imagenet-folds",
        "source": "a test of the schema",
        "task": "image-holdout",
        "dataset": "imagenet-samples",
        "graph": "imagenet",
        "vectors": "minilm-l6-v2",
        "backbone": "efficientnet-lite0",
        "semantics": {"encoder": "text"},
        "generator": {"name": "fclswgan"},
        "seeds": [0],
    }
    check_cell(cell_of(content, "it"))
    changed = {k: v for k, v in {**content, **change}.items() if v is not None}
    with pytest.raises(InvalidInputError, match=message):
        cell_of(changed, "it")
