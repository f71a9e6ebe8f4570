"""Errors as problems that a program can read (RFC 9457): what must hold, what came, what to do; never a stack trace."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from kgzsl.errors import (
    ArtifactError,
    IncompatibleError,
    InvalidInputError,
    KgzslError,
    MissingDataError,
    MissingDependencyError,
    UnknownNameError,
)

log = logging.getLogger("kgzsl.service")

MEDIA_TYPE = "application/problem+json"


class ServiceError(KgzslError):
    """A problem of the service itself: `kind` and `status` are its type and HTTP status."""

    kind, status = "service", 400


class TooLargeError(ServiceError):
    """More than a limit allows."""

    kind, status = "too-large", 413


class TooSlowError(ServiceError):
    """Took longer than a limit allows, and was ended."""

    kind, status = "too-slow", 422


class BusyError(ServiceError):
    """More is waiting than can be worked off; a client comes back."""

    kind, status = "busy", 429


class ConflictError(ServiceError):
    """What is asked for is there already."""

    kind, status = "conflict", 409


#: Error → type and status of its problem; the first that fits.
_KINDS: tuple[tuple[type[KgzslError], str, int], ...] = (
    (UnknownNameError, "unknown", 404),
    (MissingDataError, "missing-data", 409),
    (IncompatibleError, "incompatible", 409),
    (ArtifactError, "broken-artifact", 409),
    (MissingDependencyError, "missing-dependency", 501),
    (InvalidInputError, "invalid", 400),
    (KgzslError, "refused", 400),
)
_TITLES = {400: "Bad request", 401: "No valid API key", 404: "Not found", 405: "Method not allowed", 409: "Conflict", 413: "Too large"}


def problem(
    kind: str, status: int, detail: str, received: object = None, remedy: str | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return a problem response; `kind` becomes its type, a URN of this package."""
    body: dict[str, Any] = {
        "type": f"urn:kgzsl:problem:{kind}",
        "title": _TITLES.get(status, kind.replace("-", " ").capitalize()),
        "status": status,
        "detail": detail,
        "received": None if received is None else str(received)[:2000],
        "remedy": remedy,
    }
    # text of a request may hold lone surrogates, which no JSON can
    text = orjson.dumps({k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in body.items()})
    return Response(text, status, media_type=MEDIA_TYPE, headers=headers)


def problem_of(error: KgzslError) -> Response:
    """Return the problem of an error of the package."""
    if isinstance(error, ServiceError):
        kind, status = error.kind, error.status
    else:
        kind, status = next((k, s) for of, k, s in _KINDS if isinstance(error, of))
    headers = {"Retry-After": "1"} if status == 429 else None
    return problem(kind, status, error.rule, error.received, error.remedy, headers)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem."""

    @app.exception_handler(KgzslError)
    async def _known(request: Request, error: KgzslError) -> Response:
        return problem_of(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = " → ".join(str(part) for part in first["loc"])
        return problem("invalid", 422, f"{where}: {first['msg']}", repr(first.get("input"))[:200], "see /v1/openapi.json")

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        kinds = {404: "unknown", 405: "method"}
        remedy = "see /v1/openapi.json" if error.status_code in kinds else None
        headers = dict(error.headers) if error.headers else None
        return problem(kinds.get(error.status_code, "invalid"), error.status_code, str(error.detail), request.url.path, remedy, headers)

    @app.exception_handler(Exception)
    async def _unknown(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return problem("internal", 500, "the service failed at this request", None, "its log says more; please report it")
