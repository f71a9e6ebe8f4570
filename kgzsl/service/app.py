"""The service as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

from kgzsl import __version__
from kgzsl.service import problems, routes_about, routes_adding, routes_bundles, routes_embeddings, routes_graphs, routes_images
from kgzsl.service.describing import describe
from kgzsl.service.guard import Guard, Metrics
from kgzsl.service.settings import Settings
from kgzsl.service.state import State

#: The page: static files without a build step.
PAGE = Path(__file__).parent / "page"


def make_app(settings: Settings) -> FastAPI:
    """Return the application; artifacts are opened when it starts."""
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = app.state.service = State(settings, metrics)
        await state.load()
        state.warm()
        yield
        state.close()

    app = FastAPI(
        title="kgzsl",
        version=__version__,
        summary="Knowledge graphs, class embeddings and zero-shot predictions",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its page would load from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    for routes in (routes_about, routes_graphs, routes_embeddings, routes_adding, routes_bundles, routes_images):
        app.include_router(routes.router)
    problems.install(app)
    if settings.page and PAGE.is_dir():
        _serve_page(app)
    app.add_middleware(Guard, settings=settings, metrics=metrics)
    describe(app)
    return app


def _serve_page(app: FastAPI) -> None:
    app.mount("/static", StaticFiles(directory=PAGE), name="static")

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return FileResponse(PAGE / "index.html", headers={"cache-control": "no-cache"})
