"""What is collected for reports adds up to what was answered."""

from __future__ import annotations

import numpy as np

from kgzsl.calibration import JointScores
from kgzsl.tasks.evidence import ERRORS_EACH, WORST, Evidence, in_graph, nearest_semantics, readable

LABELS = ["t:cat", "t:cat", "t:cat", "t:cat", "t:dog", "t:dog", "t:fox"]
ANSWERS = ["t:dog", "t:dog", "t:fox", "t:cat", "t:dog", "t:dog", "t:cat"]
ROWS = [f"row-{i}" for i in range(7)]


def test_counts_of_two_runs_add_up() -> None:
    evidence = Evidence()
    for _ in range(2):
        evidence.add("zsl", ROWS, LABELS, ANSWERS, {"t:dog"})
    content = evidence.content(readable)
    assert content["classes"] == [["t:cat", "cat"], ["t:dog", "dog"], ["t:fox", "fox"]]
    found = content["protocols"]["zsl"]
    assert found["per_class"] == [[0, False, 8, 2], [1, True, 4, 4], [2, False, 2, 0]]
    assert found["confusions"][0] == [0, 1, 4, ""]
    assert sum(row[2] for row in found["confusions"]) == 2 * sum(a != b for a, b in zip(LABELS, ANSWERS, strict=True))


def test_worst_classes_come_first_and_show_different_rows() -> None:
    evidence = Evidence()
    for _ in range(3):
        evidence.add("zsl", ROWS, LABELS, ANSWERS, {"t:dog"})
    errors = evidence.content(readable)["protocols"]["zsl"]["errors"]
    assert errors[0][:2] == ["row-6", 2]  # the fox is never recognised
    rows = [row for row, _, _ in errors]
    assert len(set(rows)) == len(rows) and 1 not in {c for _, c, _ in errors}
    assert max(np.bincount([c for _, c, _ in errors])) <= ERRORS_EACH


def test_few_classes_are_kept_as_the_worst() -> None:
    labels = [f"t:{i:03d}" for i in range(40)]
    evidence = Evidence()
    evidence.add("zsl", labels, labels, labels[1:] + labels[:1], ())
    assert len({c for _, c, _ in evidence.content(readable)["protocols"]["zsl"]["errors"]}) == WORST


def test_neighbours_and_relations_come_from_the_graph(world) -> None:
    graph = world.graph
    child, parent, _ = graph.edges_of("hypernym")
    one, above = graph.ids[child[0]], graph.ids[parent[0]]
    found = in_graph(graph)(one)
    assert (above, graph.labels[parent[0]], "is a kind of") in found
    assert all(i != one for i, _, _ in found)
    evidence = Evidence()
    evidence.add("zsl", ["a"], [one], [above], {above})
    content = evidence.content(lambda i: graph.labels[int(graph.positions([i])[0])], in_graph(graph))
    assert content["protocols"]["zsl"]["confusions"][0][3] == "is a kind of"
    (_, near), *_ = content["neighbours"]
    assert [graph.labels[parent[0]], "is a kind of", True] in near


def test_without_a_graph_the_nearest_semantics_are_the_neighbours(world) -> None:
    from kgzsl.matrices import ClassEmbeddings

    embeddings = ClassEmbeddings(world.weights.ids, world.weights.matrix)
    nearest = nearest_semantics(embeddings, count=3)(world.weights.ids[0])
    rows = embeddings.matrix - embeddings.matrix.mean(axis=0)
    cosines = rows @ rows[0] / np.linalg.norm(rows, axis=1)
    assert [i for i, _, _ in nearest] == [embeddings.ids[k] for k in np.argsort(-cosines)[1:4]]


def test_the_curve_is_that_of_the_scores_and_holds_the_chosen_point() -> None:
    rng = np.random.default_rng(0)
    truth = np.repeat(np.arange(6), 30)
    seen = np.arange(6) < 4
    scores = rng.normal(size=(180, 6)) + 1.5 * np.eye(6)[truth] + seen
    joint = JointScores.from_scores(scores, truth, seen)
    evidence = Evidence()
    evidence.add_curve("gzsl", joint, 1.0)
    kept = evidence.content(readable)["protocols"]["gzsl"]
    _, s, u = joint.curve()
    whole = {(round(float(a), 4), round(float(b), 4)) for a, b in zip(s, u, strict=True)}
    assert {tuple(p) for p in kept["curve"]} <= whole and len(kept["curve"]) > 10
    answers = (scores - 1.0 * seen).argmax(axis=1)
    assert kept["chosen"][0] == np.mean([(answers == truth)[truth == c].mean() for c in range(4)])
