"""How well any classifier can tell classes apart by their attributes: a lower bound of the error in the worst case.

Mazzetto, Menghini, Yuan, Upfal and Bach, Tight Lower Bounds on Worst-Case Guarantees for Zero-Shot Learning with Attributes,
NeurIPS 2022. All that is known of k classes is how often each has each of n attributes; nature chooses their joint
distributions, and the attribute detectors are perfect. Even then every map from attribute vectors to classes errs at least
as often as the bound says, on classes that are equally frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from kgzsl.errors import InvalidInputError, first_five
from kgzsl.ids import check_unique, positions
from kgzsl.progress import track

#: Most attributes of one linear program, and most (class, attribute vector) pairs: it has one variable for each of 2ⁿ vectors and
#: for each pair. 12 attributes of 10 classes take some 10 s and half a gigabyte; 85 would need 2⁸⁵ variables.
MOST_ATTRIBUTES = 12
MOST_PAIRS = 50_000
#: Two bounds that differ by less are equal, and by how much the solver may be off.
_EQUAL, _SLACK = 1e-9, 1e-6


@dataclass(frozen=True, eq=False)
class AttributeTable:
    """How often each class has each attribute.

    Attributes
    ----------
    classes, attributes : ids, `[classes]` and `[attributes]`.
    matrix : float64 `[classes, attributes]` in 0…1.

    Raises
    ------
    InvalidInputError : shapes disagree, a name repeats, or a value is not in 0…1.
    """

    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    matrix: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "matrix", np.ascontiguousarray(self.matrix, dtype=np.float64))
        check_unique(self.classes, "the classes of an attribute table")
        check_unique(self.attributes, "the attributes of an attribute table")
        if self.matrix.shape != (len(self.classes), len(self.attributes)):
            raise InvalidInputError(
                "an attribute table is [classes, attributes]",
                received=f"{self.matrix.shape} for {len(self.classes):,} classes and {len(self.attributes):,} attributes",
            )
        bad = ~((self.matrix >= 0) & (self.matrix <= 1))
        if bad.any():
            rows, columns = np.nonzero(bad)
            raise InvalidInputError(
                "an attribute table says how often a class has an attribute, in 0…1",
                received=f"{len(rows):,} other values: "
                + first_five(
                    f"{self.matrix[r, c]:g} for {self.classes[r]}, {self.attributes[c]}" for r, c in zip(rows, columns, strict=True)
                ),
                remedy="divide percentages by 100 (`--per-cent`), and leave out attributes without an answer (`answered`)",
            )

    def select(self, classes: Sequence[str]) -> AttributeTable:
        """Return the rows of `classes`; an unknown one raises UnknownNameError."""
        return AttributeTable(tuple(classes), self.attributes, self.matrix[positions(classes, self.classes, "the attribute table")])

    def of(self, attributes: Sequence[str]) -> AttributeTable:
        """Return the columns of `attributes`; an unknown one raises UnknownNameError."""
        return AttributeTable(
            self.classes, tuple(attributes), self.matrix[:, positions(attributes, self.attributes, "the attribute table")]
        )


@dataclass(frozen=True)
class Step:
    """One attribute that greedy selection added, and the bound with it and all before it, in 0…1."""

    attribute: str
    error: float


@dataclass(frozen=True)
class Pair:
    """Two classes and the bound for them alone, in 0…½; `attribute` is the one in which they differ most, by `gap`."""

    first: str
    second: str
    error: float
    attribute: str
    gap: float


def worst_case_error(matrix: np.ndarray) -> float:
    """Return the error that no map from attribute vectors to classes can go below in the worst case, in 0 … 1 − 1/k.

    The linear program of the paper through HiGHS: minimise Σ_v d_v subject to P_jv ≤ d_v, Σ_v P_jv = 1/k and
    Σ_{v: v_i = 1} P_jv = M_ji / k, over the 2ⁿ attribute vectors v; the error is 1 − Σ_v d_v.

    Parameters
    ----------
    matrix : how often class j has attribute i, `[k classes, n attributes]` in 0…1. Without an attribute the error is that of
        guessing, 1 − 1/k.

    Raises
    ------
    InvalidInputError : values outside 0…1, no class, or more attributes than the program can hold (`MOST_ATTRIBUTES`).
    """
    return _solve(matrix)[0]


def _solve(matrix: np.ndarray) -> tuple[float, np.ndarray]:
    """The bound, and the joint distributions P with which nature reaches it, `[classes, vectors]`, attribute i as bit i of a vector."""
    table = np.asarray(matrix, dtype=np.float64)
    if table.ndim != 2 or not len(table) or not ((table >= 0) & (table <= 1)).all():
        raise InvalidInputError("an attribute matrix is [classes, attributes] in 0…1", received=f"{table.shape}")
    classes, attributes = table.shape
    _check_size(classes, attributes)
    vectors = 1 << attributes
    bits = ((np.arange(vectors)[None, :] >> np.arange(attributes)[:, None]) & 1).astype(np.float64)
    moments = sparse.csr_matrix(np.vstack([np.ones((1, vectors)), bits]))
    identity = sparse.identity(vectors, format="csr")
    below = sparse.hstack([sparse.vstack([-identity] * classes), sparse.identity(classes * vectors)], format="csr")
    nothing = sparse.csr_matrix((classes * (attributes + 1), vectors))
    stated = sparse.hstack([nothing, sparse.kron(sparse.identity(classes), moments)], format="csr")
    solved = linprog(
        np.concatenate([np.ones(vectors), np.zeros(classes * vectors)]),
        A_ub=below,
        b_ub=np.zeros(classes * vectors),
        A_eq=stated,
        b_eq=np.hstack([np.ones((classes, 1)), table]).ravel() / classes,
        bounds=(0, None),
        method="highs-ds",
    )
    if solved.status != 0:  # the program always has a solution: independent attributes are one
        raise InvalidInputError("the linear program of the bound has a solution", received=solved.message)
    return float(min(max(1.0 - solved.fun, 0.0), 1.0 - 1.0 / classes)), solved.x[vectors:].reshape(classes, vectors)


def _check_size(classes: int, attributes: int) -> None:
    if attributes > MOST_ATTRIBUTES or classes << attributes > MOST_PAIRS:
        raise InvalidInputError(
            f"the bound is computed for at most {MOST_ATTRIBUTES} attributes, and {MOST_PAIRS:,} pairs of a class and an attribute vector",
            received=f"{attributes} attributes, 2^{attributes} vectors of {classes} classes",
            remedy="take fewer attributes (`greedy`) or classes; the bounds of pairs (`inseparable`) take any number of them",
        )


def greedy(table: AttributeTable, steps: int) -> tuple[Step, ...]:
    """Return up to `steps` attributes, each the one that lowers the bound most beside those before it; ties go to the first.

    Raises
    ------
    InvalidInputError : `steps` below 1, or more than the program can hold (see `worst_case_error`).
    """
    if steps < 1:
        raise InvalidInputError("greedy selection takes at least one step", received=steps)
    _check_size(len(table.classes), min(steps, len(table.attributes)))  # before the smaller programs, not after them
    chosen: list[int] = []
    found = []
    nature = np.full((len(table.classes), 1), 1 / len(table.classes))
    for _ in track(range(min(steps, len(table.attributes))), "attributes", total=min(steps, len(table.attributes))):
        floor = _floors(nature, table.matrix)
        best: dict[int, tuple[float, np.ndarray]] = {}
        for i in np.argsort(floor, kind="stable").tolist():
            if best and floor[i] > min(error for error, _ in best.values()) + _SLACK:
                break
            if i not in chosen:
                best[i] = _solve(table.matrix[:, [*chosen, i]])
        least = min(error for error, _ in best.values())
        # equal programs differ in their last digits; the earliest of equals is taken
        taken = min(i for i, (error, _) in best.items() if error <= least + _EQUAL)
        error, nature = best[taken]
        chosen.append(taken)
        found.append(Step(table.attributes[taken], error))
    return tuple(found)


def _floors(nature: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return what the bound with one more attribute cannot go below, for every attribute, `[attributes]`.

    One thing that nature can do with it is to deal it out independently of the others: a solution of the larger program that
    costs a product, not a program. Greedy selection need not solve those of attributes that cannot come first.
    """
    optimum = [(nature * often).max(axis=0).sum() + (nature * (1 - often)).max(axis=0).sum() for often in matrix.T[:, :, None]]
    return 1.0 - np.asarray(optimum)


def inseparable(table: AttributeTable, error: float = 0.25) -> tuple[Pair, ...]:
    """Return the pairs of classes whose own bound is at least `error`, worst first; any number of attributes.

    Of two classes the linear program has a closed form: nature can make their distributions agree on all but the largest
    difference of one attribute, so the bound is (1 − max_i |M_1i − M_2i|) / 2. Classes with equal rows have ½, guessing.

    Parameters
    ----------
    error : 0…½; 0 returns all pairs.
    """
    if not 0 <= error <= 0.5:
        raise InvalidInputError("the bound of a pair is in 0…½", received=error)
    pairs = []
    for j in range(len(table.classes) - 1):
        gaps = np.abs(table.matrix[j + 1 :] - table.matrix[j])
        widest = gaps.argmax(axis=1)
        gap = gaps[np.arange(len(gaps)), widest]
        for k in np.flatnonzero((1 - gap) / 2 >= error).tolist():
            pairs.append(
                Pair(table.classes[j], table.classes[j + 1 + k], float((1 - gap[k]) / 2), table.attributes[widest[k]], float(gap[k]))
            )
    return tuple(sorted(pairs, key=lambda p: (-p.error, p.first, p.second)))


def answered(
    classes: Sequence[str], attributes: Sequence[str], matrix: np.ndarray, *, per_cent: bool = False
) -> tuple[AttributeTable, tuple[str, ...]]:
    """Return the table of the attributes with an answer for every class, and the attributes left out.

    AwA's and xlsa17's raw tables hold −1 where the authors have no answer; what is left out is told, never filled in.

    Parameters
    ----------
    matrix : `[classes, attributes]`; negative or NaN = no answer.
    per_cent : values are in 0…100.

    Raises
    ------
    InvalidInputError : a value above the range, or no attribute left.
    """
    values = np.asarray(matrix, dtype=np.float64) / (100.0 if per_cent else 1.0)
    if values.shape != (len(classes), len(attributes)):
        raise InvalidInputError("an attribute table is [classes, attributes]", received=f"{values.shape}")
    known = np.asarray((values >= 0).all(axis=0))
    left_out = tuple(a for a, k in zip(attributes, known.tolist(), strict=True) if not k)
    if not known.any():
        raise InvalidInputError("some attribute has an answer for every class", received=f"none of {len(attributes):,}")
    kept = tuple(a for a, k in zip(attributes, known.tolist(), strict=True) if k)
    return AttributeTable(tuple(classes), kept, values[:, known]), left_out
