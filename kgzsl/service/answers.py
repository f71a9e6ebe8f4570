"""What the routes share: the state of the process, JSON, and reading bodies without a model of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response

from kgzsl.errors import InvalidInputError
from kgzsl.service.problems import TooLargeError
from kgzsl.service.state import State

#: Problems that any route may answer with, for the description of the API.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"description": text, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for code, text in {
        400: "What was sent breaks a rule",
        401: "The API key is missing or wrong",
        403: "Asked from another site's page",
        404: "No such thing",
        409: "There already, broken, or of another backbone",
        413: "More than a limit allows",
        422: "A parameter is missing or malformed, or the work would take too long",
        429: "Too much is waiting",
        501: "An optional package is not installed",
    }.items()
}


def state_of(request: Request) -> State:
    """Return what the process holds."""
    state: State = request.app.state.service
    return state


def as_json(value: Any, status: int = 200) -> Response:
    """Return a JSON response; orjson writes it, no model is built."""
    return Response(orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json")


async def json_object(request: Request) -> Mapping[str, Any]:
    """Return the JSON object of a body.

    Raises
    ------
    InvalidInputError : not JSON, or not an object.
    """
    body = await request.body()
    try:
        value = orjson.loads(body)
    except ValueError as error:
        raise InvalidInputError("the body is JSON", received=f"{str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise InvalidInputError("the body is a JSON object", received=type(value).__name__)
    return value


def integer(value: Any, name: str, low: int, high: int) -> int:
    """Return `value` where it is a whole number in `low…high`."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInputError(f"{name} is a whole number", received=repr(value)[:100])
    if not low <= value <= high:
        raise InvalidInputError(f"{name} is from {low:,} to {high:,}", received=value)
    return value


def texts(value: Any, name: str, most: int, length: int) -> list[str] | None:
    """Return `value` where it is a list of texts, None where it is None.

    Raises
    ------
    TooLargeError : more of them than `most`, or one longer than `length`.
    """
    if value is None:
        return None
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(v, str) for v in value):
        raise InvalidInputError(f"{name} is a list of texts", received=repr(value)[:100])
    if len(value) > most or any(len(v) > length for v in value):
        raise TooLargeError(f"{name} has at most {most:,} entries of {length:,} characters", received=f"{len(value):,} entries")
    return list(value)
