"""Feature rows, a split and class embeddings that belong together: what every classifier is fitted and tested on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.datasets.base import Split
from kgzsl.errors import IncompatibleError, InvalidInputError, first_five
from kgzsl.ids import check_unique, positions
from kgzsl.matrices import ClassEmbeddings, Features, IdMatrix, check_same_recipe


@dataclass(frozen=True)
class FeatureSet:
    """Labelled feature rows of seen and unseen classes, with the embedding of every class.

    Attributes
    ----------
    name, version : the dataset; both enter the digest.
    features : `[rows, dim]`; every row has a label, and every label is a class of the split.
    split : seen and unseen classes; every one of them has rows.
    embeddings : `[classes, dim]`, kept in the order of `split.classes`; rows of other classes are left out.
    train_rows : row ids to fit on, of seen classes only; empty means all rows of seen classes that are not tested on.
    test_seen_rows : row ids of seen classes to test on; empty when there are none (see `with_test_seen`).
    test_unseen_rows : row ids of unseen classes to test on; empty means all of them.
    published : the counts that the publication states, by the names of `counts()`; see `validate`.

    Raises
    ------
    InvalidInputError : labels missing or outside the split, a class without an embedding or without rows, a row of an
        unseen class among the training rows (a leak), rows in two subsets, fewer than two seen classes, or features or
        embeddings that are the same in every row.
    UnknownNameError : a subset names rows that are not there.
    IncompatibleError : the embeddings live in the space of another backbone than the features.
    """

    name: str
    version: str
    features: Features
    split: Split
    embeddings: ClassEmbeddings
    train_rows: tuple[str, ...] = ()
    test_seen_rows: tuple[str, ...] = ()
    test_unseen_rows: tuple[str, ...] = ()
    published: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_classes()
        object.__setattr__(self, "embeddings", self.embeddings.select(self.split.classes))
        for what, matrix in (("features", self.features), ("class embeddings", self.embeddings)):
            _check_varies(matrix, f"the {what} of {self.name}")
        if isinstance(self.embeddings.meta.get("recipe"), Mapping):
            check_same_recipe(self.features.meta.get("recipe", {}), self.embeddings.meta["recipe"])
        seen, unseen, tested = set(self.split.seen), set(self.split.unseen), set(self.test_seen_rows)
        pairs = list(zip(self.features.ids, self.features.labels, strict=True))
        train = tuple(self.train_rows) or tuple(i for i, label in pairs if label in seen and i not in tested)
        test_unseen = tuple(self.test_unseen_rows) or tuple(i for i, label in pairs if label in unseen)
        object.__setattr__(self, "train_rows", train)
        object.__setattr__(self, "test_seen_rows", tuple(self.test_seen_rows))
        object.__setattr__(self, "test_unseen_rows", test_unseen)
        self._check_rows()

    def _check_classes(self) -> None:
        if not self.features.labels:
            raise InvalidInputError(f"every row of {self.name} has a label", received="features without labels")
        strange = sorted(set(self.features.labels) - set(self.split.classes))
        if strange:
            raise InvalidInputError(
                f"every label of {self.name} is one of the {len(self.split.classes):,} classes of its split",
                received=f"{len(strange):,} labels are not: {first_five(strange)}",
                remedy="select the rows of the split's classes, or check the ids' prefix",
            )
        bare = sorted(set(self.split.classes) - set(self.embeddings.ids))
        if bare:
            raise InvalidInputError(
                f"every class of {self.name} has an embedding",
                received=f"{len(bare):,} have none: {first_five(bare)}",
                remedy="embed them, or leave them out of the split and the features",
            )
        if len(self.split.seen) < 2:
            raise InvalidInputError(
                f"{self.name}: a classifier is fitted on at least two seen classes", received=f"only {first_five(self.split.seen)}"
            )

    def _check_rows(self) -> None:
        label = dict(zip(self.features.ids, self.features.labels, strict=True))
        subsets = {"training": self.train_rows, "seen test": self.test_seen_rows, "unseen test": self.test_unseen_rows}
        for what, rows in subsets.items():
            if rows:
                check_unique(rows, f"the {what} rows of {self.name}")
            positions(rows, self.features.ids, f"the rows of {self.name}")
        leaked = sorted({label[i] for i in self.train_rows} & set(self.split.unseen))
        if leaked:
            raise InvalidInputError(
                f"{self.name}: no row of an unseen class is trained on",
                received=f"training rows of {len(leaked):,} unseen classes: {first_five(leaked)}",
                remedy="take those rows out of the training rows, or call the classes seen",
            )
        for what, rows, classes in (("seen", self.test_seen_rows, self.split.seen), ("unseen", self.test_unseen_rows, self.split.unseen)):
            wrong = sorted({label[i] for i in rows} - set(classes))
            if wrong:
                raise InvalidInputError(
                    f"{self.name}: the {what} test rows are of {what} classes", received=f"rows of {first_five(wrong)} too"
                )
        both = sorted(set(self.train_rows) & set(self.test_seen_rows))
        if both:
            raise InvalidInputError(
                f"{self.name}: a row is trained on or tested on, never both", received=f"{len(both):,} rows are both: {first_five(both)}"
            )
        have = {label[i] for i in (*self.train_rows, *self.test_unseen_rows)}
        empty = sorted(set(self.split.classes) - have)
        if empty:
            raise InvalidInputError(
                f"{self.name}: every seen class has training rows and every unseen class test rows",
                received=f"{len(empty):,} have none: {first_five(empty)}",
                remedy="leave those classes out of the split",
            )

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version, split, ids, labels, values and row subsets: equal only when results are comparable."""
        subsets = [sorted(rows) for rows in (self.train_rows, self.test_seen_rows, self.test_unseen_rows)]
        return digest(
            {
                "name": self.name,
                "version": self.version,
                "split": self.split.digest,
                "features": [self.features.ids, self.features.labels, _sha256(self.features)],
                "embeddings": [self.embeddings.ids, _sha256(self.embeddings)],
                "rows": subsets,
            }
        )

    @property
    def train(self) -> Features:
        """The rows to fit on: seen classes only."""
        return self.features.select(self.train_rows)

    @property
    def test_unseen(self) -> Features:
        """The rows of unseen classes to test on."""
        return self.features.select(self.test_unseen_rows)

    @property
    def test_seen(self) -> Features:
        """The rows of seen classes to test on (generalised protocol); none is an error that says how to make some."""
        if not self.test_seen_rows:
            raise InvalidInputError(
                f"the generalised protocol tests rows of seen classes, and {self.name} sets none aside",
                received="no test_seen_rows",
                remedy="with_test_seen() holds out 20 % of each seen class",
            )
        return self.features.select(self.test_seen_rows)

    def with_test_seen(self, share: float = 0.2, seed: int = 0) -> FeatureSet:
        """Return the set with `share` of every seen class's training rows held out as `test_seen_rows`.

        The rows of a class are ordered by the SHA-256 of `"{seed} {row id}"`, and the first ⌊share · rows + ½⌋ (at least
        one) are held out: no library's random numbers can change them, and no unseen row takes part. Share and seed enter
        the version, so results never mix with those on official rows.

        Raises
        ------
        InvalidInputError : share outside (0, 1), a set that has test-seen rows of its own, or a seen class too small to
            keep a training row.
        """
        if not 0 < share < 1:
            raise InvalidInputError("the share of rows to hold out is above 0 and below 1", received=share)
        if self.test_seen_rows:
            raise InvalidInputError(
                f"{self.name} {self.version} has test rows of seen classes already", received=f"{len(self.test_seen_rows):,} rows"
            )
        by_class: dict[str, list[str]] = {}
        label = dict(zip(self.features.ids, self.features.labels, strict=True))
        for row in sorted(self.train_rows, key=lambda i: hashlib.sha256(f"{seed} {i}".encode()).digest()):
            by_class.setdefault(label[row], []).append(row)
        held: set[str] = set()
        small = []
        for identifier, rows in by_class.items():
            count = max(1, int(share * len(rows) + 0.5))
            held.update(rows[:count])
            if count == len(rows):
                small.append(identifier)
        if small:
            raise InvalidInputError(
                f"{self.name}: every seen class keeps a training row when {share:.0%} are held out",
                received=f"too few rows of {first_five(sorted(small))}",
                remedy="hold out a smaller share, or leave those classes out",
            )
        return replace(
            self,
            version=f"{self.version}+held-out-{share:g}-seed{seed}",
            train_rows=tuple(i for i in self.train_rows if i not in held),
            test_seen_rows=tuple(i for i in self.train_rows if i in held),
            published={k: v for k, v in self.published.items() if k not in ("train", "test_seen")},
        )

    def with_pseudo_unseen(self, seed: int = 0, *, test_share: float = 0.2) -> FeatureSet:
        """Return a set of the training rows alone, in which some seen classes play the unseen ones.

        Their share of the seen classes is that of the unseen classes among all (at least one class, and at least two stay seen),
        drawn by SHA-256 as rows are in `with_test_seen`; of the others, `test_share` of the rows are held out. Whatever is fitted
        or chosen on this set has seen no row that the set itself tests on.

        Raises
        ------
        InvalidInputError : fewer than three seen classes, or what `with_test_seen` refuses.
        """
        seen = self.split.seen
        if len(seen) < 3:
            raise InvalidInputError("a class plays unseen and two stay seen, so three seen classes are needed", received=len(seen))
        count = min(max(1, round(len(seen) * len(self.split.unseen) / len(self.split.classes))), len(seen) - 2)
        order = sorted(seen, key=lambda i: hashlib.sha256(f"{seed} class {i}".encode()).digest())
        hidden = set(order[:count])
        split = Split(
            f"{self.split.name}-pseudo-unseen",
            f"{self.split.version}-seed{seed}",
            tuple(i for i in seen if i not in hidden),
            tuple(i for i in seen if i in hidden),
        )
        rows = replace(self, features=self.train, split=split, train_rows=(), test_seen_rows=(), test_unseen_rows=(), published={})
        return rows.with_test_seen(test_share, seed)

    def with_embeddings(self, embeddings: ClassEmbeddings) -> FeatureSet:
        """Return the set with other class semantics (of a graph encoder, say): the rows and the split stay.

        Raises
        ------
        InvalidInputError : a class has no embedding; the first five are named.
        """
        published = {k: v for k, v in self.published.items() if k != "embedding_dim"}
        return replace(self, embeddings=embeddings, published=published)

    def counts(self) -> dict[str, int]:
        """Return `rows`, `dim`, `seen`, `unseen` (classes), `embedding_dim`, and `train`, `test_seen`, `test_unseen` (rows)."""
        return {
            "rows": len(self.features),
            "dim": self.features.dim,
            "seen": len(self.split.seen),
            "unseen": len(self.split.unseen),
            "embedding_dim": self.embeddings.dim,
            "train": len(self.train_rows),
            "test_seen": len(self.test_seen_rows),
            "test_unseen": len(self.test_unseen_rows),
        }

    def validate(self) -> FeatureSet:
        """Check the counts against the published ones and return the set itself.

        Raises
        ------
        InvalidInputError : other counts; each is named.
        """
        have = self.counts()
        other = [f"{what} {have.get(what, 0):,}, not {want:,}" for what, want in self.published.items() if have.get(what) != want]
        if other:
            raise InvalidInputError(
                f"{self.name} {self.version} has the published counts", received="; ".join(other), remedy=f"get {self.name} again"
            )
        return self


def check_same_features(one: FeatureSet, other: FeatureSet) -> None:
    """Refuse to compare results on features of two backbones: raise IncompatibleError that names the fields that differ."""
    mine, theirs = one.features.meta.get("recipe", {}), other.features.meta.get("recipe", {})
    different = [k for k in sorted(set(mine) | set(theirs)) if mine.get(k) != theirs.get(k)]
    if different:
        pairs = ", ".join(f"{k}: {mine.get(k)!r} and {theirs.get(k)!r}" for k in different)
        raise IncompatibleError(f"results of {one.name} and {other.name} are compared on the same features", received=pairs)


def _sha256(matrix: IdMatrix) -> str:
    return hashlib.sha256(matrix.matrix.astype("<f4", copy=False).tobytes()).hexdigest()


def _check_varies(matrix: IdMatrix, what: str) -> None:
    if bool(np.all(matrix.matrix.max(axis=0) == matrix.matrix.min(axis=0))):
        raise InvalidInputError(
            f"{what} differ between rows", received=f"{len(matrix)} equal rows", remedy="check how they were extracted or joined"
        )
