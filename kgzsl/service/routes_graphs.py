"""Routes under `/v1/graphs`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, integer, json_object, state_of
from kgzsl.service.exporting import export_response
from kgzsl.service.texts import text_space

router = APIRouter(prefix="/v1/graphs", tags=["graphs"], responses=PROBLEMS)

Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many")]
NodeId = Annotated[str, Query(min_length=1, max_length=500, description="A node's id, a CURIE")]


@router.get("", summary="All graphs", response_model=list[schemas.Graph])
async def graphs(request: Request) -> Response:
    """List the graphs that are served; a broken one with what is wrong."""
    return as_json(state_of(request).store.listed("graph"))


@router.get("/{graph}", summary="One graph", response_model=schemas.Graph)
async def describe(graph: str, request: Request) -> Response:
    """Counts, relations, kinds of nodes and sources."""
    return as_json(state_of(request).store.graph(graph).describe())


@router.get("/{graph}/search", summary="Nodes by text", response_model=schemas.Found)
async def search(
    graph: str,
    request: Request,
    q: Annotated[str, Query(max_length=500, description="Part of a name, a name, or what is meant")],
    mode: Annotated[Literal["prefix", "fuzzy", "meaning"], Query(description="How names are compared")] = "prefix",
    limit: Limit = 20,
) -> Response:
    """Find nodes by the beginning of a word (`prefix`), by nearly these letters (`fuzzy`), or by what is meant (`meaning`)."""
    state = state_of(request)
    served = state.store.graph(graph)
    if mode == "meaning":
        found = await state.run(text_space(state, served).search, q, limit) if q.strip() else []
    elif mode == "fuzzy":
        found = served.index.fuzzy(q, limit)
    else:
        found = served.index.prefix(q, limit)
    return as_json({"nodes": [{**served.walk.node(at), "score": score} for at, score in found]})


@router.get("/{graph}/path", summary="The way between two nodes", response_model=schemas.Path)
async def path(
    graph: str,
    request: Request,
    start: Annotated[str, Query(alias="from", min_length=1, max_length=500, description="A node's id")],
    to: NodeId,
) -> Response:
    """The shortest path, edges read both ways; no nodes where there is none."""
    served = state_of(request).store.graph(graph)
    return as_json(served.walk.path(served.place(start), served.place(to)))


@router.get("/{graph}/nodes/{identifier:path}/neighbours", summary="What is around a node", response_model=schemas.Neighbours)
async def neighbours(
    graph: str,
    identifier: str,
    request: Request,
    limit: Limit = 50,
    relation: Annotated[str | None, Query(max_length=200, description="Only edges of this relation")] = None,
) -> Response:
    """The edges at a node, parents first, and the nodes at their other ends; `total` counts all edges."""
    served = state_of(request).store.graph(graph)
    return as_json(served.walk.neighbours(served.place(identifier), limit, relation))


@router.get("/{graph}/nodes/{identifier:path}", summary="A node", response_model=schemas.Node)
async def node(graph: str, identifier: str, request: Request) -> Response:
    """Label, gloss and kind of a node."""
    served = state_of(request).store.graph(graph)
    return as_json(served.walk.node(served.place(identifier)))


_QUERY = schemas.body("Sparql", "application/json")


@router.post("/{graph}/sparql", summary="A SPARQL query", response_model=schemas.Rows, openapi_extra=_QUERY)
async def sparql(graph: str, request: Request) -> Response:
    """SELECT, ASK, CONSTRUCT or DESCRIBE; nothing is changed, nothing is fetched, and what takes too long is ended."""
    state = state_of(request)
    served = state.store.graph(graph)
    asked = await json_object(request)
    limits = state.settings.limits
    rows = integer(asked.get("limit", limits.listed), "limit", 1, limits.listed)
    return as_json(await state.query(served, str(asked.get("query", ""))[: limits.text], rows))


@router.get("/{graph}/export", summary="The graph in another tool's format", responses={200: {"content": {"application/octet-stream": {}}}})
async def export(
    graph: str,
    request: Request,
    format: Annotated[Literal["graphml", "gexf", "ntriples", "turtle", "networkx-json", "tsv", "pyg"], Query()] = "ntriples",
) -> Response:
    """A file; for `tsv` and `pyg`, which are folders, a zip of them."""
    state = state_of(request)
    return await export_response(state, state.store.graph(graph), format)
