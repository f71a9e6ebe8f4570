"""A graph as a file of another tool's format, made once and kept while the service runs."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fastapi.responses import FileResponse

from kgzsl.service.state import State
from kgzsl.service.store import ServedGraph


async def export_response(state: State, served: ServedGraph, format: str) -> FileResponse:
    """Return the graph's file in a format of `kgzsl.graphs.export`; a folder comes as a zip."""
    path: Path = await state.run(state.once, "export", f"{served.key}-{format}", lambda: _written(served, format))
    return FileResponse(path, media_type="application/octet-stream", filename=f"{served.name}{''.join(path.suffixes[-1:])}")


def _written(served: ServedGraph, format: str) -> Path:
    from kgzsl.graphs.export import FORMATS, export_graph

    folder = Path(tempfile.mkdtemp(prefix="kgzsl-export-"))
    suffix = FORMATS[format].suffix
    written = export_graph(served.graph, folder / f"graph{suffix}", format).path
    return written if suffix else Path(shutil.make_archive(str(folder / "graph-tables"), "zip", written))
