"""Names and glosses by their meaning, with the real sentence encoder."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError
from kgzsl.vectors.meaning import COMPANY, NAME_WEIGHT, GlossSimilarity

GRAPH = SimpleNamespace(
    ids=["x:0", "x:1", "x:2", "x:3", "x:4"],
    labels=["seal", "seal", "walrus", "dolphin", "stamp"],
    texts=["a sea mammal with flippers", "a device that stamps wax", "a sea mammal with tusks", "a sea mammal", "a postal token"],
)
PAIRS = (np.array([0, 0]), np.array([0, 1]))


@pytest.mark.parametrize(("said", "best"), [("an animal that swims and eats fish", 0), ("closes a letter with hot wax", 1)])
def test_a_description_decides(said: str, best: int) -> None:
    found = GlossSimilarity(GRAPH, ["seal", "walrus"], {"seal": [said]})(*PAIRS)
    assert found.shape == (2,) and int(found.argmax()) == best


@pytest.mark.parametrize(("sure", "best"), [((2, 3), 0), ((4,), 1)])
def test_without_one_the_other_names_do(sure: tuple[int, ...], best: int) -> None:
    found = GlossSimilarity(GRAPH, ["seal", "walrus"], sure=sure)(*PAIRS)
    assert int(found.argmax()) == best
    # company beyond the nearest few does not count, and the bare name counts less than it would as a description
    alone = GlossSimilarity(GRAPH, ["seal", "walrus"])(*PAIRS)
    assert len(sure) <= COMPANY and (found > alone).all() and (np.abs(alone) <= NAME_WEIGHT).all()


def test_pairs_are_scored_one_by_one_whatever_their_order() -> None:
    similarity = GlossSimilarity(GRAPH, ["seal", "walrus"], sure=(3,))
    names, nodes = np.array([1, 0, 0, 1]), np.array([2, 0, 1, 0])
    together = similarity(names, nodes)
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(similarity(names[order], nodes[order]), together[order], atol=1e-6)


def test_a_description_of_no_name_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="walruss"):
        GlossSimilarity(GRAPH, ["seal"], {"walruss": ["a sea mammal"]})
