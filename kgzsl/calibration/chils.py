"""CHiLS: look for the subclasses, answer with the class above them (Novack et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from scipy import sparse

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted
from kgzsl.calibration.temperature import fit_temperature, softmax
from kgzsl.graphs.hierarchy import reachable, single_adjacency
from kgzsl.graphs.views import View
from kgzsl.ids import check_unique, positions

#: Values of one block of rows × pairs.
_BLOCK_VALUES = 2**22


@dataclass(frozen=True, eq=False)
class SubclassSets:
    """For every class the nodes that stand for it.

    Attributes
    ----------
    classes : the label set, `[classes]`.
    subclasses : `[subclasses]`, each once; a node below two classes stands for both.
    parent, child : positions of classes and of subclasses, int64 `[pairs]`, sorted by parent; every class has a pair.
    """

    classes: tuple[str, ...]
    subclasses: tuple[str, ...]
    parent: np.ndarray = field(repr=False)
    child: np.ndarray = field(repr=False)

    @classmethod
    def of_view(cls, view: View, classes: Sequence[str], *, among: Sequence[str] | None = None, include_class: bool = True) -> SubclassSets:
        """Take the descendants of every class in a directed hypernym view.

        The descent stops at another class of the label set: what is below it stands for that one. A class without a
        descendant stands for itself.

        Parameters
        ----------
        view : rows point to the parents, as `graphs.directed` gives it.
        among : the nodes that can be scored; None allows all.
        include_class : a class with descendants stands for itself too.

        Raises
        ------
        UnknownNameError : a class or one of `among` is not a node of the view.
        """
        check_unique(classes, "the classes of subclass sets")
        at = positions(classes, view.ids, "the view")
        down = sparse.csr_matrix(single_adjacency(view).T)
        # edges into a class are cut, so that no descent enters another one
        enterable = np.ones(len(view.ids), dtype=bool)
        enterable[at] = False
        cut = down @ sparse.diags(enterable.astype(np.float32))
        cut = sparse.csr_matrix(cut)
        cut.eliminate_zeros()
        below = reachable(View(view.ids, (cut,), f"below classes of {view.name}", view.graph_digest), at).tocoo()
        parent, node = below.row.astype(np.int64), below.col.astype(np.int64)
        own = node == at[parent]
        allowed = np.ones(len(view.ids), dtype=bool)
        if among is not None:
            allowed[:] = False
            allowed[positions(among, view.ids, "the view")] = True
        proper = ~own & allowed[node]
        barren = np.bincount(parent[proper], minlength=len(classes)) == 0
        keep = proper | (own & (include_class | barren[parent]))
        parent, node = parent[keep], node[keep]
        order = np.lexsort((node, parent))
        found, child = np.unique(node[order], return_inverse=True)
        return cls(tuple(classes), tuple(view.ids[i] for i in found), parent[order], child.astype(np.int64))

    @property
    def scored(self) -> tuple[str, ...]:
        """All ids that a classifier has to score: the classes, then the subclasses that are not among them."""
        return tuple(dict.fromkeys([*self.classes, *self.subclasses]))


class CHiLS(Calibration):
    """The likeliest subclass, re-weighted by its own class's probability, decides for its class.

    With p₁ the softmax over the classes and p₂ that over all subclasses, the answer is the parent of
    `argmax_c p₂(c) p₁(parent of c)`.

    Parameters
    ----------
    sets : subclass sets from a graph.
    reweight : multiply with the class's own probability (the paper's default); False is plain CHiLS without it.
    temperature : T of both softmaxes, where it is known already; `fit` sets it.
    """

    name = "chils"
    source = "Novack, McAuley, Lipton, Garg, CHiLS: Zero-Shot Image Classification with Hierarchical Label Sets, ICML 2023"

    def __init__(self, *, sets: SubclassSets, reweight: bool = True, temperature: float | None = None) -> None:
        self.sets, self.reweight, self.temperature = sets, reweight, temperature

    def fit(self, held_out: HeldOut) -> Self:
        """Fit T by likelihood on held-out rows, whose axis holds classes only (no subclass competes with its parent)."""
        self.temperature = fit_temperature(held_out.scores, held_out.truth)
        return self

    def decide(self, rows: ScoredRows) -> Answers:
        """Return answers among `sets.classes`, scored by their best subclass, `[rows, classes]`.

        Raises
        ------
        UnknownNameError : a class or a subclass has no column of scores.
        """
        check_fitted(self.temperature, self)
        assert self.temperature is not None
        own = positions(self.sets.classes, rows.classes, "the class axis of scores")
        below = positions(self.sets.subclasses, rows.classes, "the class axis of scores")
        starts = np.searchsorted(self.sets.parent, np.arange(len(own)))
        scores = np.empty((len(rows), len(own)))
        size = max(1, _BLOCK_VALUES // len(self.sets.parent))
        for start in range(0, len(rows), size):
            block = rows.scores[start : start + size]
            pairs = softmax(block[:, below], self.temperature)[:, self.sets.child]
            best = np.maximum.reduceat(pairs, starts, axis=1)
            scores[start : start + size] = best * softmax(block[:, own], self.temperature) if self.reweight else best
        return Answers.of_scores(self.sets.classes, scores)
