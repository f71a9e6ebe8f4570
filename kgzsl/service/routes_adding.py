"""Routes that add classes to bundles while they are served."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kgzsl.errors import InvalidInputError
from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, json_object, state_of
from kgzsl.service.newcomers import newcomers
from kgzsl.service.problems import TooLargeError
from kgzsl.service.state import State
from kgzsl.service.store import ServedBundle

router = APIRouter(prefix="/v1/bundles", tags=["bundles"], responses=PROBLEMS)

#: Characters of a name, an id or a description.
_TEXT = 1000


@router.post(
    "/{bundle}/classes",
    summary="Add classes",
    response_model=schemas.AddedClasses,
    openapi_extra=schemas.body("NewClasses", "application/json"),
)
async def add(bundle: str, request: Request) -> Response:
    """Add classes by name or by node, without training; every worker predicts them from now on.

    `{"name": "electric scooter"}` is linked to the graph; `{"node": "wn30:n…"}` is that node; `{"name": …, "below": "wn30:n…"}` is a
    kind of it; `text` says what it looks like. All of a request are added, or none.
    """
    state = state_of(request)
    served = state.store.bundle(bundle)
    entries = (await json_object(request)).get("classes")
    if not isinstance(entries, list) or not entries:
        raise InvalidInputError("`classes` is a list of at least one class", received=repr(entries)[:100])
    if len(entries) > state.settings.limits.add:
        raise TooLargeError(f"at most {state.settings.limits.add} classes are added at a time", received=len(entries))
    return as_json({"added": await state.run(_add, state, served, entries)})


def _add(state: State, served: ServedBundle, entries: list[Any]) -> list[dict[str, Any]]:
    return newcomers(state, served).add(entries, state.added(served), text=_TEXT, most=state.settings.limits.added)


@router.get("/{bundle}/classes/added", summary="Added classes", response_model=schemas.AddedClasses)
async def added(bundle: str, request: Request) -> Response:
    """What was added, in that order."""
    state = state_of(request)
    return as_json({"added": [dict(one.record) for one in state.added(state.store.bundle(bundle)).all()]})


@router.delete("/{bundle}/classes/added/{identifier:path}", summary="Take an added class away", status_code=204, response_class=Response)
async def remove(bundle: str, identifier: str, request: Request) -> Response:
    """It is no longer predicted; the bundle's own classes stay."""
    state = state_of(request)
    state.added(state.store.bundle(bundle)).remove(identifier)
    return Response(status_code=204)
