"""Routes under `/v1/embeddings`: classes as vectors."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kgzsl.errors import InvalidInputError
from kgzsl.service import schemas
from kgzsl.service.answers import PROBLEMS, as_json, json_object, state_of, texts
from kgzsl.service.embedding import Space, space_of, spaces
from kgzsl.service.state import State

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], responses=PROBLEMS)


@router.get("", summary="All spaces", response_model=list[schemas.Embedding])
async def embeddings(request: Request) -> Response:
    """Per bundle the weights that its encoder predicted; per graph the vectors of its texts (`GRAPH-text`)."""
    return as_json(spaces(state_of(request)))


_ARROW: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/{name}",
    summary="Classes as vectors",
    response_model=schemas.Vectors,
    responses=_ARROW,
    openapi_extra=schemas.body("ClassesToEmbed", "application/json"),
)
async def embed(name: str, request: Request) -> Response:
    """Vectors of ids, or of free names, which are linked: the nodes that they may mean come along, with scores.

    As JSON numbers, as base64 of little-endian float32 rows, or as an Arrow stream with the columns id, name, vector.
    """
    state = state_of(request)
    space = space_of(state, name)
    asked = await json_object(request)
    wanted = texts(asked.get("classes"), "classes", state.settings.limits.names, 1000)
    format = asked.get("format", "json")
    if not wanted:
        raise InvalidInputError("`classes` names at least one", received="none")
    if format not in ("json", "base64", "arrow"):
        raise InvalidInputError("the format is json, base64 or arrow", received=repr(format)[:100])
    known = [space.find(one) for one in wanted]
    if None not in known:  # ids alone cost no thread
        return _answer(format, [space.record(at) for at in known if at is not None], space.rows([at for at in known if at is not None]))
    records, rows = await state.run(_embedded, state, space, wanted, known)
    return _answer(format, records, rows)


def _embedded(state: State, space: Space, wanted: list[str], known: list[int | None]) -> tuple[list[dict[str, Any]], np.ndarray]:
    records, rows = [], []
    for one, at in zip(wanted, known, strict=True):
        record, row = (space.record(at), space.rows([at])[0]) if at is not None else space.of_name(state, one)
        records.append(record)
        rows.append(row)
    return records, np.stack(rows)


def _answer(format: str, records: list[dict[str, Any]], rows: np.ndarray) -> Response:
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    if format == "arrow":
        return Response(_arrow(records, rows), media_type="application/vnd.apache.arrow.stream")
    told: dict[str, Any] = {"classes": records, "dim": rows.shape[1], "vectors": None, "data": None}
    if format == "json":
        return as_json({**told, "vectors": rows})
    return as_json({**told, "data": base64.b64encode(rows.astype("<f4").tobytes()).decode()})


def _arrow(records: list[dict[str, Any]], rows: np.ndarray) -> bytes:
    import pyarrow as pa

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), rows.shape[1])
    table = pa.table({"id": [r["id"] for r in records], "name": [r["name"] for r in records], "vector": vectors})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


@router.get("/{name}/nearest", summary="Nearest classes", response_model=schemas.Nearest)
async def nearest(
    name: str,
    request: Request,
    of: Annotated[str, Query(alias="class", min_length=1, max_length=1000, description="An id, or a free name")],
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 10,
) -> Response:
    """Classes nearest to one by cosine, itself aside."""
    state = state_of(request)
    space = space_of(state, name)
    return as_json(await state.run(space.nearest, state, of, limit))
