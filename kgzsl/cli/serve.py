"""`kgzsl serve`: graphs and bundles over HTTP, with a page."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

import typer

from kgzsl.errors import InvalidInputError


def serve(
    folders: Annotated[list[Path] | None, typer.Argument(help="Bundles and graphs, or folders that hold some.")] = None,
    graph: Annotated[list[Path] | None, typer.Option("--graph", help="A graph artifact; repeatable.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to answer on; by default only this machine reaches it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0, max=65535)] = 8765,
    workers: Annotated[int, typer.Option("--workers", help="Processes; they share the artifacts' memory.", min=1, max=256)] = 1,
    api_key_file: Annotated[
        Path | None, typer.Option("--api-key-file", help="A file with the key that clients must send.", exists=True, dir_okay=False)
    ] = None,
    state: Annotated[Path | None, typer.Option("--state", help="Folder that keeps classes added at run time.", file_okay=False)] = None,
    max_body: Annotated[int, typer.Option("--max-body", help="MiB of one request.", min=1)] = 64,
    max_pixels: Annotated[int, typer.Option("--max-pixels", help="Million pixels of one image.", min=1, max=89)] = 40,
    query_seconds: Annotated[float, typer.Option("--query-seconds", help="Time of one SPARQL query.", min=0.1)] = 10.0,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the page at /.")] = True,
) -> None:
    """Serve graphs, embeddings and predictions over HTTP, and a page to use them.

    Without arguments it serves what the quickstart made. SIGHUP or `POST /v1/reload` opens new and changed artifacts without dropping
    a request. The API is described at /v1/openapi.json; `kgzsl.Client` speaks it.

    Examples:

    `kgzsl serve`

    `kgzsl serve runs/ --graph graphs/imagenet.kg --workers 2`

    `kgzsl serve my.bundle --graph my.kg --host 0.0.0.0 --api-key-file key.txt`
    """
    from kgzsl.service.serve import default_artifacts
    from kgzsl.service.serve import serve as run
    from kgzsl.service.settings import Limits, Settings, artifacts_in

    named, graphs = [str(p) for p in folders or ()], [str(p) for p in graph or ()]
    if not named and not graphs:
        named, graphs = default_artifacts()
    found = artifacts_in([*named, *graphs])
    if not found:
        raise InvalidInputError("something is there to serve", received=f"no bundle and no graph in {', '.join(named)}")
    limits = Limits(body=max_body * 2**20, pixels=max_pixels * 10**6, query_seconds=query_seconds)
    kept = {"state": str(state)} if state is not None else {}
    settings = Settings(tuple(named), tuple(graphs), host, port, workers, api_key=_key(api_key_file), page=page, limits=limits, **kept)
    typer.echo(f"serving {', '.join(p.name for p in found)} on http://{host}:{port}", err=True)
    raise typer.Exit(run(settings))


def _key(path: Path | None) -> str | None:
    """The SHA-256 of the key in a file; the key itself stays out of the workers' settings."""
    if path is None:
        return None
    key = path.read_bytes().strip()
    if len(key) < 16:
        raise InvalidInputError(
            "an API key has at least 16 characters", received=f"{len(key)} in {path}", remedy="openssl rand -hex 32 > key.txt"
        )
    return hashlib.sha256(key).hexdigest()
