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

#: Id, label and relation of each neighbour of a class, nearest first.
Neighbours = Callable[[str], Sequence[tuple[str, str, str]]]
#: Neighbours that are kept of a class and relation.
EACH_RELATION = 6


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
            if len(examples) < ERRORS_EACH and row not in (r for r, _ in examples):
                examples.append((row, answer))

    def add_curve(self, protocol: str, scores: JointScores, gamma: float) -> None:
        """Keep the seen–unseen curve of the first run, thinned, and the point at `gamma`."""
        gammas, seen, unseen = scores.curve()
        at = int(np.searchsorted(gammas, gamma, side="right")) - 1
        self.add_points(protocol, seen, unseen, (float(seen[at]), float(unseen[at])))

    def add_points(self, protocol: str, seen: np.ndarray, unseen: np.ndarray, chosen: tuple[float, float]) -> None:
        """Keep the curve of the first run, of seen and unseen accuracy `[points]`, thinned, and the point that was chosen."""
        kept = self._protocols.setdefault(protocol, _Protocol())
        if kept.curve is not None:
            return
        # even steps along the curve's length, so that flat and steep parts are drawn alike
        length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(seen), np.diff(unseen)))])
        places = np.unique(np.searchsorted(length, np.linspace(0, length[-1], POINTS)))
        kept.curve = [[round(float(seen[i]), 4), round(float(unseen[i]), 4)] for i in places]
        kept.chosen = [*chosen]

    def content(self, label_of: Callable[[str], str], neighbours: Neighbours | None = None) -> dict[str, Any]:
        """Return the evidence as JSON values (see `experiments.results`)."""
        tops = {name: kept.confusions.most_common(CONFUSIONS) for name, kept in self._protocols.items()}
        named = {label for kept in self._protocols.values() for label, _ in kept.rows}
        named |= {answer for top in tops.values() for (_, answer), _ in top}
        worst = {name: kept.worst() for name, kept in self._protocols.items()}
        named |= {a for name, kept in self._protocols.items() for label in worst[name] for _, a in kept.errors[label]}
        ids = sorted(named)
        place = {identifier: i for i, identifier in enumerate(ids)}
        relation: dict[tuple[str, str], str] = {}
        if neighbours is not None:
            for label in {label for top in tops.values() for (label, _), _ in top}:
                relation |= {(label, other): kind for other, _, kind in reversed(neighbours(label))}
        protocols: dict[str, Any] = {}
        for name, kept in self._protocols.items():
            rows = sorted(kept.rows.items())
            protocols[name] = {
                "per_class": [[place[label], seen, count, kept.right[label, seen]] for (label, seen), count in rows],
                "confusions": [
                    [place[label], place[answer], count, relation.get((label, answer), "")] for (label, answer), count in tops[name]
                ],
                "errors": [[row, place[label], place[answer]] for label in worst[name] for row, answer in kept.errors[label]],
            }
            if kept.curve is not None:
                protocols[name] |= {"curve": kept.curve, "chosen": kept.chosen}
        content: dict[str, Any] = {"classes": [[i, label_of(i)] for i in ids], "protocols": protocols}
        if neighbours is not None and worst:
            first = next(iter(worst.values()))
            content["neighbours"] = [[place[c], _kept(neighbours(c), self._seen_beside[c])] for c in first]
        return content


def _kept(found: Sequence[tuple[str, str, str]], seen: Collection[str]) -> list[list[Any]]:
    """Label, relation and whether it is seen, of the first neighbours of every relation, seen ones before others."""
    rows: dict[str, list[list[Any]]] = {}
    for identifier, label, relation in sorted(found, key=lambda n: n[0] not in seen):
        rows.setdefault(relation, []).append([label, relation, identifier in seen])
    return [row for relation in dict.fromkeys(r for _, _, r in found) for row in rows[relation][:EACH_RELATION]]


def nearest_semantics(embeddings: ClassEmbeddings, count: int = 6) -> Neighbours:
    """Return the neighbours function of classes without a graph: those with the nearest embeddings, by centred cosine."""
    rows = embeddings.matrix.astype(np.float64) - embeddings.matrix.mean(axis=0)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

    place = {identifier: i for i, identifier in enumerate(embeddings.ids)}

    def neighbours(identifier: str) -> list[tuple[str, str, str]]:
        at = place[identifier]
        order = [i for i in np.argsort(-(rows @ rows[at]), kind="stable") if i != at][:count]
        return [(embeddings.ids[i], readable(embeddings.ids[i]), "near in semantics") for i in order]

    return neighbours


def in_graph(graph: KnowledgeGraph) -> Neighbours:
    """Return the neighbours function of classes in a graph: their hypernyms, hyponyms and siblings."""
    child, parent, _ = graph.edges_of("hypernym")

    def neighbours(identifier: str) -> list[tuple[str, str, str]]:
        at = int(graph.positions([identifier])[0])
        above, below = parent[child == at], child[parent == at]
        beside = np.setdiff1d(child[np.isin(parent, above)], [at])
        found = (("is a kind of", above), ("kind of it", below), ("beside it", beside))
        return [(graph.ids[n], graph.labels[n], relation) for relation, nodes in found for n in nodes.tolist()]

    return neighbours


def readable(identifier: str) -> str:
    """Return a class id as words: without its prefix and underscores."""
    return identifier.split(":", 1)[-1].replace("_", " ")
