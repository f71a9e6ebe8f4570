"""Names linked to WordNet's nouns by their words."""

from __future__ import annotations

import time

import pytest

from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph, compile_graph, link
from kgzsl.graphs.link import words

BIRD = "wn30:n01503061"


@pytest.fixture(scope="module")
def nouns() -> KnowledgeGraph:
    return compile_graph("wordnet-nouns")


@pytest.mark.parametrize(
    ("name", "node", "by", "score"),
    [
        ("Black footed Albatross", "wn30:n02058747", "exact", 1.0),
        ("black-footed albatrosses", "wn30:n02058747", "exact", 1.0),
        ("BLACK_FOOTED_ALBATROSS", "wn30:n02058747", "exact", 1.0),
        ("Laysan Albatross", "wn30:n02058221", "suffix", 1 / 2),
        ("Clark Nutcracker", "wn30:n01581984", "exact", 1.0),
        ("Chuck will Widow", "wn30:n01835918", "exact", 1.0),
        ("Whip poor Will", "wn30:n01836087", "exact", 1.0),
        ("Frigatebird", "wn30:n02052775", "exact", 1.0),
        ("a strange white bird", BIRD, "suffix", 1 / 4),
    ],
)
def test_the_longest_ending_that_is_a_lemma_is_linked(nouns: KnowledgeGraph, name: str, node: str, by: str, score: float) -> None:
    found = link([name], nouns, BIRD)[0]
    assert (found.name, found.node, found.by, found.score) == (name, node, by, pytest.approx(score))


def test_only_what_is_below_the_node_is_linked(nouns: KnowledgeGraph) -> None:
    everywhere, bird = link(["crane"], nouns)[0], link(["crane"], nouns, BIRD)[0]
    assert everywhere.ambiguous and bird.node in everywhere.candidates
    assert {"wn30:n03126707", bird.node} <= set(everywhere.candidates) and "wn30:n03126707" not in bird.candidates
    assert link(["house"], nouns, BIRD)[0].node is None
    assert link(["Gadwall"], nouns, BIRD)[0] == link(["Gadwall", "Mallard"], nouns, BIRD)[0]


def test_several_nodes_are_told_with_the_best_named_one_first(nouns: KnowledgeGraph) -> None:
    found = link(["Tree Swallow", "Gadwall"], nouns, BIRD)
    assert found[0].ambiguous and found[0].candidates == ("wn30:n01595168", "wn30:n01595450")
    assert (found[1].by, found[1].node, found[1].score, found[1].candidates) == ("none", None, 0.0, ())
    assert not found[1].ambiguous


def test_words_are_compared_without_case_hyphens_accents_possessives_and_plurals() -> None:
    assert words("Wilson's Warblers") == words("wilson warbler") == ["wilson", "warbler"]
    assert words("Chuck-will’s-widow") == ["chuck", "will", "widow"]
    assert words("Québec berries") == ["quebec", "berry"]
    assert words("boxes, finches and grass of Harris") == ["box", "finch", "and", "grass", "of", "harris"]


def test_many_names_are_linked_at_once(nouns: KnowledgeGraph) -> None:
    start = time.perf_counter()
    found = link([f"{label.split(', ')[0]}" for label in nouns.labels], nouns)
    assert time.perf_counter() - start < 30
    assert all(f.by == "exact" and i in f.candidates for f, i in zip(found, nouns.ids, strict=True))


def test_names_without_words_and_unknown_nodes_are_refused(nouns: KnowledgeGraph) -> None:
    with pytest.raises(InvalidInputError, match="a name to link has a word"):
        link(["dog", " - "], nouns)
    with pytest.raises(UnknownNameError, match="wn30:n99999999"):
        link(["dog"], nouns, "wn30:n99999999")
