"""Routes under `/v1/bundles`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kgzsl.errors import InvalidInputError
from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, integer, state_of, texts
from kgzsl.service.explaining import explained
from kgzsl.service.predicting import Asked, check_rows, columns_of
from kgzsl.service.problems import TooLargeError
from kgzsl.service.search import plain
from kgzsl.service.settings import Limits
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle

router = APIRouter(prefix="/v1/bundles", tags=["bundles"], responses=PROBLEMS)

Candidates = Annotated[Literal["all", "seen", "unseen"], Query(description="Which classes may answer")]


@router.get("", summary="All bundles", response_model=list[schemas.Bundle])
async def bundles(request: Request) -> Response:
    """List the bundles that are served; a broken one with what is wrong."""
    return as_json(state_of(request).store.listed("bundle"))


@router.get("/{bundle}", summary="One bundle", response_model=schemas.Bundle)
async def describe(bundle: str, request: Request) -> Response:
    """How it was made, and what it needs."""
    return as_json(state_of(request).store.bundle(bundle).describe())


@router.get("/{bundle}/classes", summary="Classes of a bundle", response_model=schemas.Classes)
async def classes(
    bundle: str,
    request: Request,
    q: Annotated[str, Query(max_length=500, description="Part of a name")] = "",
    seen: Annotated[bool | None, Query(description="Only seen, or only never-seen classes")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 100,
) -> Response:
    """Classes whose names hold a text; added ones last."""
    state = state_of(request)
    served = state.store.bundle(bundle)
    fits = np.ones(len(served.names), dtype=bool) if seen is None else served.bundle.seen == seen
    if key := plain(q):
        fits = fits & np.fromiter((key in name for name in served.names), dtype=bool, count=len(served.names))
    places = np.flatnonzero(fits)
    new = [one for one in state.added(served).all() if not seen and key in plain(one.name)]
    ids, names = served.bundle.weights.ids, served.bundle.names
    listed = [{"id": ids[i], "name": names[i], "seen": bool(served.bundle.seen[i]), "added": False} for i in places[:limit].tolist()]
    listed += [{"id": one.id, "name": one.name, "seen": False, "added": True} for one in new]
    return as_json({"classes": listed[:limit], "total": len(places) + len(new)})


_ROWS = schemas.body(
    "FeatureRows", "application/json", others={"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
)


@router.post("/{bundle}/predict/features", summary="Feature rows → classes", response_model=schemas.Predictions, openapi_extra=_ROWS)
async def predict_features(
    bundle: str,
    request: Request,
    top: Annotated[int, Query(ge=1, le=100, description="Of a binary body: answers per row")] = 5,
    candidates: Candidates = "all",
    explain: Annotated[bool, Query(description="Of a binary body: say why")] = False,
) -> Response:
    """Predict rows of the bundle's own backbone: JSON, or little-endian float32 with the parameters in the address."""
    state = state_of(request)
    served = state.store.bundle(bundle)
    body = await request.body()
    if request.headers.get("content-type", "").startswith("application/octet-stream"):
        asked: Mapping[str, Any] = {"top": top, "candidates": candidates, "explain": explain}
        rows = _binary_rows(body, served.bundle.weights.dim - 1)
    else:
        asked, rows = _json_rows(body)
    return as_json({"predictions": await predicted(state, served, rows, asked)})


async def predicted(state: State, served: ServedBundle, rows: np.ndarray, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one prediction per feature row, as JSON.

    Raises
    ------
    KgzslError : rows, classes or settings that break a rule or a limit.
    """
    limits = state.settings.limits
    top, named, explain = _choice(asked, limits)
    if len(rows) > limits.rows:
        raise TooLargeError(f"a prediction is of at most {limits.rows:,} rows", received=f"{len(rows):,}", remedy="send them in parts")
    rows = check_rows(served.bundle, rows)
    added = state.added(served).all()
    columns = columns_of(served, added, asked.get("candidates", "all"), named)
    predictor = state.predictor(served)
    answers = await predictor.ask(Asked(rows, top, columns, added))
    state.count_rows(served.name, len(rows))
    if not explain:
        return [{"answers": best, "explanation": None, "backoff": None} for best in answers]
    return list(await state.run(explained, state, served, predictor, rows, answers, columns, added))


def _choice(asked: Mapping[str, Any], limits: Limits) -> tuple[int, list[str] | None, bool]:
    """The settings of a prediction that JSON gave."""
    explain = asked.get("explain", False)
    if not isinstance(explain, bool):
        raise InvalidInputError("explain is true or false", received=repr(explain)[:100])
    named = texts(asked.get("classes"), "classes", limits.restrict, 500)
    return integer(asked.get("top", 5), "top", 1, limits.top), named, explain


def _binary_rows(body: bytes, wide: int) -> np.ndarray:
    if not body or len(body) % (4 * wide):
        raise InvalidInputError(f"binary rows are of {wide:,} float32 each", received=f"{len(body):,} bytes")
    return np.frombuffer(body, dtype="<f4").reshape(-1, wide)


def _json_rows(body: bytes) -> tuple[Mapping[str, Any], np.ndarray]:
    try:
        asked = orjson.loads(body)
    except ValueError as error:
        raise InvalidInputError("the body is JSON, or rows of float32 as application/octet-stream", received=str(error)[:200]) from error
    if not isinstance(asked, dict) or not isinstance(asked.get("rows"), list):
        raise InvalidInputError("the body is an object with a list `rows`", received=str(type(asked).__name__))
    try:
        with np.errstate(over="ignore"):
            rows = np.array(asked["rows"], dtype=np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise InvalidInputError("rows are lists of numbers, all of one length", received=str(error)[:200]) from error
    if any(isinstance(v, bool | str) for row in asked["rows"][:1] if isinstance(row, list) for v in row[:4]):
        raise InvalidInputError("rows are lists of numbers", received="texts or booleans")
    return asked, rows
