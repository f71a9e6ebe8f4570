"""Node text by template."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kgzsl.errors import InvalidInputError
from kgzsl.vectors import node_texts

GRAPH = SimpleNamespace(ids=["wn30:n02084071", "cn:odd"], labels=["dog, domestic dog", "odd"], texts=["a {canine} mammal", ""])


def test_default_template_joins_lemmas_and_gloss_and_drops_the_separator_of_a_missing_gloss() -> None:
    assert node_texts(GRAPH) == ["dog, domestic dog: a {canine} mammal", "odd"]


def test_lemmas_only() -> None:
    assert node_texts(GRAPH, "{lemmas}") == ["dog, domestic dog", "odd"]


@pytest.mark.parametrize("template", ["no field", "{lemma}", "{lemmas.__class__}", "{0}", "{lemmas", ""])
def test_other_templates_are_refused(template: str) -> None:
    with pytest.raises(InvalidInputError):
        node_texts(GRAPH, template)
