"""Routes about the service itself."""

from __future__ import annotations

import importlib.metadata
import platform

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kgzsl import __version__
from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, state_of

router = APIRouter(tags=["service"], responses=PROBLEMS)

_PACKAGES = ("fastapi", "starlette", "uvicorn", "numpy", "scipy", "torch", "pillow")


@router.get("/v1/health", summary="Does it live", response_model=schemas.Status)
async def health() -> Response:
    """Answers as long as the process does."""
    return as_json({"status": "alive"})


@router.get(
    "/v1/ready", summary="Is it ready", response_model=schemas.Status, responses={503: {"model": schemas.Status, "description": "Not yet"}}
)
async def ready(request: Request) -> Response:
    """Whether the artifacts are open."""
    return as_json({"status": "ready"}) if state_of(request).ready else as_json({"status": "starting"}, 503)


@router.get("/v1/version", summary="Versions and digests", response_model=schemas.Version)
async def version(request: Request) -> Response:
    """What runs here, and exactly which artifacts it serves."""
    state = state_of(request)
    packages = {name: importlib.metadata.version(name) for name in _PACKAGES if _installed(name)}
    artifacts = {
        "graphs": {name: one.key for name, one in state.store.graphs.items()},
        "bundles": {name: one.key for name, one in state.store.bundles.items()},
    }
    body = {"kgzsl": __version__, "python": platform.python_version(), "packages": packages, "artifacts": artifacts}
    return as_json({**body, "generation": state.generation})


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@router.post("/v1/reload", summary="Look at the artifacts again", response_model=schemas.Reloaded)
async def reload(request: Request) -> Response:
    """Open new and changed artifacts in all workers; requests that run meanwhile are answered from the old ones."""
    state = state_of(request)
    await state.load()
    state.tell_others()
    store = state.store
    return as_json({"graphs": len(store.graphs), "bundles": len(store.bundles), "broken": len(store.broken), "seconds": store.seconds})


@router.get("/metrics", summary="Prometheus metrics", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counts of the worker that answers: requests, times, predicted rows, artifacts."""
    return Response(generate_latest(state_of(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)
