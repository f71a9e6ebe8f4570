"""Settings are chosen on held-out seen classes; nothing of an unseen class is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers.cases import COLUMNS, training

from kgzsl.classifiers import ESZSL
from kgzsl.classifiers.selection import choose
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.matrices import ClassEmbeddings

GRID = {"gamma": [0.1, 10.0, 1e3], "lam": [0.1, 10.0]}


@pytest.fixture(scope="module")
def rows_and_names(rows, halves):
    features, labels = training(rows, halves[0])
    return features[:, :COLUMNS], labels


@pytest.fixture(scope="module")
def embeddings(world, halves):
    axis = halves[0] + halves[1]
    return ClassEmbeddings(axis, world.vectors.rows(axis))


@pytest.fixture(scope="module")
def choice(rows_and_names, embeddings):
    return choose("eszsl", GRID, *rows_and_names, embeddings, 0, repeats=2)


def test_the_best_row_of_the_table_is_chosen(choice):
    assert len(choice.table) == 6 and [s for s, _ in choice.table][1] == {"gamma": 0.1, "lam": 10.0}
    accuracies = [accuracy for _, accuracy in choice.table]
    assert choice.settings == choice.table[int(np.argmax(accuracies))][0]
    assert 0 <= min(accuracies) < max(accuracies) <= 1
    assert choice.selected_on == "39 of 118 seen classes held out, 2 draws, seed 0"


def test_unseen_classes_decide_nothing(choice, rows_and_names, embeddings, halves):
    poisoned = np.array(embeddings.matrix)
    poisoned[len(halves[0]) :] = 1e6
    assert choose("eszsl", GRID, *rows_and_names, ClassEmbeddings(embeddings.ids, poisoned), 0, repeats=2) == choice
    assert choose("eszsl", GRID, *rows_and_names, embeddings.select(halves[0]), 0, repeats=2) == choice


def test_another_seed_holds_out_other_classes(choice, rows_and_names, embeddings):
    assert choose("eszsl", GRID, *rows_and_names, embeddings, 1, repeats=2).table != choice.table


def test_the_accuracy_is_the_mean_over_held_out_classes(rows_and_names, embeddings, monkeypatch):
    """Recounted by hand from what was fitted and scored."""
    features, labels = rows_and_names
    calls = []
    original = ESZSL.fit
    monkeypatch.setattr(ESZSL, "fit", lambda self, x, y, e: calls.append((set(y), e)) or original(self, x, y, e))
    found = choose("eszsl", {"gamma": [10.0]}, features, labels, embeddings, 3, fraction=0.25).table[0][1]
    ((kept, axis),) = calls
    held_out = [i for i in axis.ids if i not in kept]
    assert len(held_out) == round(0.25 * 118) and set(axis.ids) == set(labels)
    mine = [n for n, label in enumerate(labels) if label in kept]
    classifier = original(ESZSL(gamma=10.0), features[mine], [labels[n] for n in mine], axis)
    means = []
    for identifier in held_out:
        scores = classifier.scores(features[[n for n, label in enumerate(labels) if label == identifier]])
        best = scores[:, [axis.ids.index(i) for i in held_out]].argmax(axis=1)
        means.append(np.mean([held_out[b] == identifier for b in best]))
    assert found == pytest.approx(np.mean(means))


def test_what_cannot_be_chosen_is_refused(rows_and_names, embeddings, halves):
    features, labels = rows_and_names
    with pytest.raises(UnknownNameError, match="eszsl"):
        choose("essl", GRID, features, labels, embeddings, 0)
    with pytest.raises(InvalidInputError, match="weights"):
        choose("conse", {"top": [1]}, features, labels, embeddings, 0)
    for grid, match in (({}, "grid"), ({"gamma": []}, "grid"), ({"gama": [1]}, "gama"), ({"gamma": [1, -1]}, "positive")):
        with pytest.raises(InvalidInputError, match=match):
            choose("eszsl", grid, features, labels, embeddings, 0)
    for more in ({"fraction": 0}, {"fraction": 1}, {"repeats": 0}):
        with pytest.raises(InvalidInputError, match="fraction"):
            choose("eszsl", GRID, features, labels, embeddings, 0, **more)
    three = [n for n, label in enumerate(labels) if label in set(halves[0][:3])]
    with pytest.raises(InvalidInputError, match="four"):
        choose("eszsl", GRID, features[three], [labels[n] for n in three], embeddings, 0)
