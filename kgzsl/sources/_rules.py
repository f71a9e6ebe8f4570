"""Rules over ids, as settings of a reader: what they become, of which kind nodes are, and which are read at all.

Patterns are RE2's, which takes time in proportion to its input; a pattern covers the whole CURIE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError, SourceError, first_five
from kgzsl.sources.base import Relation
from kgzsl.sources.vocabulary import vocabulary

#: The value of a reader's setting `kind` that takes kinds from the vocabulary's domains and ranges.
BY_RELATIONS = "by_relations"
_CURIE = r"^[A-Za-z][\w.-]*:\S+$"


class Rules:
    """Rules over the ids of one source.

    Parameters
    ----------
    ids : pattern → what the id becomes, `\\1` standing for the first group; the first pattern that covers an id counts.
    kinds : pattern → kind; the first that covers an id counts.
    nodes : pattern of the nodes that are read; empty = all.

    Raises
    ------
    InvalidInputError : a pattern that RE2 does not read, or an unknown kind.
    """

    def __init__(self, ids: Mapping[str, str] | None = None, kinds: Mapping[str, str] | None = None, nodes: str = "") -> None:
        self._ids = {_whole(p): replacement for p, replacement in (ids or {}).items()}
        self._kinds = {_whole(p): kind for p, kind in (kinds or {}).items()}
        self._nodes = _whole(nodes) if nodes else ""
        for pattern, replacement in self._ids.items():
            _replaced(pa.array([""]), pattern, replacement)
        if unknown := sorted(set(self._kinds.values()) - set(vocabulary().kinds)):
            raise InvalidInputError(
                "a node's kind is one of the vocabulary's",
                received=first_five(unknown),
                remedy=f"choose from: {', '.join(vocabulary().kinds)}",
            )

    def rewrite(self, ids: pa.StringArray) -> pa.StringArray:
        """Return what ids become; null stays null. Raises SourceError where a rule leaves no CURIE."""
        if not self._ids:
            return ids
        out, done = ids, pc.is_null(ids)
        for pattern, replacement in self._ids.items():
            here = pc.and_(pc.fill_null(pc.match_substring_regex(ids, pattern), False), pc.invert(done))
            out = pc.if_else(here, _replaced(ids, pattern, replacement), out)
            done = pc.or_(done, here)
        broken = pc.invert(pc.fill_null(pc.match_substring_regex(out, _CURIE), True))
        if pc.any(broken).as_py():
            raise SourceError(
                "what an id becomes is a CURIE",
                received=first_five(
                    f"{old!r} → {new!r}" for old, new in zip(ids.filter(broken).to_pylist(), out.filter(broken).to_pylist(), strict=True)
                ),
                remedy="correct the setting ids",
            )
        return out

    @property
    def selects(self) -> bool:
        """Whether some nodes are not read."""
        return bool(self._nodes)

    def inside(self, ids: pa.StringArray) -> np.ndarray:
        """Return which ids are those of nodes that are read, bool `[ids]`; null is not."""
        return np.asarray(pc.fill_null(pc.match_substring_regex(self.rewrite(ids), self._nodes), False), dtype=bool)

    def kinds(self, ids: pa.StringArray, default: pa.StringArray) -> pa.StringArray:
        """Return the kind of every id: that of the first pattern that covers it, else the default, `[ids]`."""
        for pattern, kind in reversed(self._kinds.items()):
            default = pc.if_else(pc.match_substring_regex(ids, pattern), kind, default)
        return default


def kinds_by_relations(
    nodes: int, relations: Sequence[Relation], subject: np.ndarray, relation: np.ndarray, obj: np.ndarray
) -> pa.StringArray:
    """Return the kind that the vocabulary's domains and ranges give every node, `concept` where they are silent, `[nodes]`.

    A node at the ends of two relations that disagree has the kind of the more special one by the order of the vocabulary's kinds.

    Parameters
    ----------
    subject, relation, obj : positions, `[edges]`.
    """
    known = vocabulary()
    order = ["concept", *(k for k in known.kinds if k not in ("node", "concept"))]
    kind = np.zeros(nodes, dtype=np.int64)
    for number, stated in enumerate(relations):
        here = relation == number
        for ends, table in ((subject, known.domains), (obj, known.ranges)):
            word = table.get(stated.id, "node")
            if word in order:
                np.maximum.at(kind, ends[here], order.index(word))
    return pa.array(order).take(pa.array(kind))


def _whole(pattern: str) -> str:
    whole = f"^(?:{pattern})$"
    try:
        pc.match_substring_regex(pa.array([""]), whole)
    except (pa.ArrowInvalid, TypeError) as error:
        raise InvalidInputError("a pattern is a regular expression of RE2", received=f"{pattern!r}: {error}") from error
    return whole


def _replaced(ids: pa.StringArray, pattern: str, replacement: str) -> pa.StringArray:
    try:
        return pc.replace_substring_regex(ids, pattern, replacement)
    except (pa.ArrowInvalid, TypeError) as error:
        raise InvalidInputError("a replacement names groups that its pattern has", received=f"{replacement!r}: {error}") from error
