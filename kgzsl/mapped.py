"""Arrays of a safetensors file, mapped: pages are read when they are touched, and processes share them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kgzsl.errors import ArtifactError

_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "U8": "|u1", "I8": "|i1"}


def mapped_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name, read-only and not yet in memory.

    Raises
    ------
    ArtifactError : not such a file, a type that is not mapped, or shorter than its header says.
    """
    try:
        with open(path, "rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            if size > path.stat().st_size:
                raise ValueError("the header is longer than the file")
            header = json.loads(stream.read(size))
        found = {}
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            kind, shape, (start, end) = np.dtype(_TYPES[entry["dtype"]]), tuple(entry["shape"]), entry["data_offsets"]
            if end - start != int(np.prod(shape, dtype=np.int64)) * kind.itemsize or 8 + size + end > path.stat().st_size:
                raise ValueError(f"{name} does not fit the file")
            empty = start == end
            found[name] = np.empty(shape, kind) if empty else np.memmap(path, kind, "r", 8 + size + start, shape).view(np.ndarray)
        return found
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError("matrices are safetensors files", received=f"{path}: {error!r}", remedy="build the artifact again") from error
