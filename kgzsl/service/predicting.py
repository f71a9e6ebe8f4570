"""Feature rows → answers, many requests in one matrix product.

A product with one row reads all weights from memory for little arithmetic. So rows that arrive while another product runs are
put together: no request waits for a timer, and under load the batches grow by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgzsl.bundle import Bundle
from kgzsl.errors import IncompatibleError, InvalidInputError
from kgzsl.service.adding import Added
from kgzsl.service.batching import Batcher
from kgzsl.service.store import ServedBundle

#: Rows of one product.
BATCH_ROWS = 128
#: Temperature of the confidences of a bundle that was fitted without calibration images: cosines of one hundredth apart count e-fold.
TEMPERATURE = 0.01


@dataclass(frozen=True)
class Asked:
    """One request's rows and which classes may answer.

    Attributes
    ----------
    rows : float32 `[rows, features]`.
    top : answers per row.
    columns : places of the classes that may answer; None is all. Added ones stand after the bundle's own.
    added : what had been added when the request came.
    """

    rows: np.ndarray
    top: int
    columns: np.ndarray | None
    added: tuple[Added, ...]


def columns_of(served: ServedBundle, added: Sequence[Added], candidates: str, classes: Sequence[str] | None) -> np.ndarray | None:
    """Return the places of the classes that may answer, None for all.

    Raises
    ------
    InvalidInputError : candidates is not all, seen or unseen, or no class is left.
    UnknownNameError : a class that the bundle has not.
    """
    own = served.bundle.seen
    seen = np.concatenate([own, np.zeros(len(added), dtype=bool)])
    if candidates not in ("all", "seen", "unseen"):
        raise InvalidInputError("candidates is all, seen or unseen", received=repr(candidates))
    mask = np.ones(len(seen), dtype=bool) if candidates == "all" else (seen if candidates == "seen" else ~seen)
    if classes is not None:
        extra = {one.id: len(own) + i for i, one in enumerate(added)}
        chosen = np.zeros(len(seen), dtype=bool)
        chosen[[extra[c] if c in extra else served.place(c) for c in classes]] = True
        mask &= chosen
    if mask.all():
        return None
    if not mask.any():
        raise InvalidInputError(
            "some class may answer", received=f"none is left of the {candidates} classes", remedy="name other classes, or none"
        )
    return np.flatnonzero(mask)


def check_rows(bundle: Bundle, rows: np.ndarray) -> np.ndarray:
    """Return `rows` as float32 `[rows, features]`; raise unless they are finite and as wide as the bundle's."""
    wide = bundle.weights.dim - 1
    if rows.ndim != 2 or rows.shape[1] != wide or len(rows) == 0:
        raise IncompatibleError(
            f"features are rows of {wide:,} numbers", received=f"shape {list(rows.shape)}", remedy="extract them with the bundle's backbone"
        )
    if not np.isfinite(rows).all():
        raise InvalidInputError("features must be finite", received="NaN or infinity", remedy="drop or repair those rows")
    return np.ascontiguousarray(rows, dtype=np.float32)


class Predictor:
    """Answers for one bundle; one product runs at a time, in a thread of its own."""

    def __init__(self, served: ServedBundle, waiting: int) -> None:
        self.served = served
        bundle = served.bundle
        self._penalty = np.where(bundle.seen, np.float32(bundle.gamma), np.float32(0))
        self._transposed = bundle.weights.matrix.T
        self.temperature = float(bundle.meta.get("temperature", TEMPERATURE))
        self._batcher: Batcher[Asked, list[list[dict[str, Any]]]] = Batcher(
            self.answer, lambda asked: len(asked.rows), BATCH_ROWS, waiting, f"predict-{served.name}"
        )

    async def ask(self, asked: Asked) -> list[list[dict[str, Any]]]:
        """Return the best answers of every row, best first; BusyError when too many requests wait already."""
        return await self._batcher.ask(asked)

    def answer(self, batch: Sequence[Asked]) -> list[list[list[dict[str, Any]]]]:
        """Return the answers of several requests, `[requests][rows][top]`; one request of many rows goes through in blocks."""
        if len(batch) == 1:
            asked = batch[0]
            blocks = [asked.rows[i : i + BATCH_ROWS] for i in range(0, len(asked.rows), BATCH_ROWS)]
            return [[row for block in blocks for row in self._best(asked, *self._scored(block))]]
        queries, scores = self._scored(np.concatenate([asked.rows for asked in batch]))
        ends = np.cumsum([len(asked.rows) for asked in batch])[:-1]
        return [self._best(*own) for own in zip(batch, np.split(queries, ends), np.split(scores, ends), strict=True)]

    def _scored(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        queries = self.queries(rows)
        return queries, queries @ self._transposed - self._penalty

    def confidences(self, row: np.ndarray, columns: np.ndarray | None, added: Sequence[Added]) -> np.ndarray:
        """Return the confidence of every class, added ones last, `[classes]`; 0 of those that may not answer."""
        scores = self._with_added(*self._scored(row[None]), added)[0].astype(np.float64)
        shares = np.zeros(len(scores))
        allowed = slice(None) if columns is None else columns
        raised = np.exp((scores[allowed] - scores[allowed].max()) / self.temperature)
        shares[allowed] = raised / raised.sum()
        return shares

    @staticmethod
    def _with_added(queries: np.ndarray, scores: np.ndarray, added: Sequence[Added]) -> np.ndarray:
        return np.hstack([scores, queries @ np.stack([one.weight for one in added]).T]) if added else scores

    def queries(self, rows: np.ndarray) -> np.ndarray:
        """Return what stands for the rows in the scores, float32 `[rows, features + 1]`."""
        return np.asarray(self.served.bundle.classifier.queries(rows), dtype=np.float32)

    def _best(self, asked: Asked, queries: np.ndarray, scores: np.ndarray) -> list[list[dict[str, Any]]]:
        """The best answers of each row of `scores` `[rows, classes]`; equal scores by place, as in `Bundle.predict`."""
        scores = self._with_added(queries, scores, asked.added)
        if asked.columns is not None:
            scores = scores[:, asked.columns]
        k = min(asked.top, scores.shape[1])
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(scores, best, axis=1)
        order = np.lexsort((best, -values), axis=1)
        best, values = np.take_along_axis(best, order, axis=1), np.take_along_axis(values, order, axis=1)
        total = np.exp((scores - values[:, :1]) / self.temperature).sum(axis=1, keepdims=True)
        shares = np.exp((values - values[:, :1]) / self.temperature) / total
        places = best if asked.columns is None else asked.columns[best]
        return [
            [self._one(p, v, s, asked.added) for p, v, s in zip(*row, strict=True)]
            for row in zip(places.tolist(), values.tolist(), shares.tolist(), strict=True)
        ]

    def _one(self, place: int, score: float, share: float, added: Sequence[Added]) -> dict[str, Any]:
        bundle = self.served.bundle
        count = len(bundle.names)
        if place >= count:
            new = added[place - count]
            return {"id": new.id, "name": new.name, "score": score, "seen": False, "added": True, "confidence": share}
        known = {"id": bundle.weights.ids[place], "name": bundle.names[place], "score": score}
        return {**known, "seen": bool(bundle.seen[place]), "added": False, "confidence": share}

    def close(self) -> None:
        """End the thread once its work is done."""
        self._batcher.close()
