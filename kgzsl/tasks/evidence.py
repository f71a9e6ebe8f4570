"""What a report draws: counts per class, confusions, the seen–unseen curve, and where the worst classes stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.calibration import JointScores

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.matrices import ClassEmbeddings

#: How much is kept: confusions per protocol, worst classes, wrong rows of each, points of a curve.
CONFUSIONS, WORST, ERRORS_EACH, POINTS = 150, 12, 2, 101

#: Label, relation and whether it is seen, of each neighbour of a class, given the seen classes.
Neighbours = Callable[[str, Collection[str]], Sequence[tuple[str, str, bool]]]


@dataclass
class _Protocol:
    rows: Counter[tuple[str, bool]] = field(default_factory=Counter)
    right: Counter[tuple[str, bool]] = field(default_factory=Counter)
    confusions: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    curve: list[list[float]] | None = None
    chosen: list[float] | None = None

    def worst(self) -> list[str]:
        """Classes from the least accurate one on, unseen before seen, those without an error left out."""
        kinds = sorted(self.rows, key=lambda kind: (kind[1], self.right[kind] / self.rows[kind], -self.rows[kind], kind[0]))
        return list(dict.fromkeys(label for label, seen in kinds if self.right[label, seen] < self.rows[label, seen]))[:WORST]


@dataclass
class Evidence:
    """Collects over runs what `experiments.results` calls evidence."""

    _protocols: dict[str, _Protocol] = field(default_factory=dict)
    _seen_beside: dict[str, Collection[str]] = field(default_factory=dict)

    def add(self, protocol: str, ids: Sequence[str], labels: Sequence[str], answers: Sequence[str], seen: Collection[str]) -> None:
        """Count the answers of one run.

        Parameters
        ----------
        ids, labels, answers : row id, class and answered class of every row, `[rows]`.
        seen : the seen classes of this run.
        """
        kept = self._protocols.setdefault(protocol, _Protocol())
        for row, label, answer in zip(ids, labels, answers, strict=True):
            kind = (label, label in seen)
            kept.rows[kind] += 1
            self._seen_beside.setdefault(label, seen)
            if label == answer:
                kept.right[kind] += 1
                continue
            kept.confusions[label, answer] += 1
            examples = kept.errors.setdefault(label, [])
            if len(examples) < ERRORS_EACH:
                examples.append((row, answer))

    def add_curve(self, protocol: str, scores: JointScores, gamma: float) -> None:
        """Keep the seen–unseen curve of the first run, thinned, and the point at `gamma`."""
        kept = self._protocols.setdefault(protocol, _Protocol())
        if kept.curve is not None:
            return
        gammas, seen, unseen = scores.curve()
        # even steps along the curve's length, so that flat and steep parts are drawn alike
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(seen), np.diff(unseen)))])
        places = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
        kept.curve = [[round(float(seen[i]), 4), round(float(unseen[i]), 4)] for i in places]
        at = int(np.searchsorted(gammas, gamma, side="right")) - 1
        kept.chosen = [float(seen[at]), float(unseen[at])]

    def content(self, label_of: Callable[[str], str], neighbours: Neighbours | None = None) -> dict[str, Any]:
        """Return the evidence as JSON values (see `experiments.results`)."""
        tops = {name: kept.confusions.most_common(CONFUSIONS) for name, kept in self._protocols.items()}
        named = {label for kept in self._protocols.values() for label, _ in kept.rows}
        named |= {answer for top in tops.values() for (_, answer), _ in top}
        worst = {name: kept.worst() for name, kept in self._protocols.items()}
        named |= {a for name, kept in self._protocols.items() for label in worst[name] for _, a in kept.errors[label]}
        ids = sorted(named)
        place = {identifier: i for i, identifier in enumerate(ids)}
        protocols: dict[str, Any] = {}
        for name, kept in self._protocols.items():
            rows = sorted(kept.rows.items())
            protocols[name] = {
                "per_class": [[place[label], seen, count, kept.right[label, seen]] for (label, seen), count in rows],
                "confusions": [[place[label], place[answer], count] for (label, answer), count in tops[name]],
                "errors": [[row, place[label], place[answer]] for label in worst[name] for row, answer in kept.errors[label]],
            }
            if kept.curve is not None:
                protocols[name] |= {"curve": kept.curve, "chosen": kept.chosen}
        content: dict[str, Any] = {"classes": [[i, label_of(i)] for i in ids], "protocols": protocols}
        if neighbours is not None and worst:
            first = next(iter(worst.values()))
            content["neighbours"] = [[place[c], [list(n) for n in neighbours(c, self._seen_beside[c])]] for c in first]
        return content


def nearest_semantics(embeddings: ClassEmbeddings, count: int = 6) -> Neighbours:
    """Return the neighbours function of classes without a graph: those with the nearest embeddings, by centred cosine."""
    rows = embeddings.matrix.astype(np.float64) - embeddings.matrix.mean(axis=0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    def neighbours(identifier: str, seen: Collection[str]) -> list[tuple[str, str, bool]]:
        at = embeddings.ids.index(identifier)
        cosines = rows @ rows[at]
        order = [i for i in np.argsort(-cosines, kind="stable") if i != at][:count]
        return [(readable(embeddings.ids[i]), f"near in semantics ({cosines[i]:.2f})", embeddings.ids[i] in seen) for i in order]

    return neighbours


def in_graph(graph: KnowledgeGraph, count: int = 6) -> Neighbours:
    """Return the neighbours function of classes in a graph: up to `count` hypernyms, hyponyms and siblings each, seen ones first."""
    child, parent, _ = graph.edges_of("hypernym")

    def neighbours(identifier: str, seen: Collection[str]) -> list[tuple[str, str, bool]]:
        at = int(graph.positions([identifier])[0])
        above, below = parent[child == at], child[parent == at]
        beside = np.setdiff1d(child[np.isin(parent, above)], [at])
        found = []
        for relation, nodes in (("is a kind of", above), ("kind of it", below), ("beside it", beside)):
            rows = sorted((graph.ids[n] not in seen, graph.labels[n]) for n in nodes.tolist())
            found += [(label, relation, not unseen) for unseen, label in rows[:count]]
        return found

    return neighbours


def readable(identifier: str) -> str:
    """Return a class id as words: without its prefix and underscores."""
    return identifier.split(":", 1)[-1].replace("_", " ")
