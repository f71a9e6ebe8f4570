"""The text of a node: its lemmas and its gloss, put together by a template."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Protocol

from kgzsl.errors import InvalidInputError

LEMMAS_GLOSS = "{lemmas}: {gloss}"
LEMMAS = "{lemmas}"
_FIELDS = {"lemmas", "gloss"}
#: Removed at the ends of a text whose lemmas or gloss are missing.
_SEPARATORS = " :;,-\n\t"


class HasTexts(Protocol):
    """What is read of a graph (`kgzsl.graphs.KnowledgeGraph` has it)."""

    @property
    def ids(self) -> Sequence[str]: ...
    @property
    def labels(self) -> Sequence[str]: ...
    @property
    def texts(self) -> Sequence[str]: ...


def node_texts(graph: HasTexts, template: str = LEMMAS_GLOSS) -> list[str]:
    """Return the text of every node of `graph`, in the order of `graph.ids`.

    Parameters
    ----------
    template : may name `{lemmas}` ("dog, domestic dog") and `{gloss}` ("a member of the genus Canis …"). Where a node
        has no gloss, the separator before it is dropped with it.

    Raises
    ------
    InvalidInputError : the template names neither, or another field.
    """
    _check(template)
    return [_fill(template, label, text) for label, text in zip(graph.labels, graph.texts, strict=True)]


def _fill(template: str, lemmas: str, gloss: str) -> str:
    text = template
    # replace, not str.format: glosses hold braces
    for name, value in (("{lemmas}", lemmas), ("{gloss}", gloss)):
        text = text.replace(name, value or "")
    return text if lemmas and gloss else text.strip(_SEPARATORS)


def _check(template: str) -> None:
    try:
        fields = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise InvalidInputError("a text template is a format string", received=f"{template!r}: {error}") from error
    if not fields or set(fields) - _FIELDS:
        raise InvalidInputError(
            "a text template names {lemmas}, {gloss} or both, and nothing else",
            received=repr(template),
            remedy=f"for example {LEMMAS_GLOSS!r}",
        )
