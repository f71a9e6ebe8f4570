"""Hierarchical back-off: answer as deep in the hierarchy as a chosen error rate allows.

The nodes above the likeliest class form its path to the root, and their accumulated probabilities rise along it. At threshold t
the answer is the most specific node of the path with probability ≥ t. An answer is right when it is the row's class or stands
above it. For a row, call κ the largest threshold at which its answer, or one at a higher threshold, is wrong: the row is in
error only if t ≤ κ. So the calibration rows give numbers κ₁ … κₙ, and every threshold's error count is known exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from scipy import special

from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows, check_fitted, check_share
from kgzsl.calibration.temperature import fit_temperature, softmax
from kgzsl.errors import InvalidInputError
from kgzsl.graphs.hierarchy import Hierarchy
from kgzsl.graphs.views import View

Control = Literal["probability", "expectation"]
#: Accumulated probabilities are compared at this precision: sums of the same numbers in another order are equal.
_DIGITS = 12
#: Values of one block of rows × nodes.
_BLOCK_VALUES = 2**23


def allowed_errors(rows: int, error: float, control: Control, risk: float) -> int:
    """Return the most errors among the calibration rows at which a threshold may still be taken.

    * `probability`: the largest k with `P(Binomial(rows, error) ≤ k) ≤ risk`, the exact binomial (Clopper–Pearson) test of
      Learn-then-Test (Angelopoulos et al., 2021). Going from strict thresholds to loose ones and stopping at the first that
      fails (fixed-sequence testing) needs no correction for the number of thresholds.
    * `expectation`: the largest k with `(k + 1) / (rows + 1) ≤ error` (conformal risk control, Angelopoulos et al., 2024).

    Raises
    ------
    InvalidInputError : too few rows to allow even none; says how many are needed.
    """
    if control == "expectation":
        allowed, needed = math.floor(error * (rows + 1) + 1e-12) - 1, math.ceil(1 / error - 1 - 1e-12)
    elif control == "probability":
        # bdtr is the binomial distribution function; importing scipy.stats for it would take most of a second
        allowed = int((special.bdtr(np.arange(rows + 1), rows, error) <= risk).sum()) - 1
        needed = math.ceil(math.log(risk) / math.log1p(-error))
    else:
        raise InvalidInputError("control is probability or expectation", received=repr(control))
    if allowed < 0:
        raise InvalidInputError(
            f"an error rate of {error:g} cannot be guaranteed from so few calibration rows",
            received=f"{rows:,} rows",
            remedy=f"hold out at least {needed:,} rows, or allow a higher error rate",
        )
    return allowed


class BackOff(Calibration):
    """Answers at the deepest node above the likeliest class whose accumulated probability passes a threshold with a guarantee.

    **What is guaranteed.** With `control="probability"`: with probability ≥ 1 − `risk` over the draw of the calibration rows, a
    new row's answer is wrong with probability ≤ `error`. With `control="expectation"`: that probability, averaged over the draw of
    the calibration rows, is ≤ `error`. Both hold in finite samples for any classifier, any distribution and any hierarchy, however
    wrong the probabilities are; those only decide how deep the answers go.

    **Under which assumptions.** `expectation` needs the calibration rows and the new row to be exchangeable; `probability` needs
    them independent and identically distributed. Classifier, class axis and temperature must have been fixed without the
    calibration rows. Rows of other classes than the calibration's are exchangeable with them only if the classes themselves are (a
    random partition, **one row per class** or as many rows for each new class, and the same classifier, class axis included, for
    both): calibrating on seen classes treated as unseen is then an approximation, which must be checked and reported as such. If
    seen classes are recognised better than unseen ones, rows of seen classes alone guarantee nothing for unseen ones.

    Parameters
    ----------
    view : directed hypernym view, `graphs.rooted` where the graph has several tops; the hierarchy above the scored classes is
        read from it.
    error : α, the error rate that is allowed, in 0…1.
    risk : δ of `control="probability"`, in 0…1.
    control : see above.
    temperature : T of the probabilities, fixed on other rows; None fits it on a fifth of the held-out rows, which then do
        not calibrate the threshold.
    seed : of the draw of that fifth.
    """

    name = "backoff"
    source = "Deng, Krause, Berg, Fei-Fei, Hedging Your Bets, CVPR 2012; threshold by Angelopoulos et al., Learn then Test, 2021"

    def __init__(
        self,
        *,
        view: View,
        error: float = 0.1,
        risk: float = 0.1,
        control: Control = "probability",
        temperature: float | None = None,
        seed: int = 0,
    ) -> None:
        self.view, self.control, self.temperature, self.seed = view, control, temperature, seed
        self.error, self.risk = check_share(error, "the error rate"), check_share(risk, "the risk")
        if control not in ("probability", "expectation"):
            raise InvalidInputError("control is probability or expectation", received=repr(control))
        self._fixed = temperature
        self._hierarchies: dict[tuple[str, ...], Hierarchy] = {}
        self.threshold: float | None = None

    def hierarchy(self, classes: Sequence[str]) -> Hierarchy:
        """Return the hierarchy above `classes`, read once per class axis."""
        key = tuple(classes)
        if key not in self._hierarchies:
            self._hierarchies = {key: Hierarchy.of_view(self.view, key)}
        return self._hierarchies[key]

    def fit(self, held_out: HeldOut) -> Self:
        """Choose the lowest threshold that the guarantee allows.

        Raises
        ------
        InvalidInputError : too few rows for the error rate, or the classes have no common root.
        """
        rows = np.arange(len(held_out))
        self.temperature = self._fixed
        if self.temperature is None:
            order = np.random.default_rng(self.seed).permutation(len(held_out))
            aside, rows = order[: math.ceil(len(order) / 5)], order[math.ceil(len(order) / 5) :]
            self.temperature = fit_temperature(held_out.scores[aside], held_out.truth[aside])
        allowed = allowed_errors(len(rows), self.error, self.control, self.risk)
        hierarchy = self.hierarchy(held_out.classes)
        nodes, mass = self._ladder(hierarchy, held_out.scores[rows])
        wrong = ~hierarchy.covers(nodes, np.broadcast_to(held_out.truth[rows][:, None], nodes.shape))
        wrong[:, 1:] &= mass[:, 1:] > mass[:, :-1]  # else no threshold leads to that node
        worst = np.sort(np.where(wrong, mass, -np.inf).max(axis=1))[::-1]
        # just above the first row that would be one error too many
        self.threshold = float(max(0.0, np.nextafter(worst[allowed], np.inf))) if allowed < len(worst) else 0.0
        self.calibration_rows, self.allowed = len(rows), allowed
        return self

    def decide(self, rows: ScoredRows) -> Answers:
        """Return answers among the nodes of the hierarchy, scored classes and their ancestors; no ranking is made."""
        check_fitted(self.threshold, self)
        hierarchy = self.hierarchy(rows.classes)
        nodes, mass = self._ladder(hierarchy, rows.scores)
        step = (mass >= self.threshold).argmax(axis=1)
        return Answers(hierarchy.nodes, nodes[np.arange(len(nodes)), step])

    def _ladder(self, hierarchy: Hierarchy, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nodes above each row's likeliest class and the threshold up to which each is passed by, `[rows, steps]` both.

        A node is answered for thresholds above those of all nodes before it; where the hierarchy is no tree a later node
        may have less mass than an earlier one, and is then never answered. The root is answered at any threshold.
        """
        assert self.temperature is not None
        likeliest = scores.argmax(axis=1)
        nodes = hierarchy.paths[likeliest]
        mass = np.empty(nodes.shape)
        size = max(1, _BLOCK_VALUES // max(1, len(hierarchy.nodes)))
        cover = hierarchy.cover.astype(np.float64)
        for start in range(0, len(scores), size):
            block = slice(start, start + size)
            total = np.asarray(softmax(scores[block], self.temperature) @ cover)
            mass[block] = np.take_along_axis(total, nodes[block], axis=1)
        mass = np.maximum.accumulate(np.round(mass, _DIGITS), axis=1)
        mass[nodes == hierarchy.root] = np.inf
        return nodes, mass
