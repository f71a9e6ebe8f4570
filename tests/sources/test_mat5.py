"""MATLAB files are checked before SciPy's compiled reader meets them: damage is an error, never the end of the process."""

from __future__ import annotations

import contextlib
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from kgzsl.errors import MissingDataError, SourceError
from kgzsl.sources.mat5 import check_matlab
from kgzsl.sources.tables import matlab_arrays

NAMES = np.array([["ox"], ["polar bear"], ["Größe"]], dtype=object)
ARRAYS: dict[str, Any] = {
    "att": np.arange(12, dtype=float).reshape(4, 3) / 7,
    "loc": np.array([[1], [2], [60_000]], dtype=np.uint16),
    "names": NAMES,
    "other": {"a": 1, "b": "text"},
}


def saved(folder: Path, packed: bool = False, **changed: Any) -> Path:
    savemat(folder / "t.mat", {**ARRAYS, **changed}, do_compression=packed)
    return folder / "t.mat"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?", "c16"])
def test_every_kind_of_numbers_passes(tmp_path: Path, kind: str, packed: bool) -> None:
    value = np.arange(6).reshape(2, 3).astype(kind)
    file = saved(tmp_path, packed, att=value)
    check_matlab(file, {"att", "names", "loc"})
    assert np.array_equal(loadmat(file)["att"], value)
    if kind not in ("?", "c16"):
        assert np.array_equal(matlab_arrays(file, ("att",), ("names",))["att"], value)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("value", [np.zeros((0, 3)), np.zeros((2, 3, 4)), np.zeros((0, 0), dtype=object), NAMES, 3.0, "text", ""])
def test_shapes_and_cells_pass(tmp_path: Path, value: Any, packed: bool) -> None:
    check_matlab(saved(tmp_path, packed, att=value), {"att"})


def test_a_large_compressed_array_is_followed_without_being_kept(tmp_path: Path) -> None:
    file = saved(tmp_path, True, att=np.zeros((3_000, 1_000)))  # 24 MB of zeros: 24 kB in the file
    check_matlab(file, {"att"})
    whole = file.read_bytes()
    for cut in (len(whole) - 1, len(whole) // 2, 140):
        file.write_bytes(whole[:cut])
        with pytest.raises(SourceError, match="is a MATLAB file"):
            check_matlab(file, {"att"})


@pytest.mark.data
@pytest.mark.parametrize("name", ["AWA2_att", "SUN_att", "APY_att", "CUB_sent"])
def test_published_files_pass(name: str) -> None:
    file = Path(os.environ["KGZSL_DATA"]) / f"xlsa17/{name}_splits.mat"
    check_matlab(file, {"att", "original_att", "allclasses_names", "trainval_loc"})
    assert np.array_equal(matlab_arrays(file, ("att",))["att"], loadmat(file)["att"])


@pytest.mark.parametrize(
    ("find", "put", "said"),
    [
        (struct.pack("<II", 9, 96), struct.pack("<II", 200, 96), "bytes of the type 200"),  # what ends a process in SciPy 1.17
        (struct.pack("<II", 9, 96), struct.pack("<II", 9, 88), "has 12 entries, and 88 bytes"),
        (struct.pack("<II", 9, 96), struct.pack("<II", 9, 9_600), "9,600 bytes are promised"),
        (struct.pack("<IIII", 6, 8, 6, 0), struct.pack("<IIII", 6, 8, 99, 0), "received: the class 99"),
        (struct.pack("<IIII", 6, 8, 6, 0), struct.pack("<IIII", 5, 8, 6, 0), "begins with its flags"),
        (struct.pack("<IIii", 5, 8, 4, 3), struct.pack("<IIii", 5, 8, -4, 3), r"dimensions \(-4, 3\)"),
        (struct.pack("<IIii", 5, 8, 4, 3), struct.pack("<IIii", 5, 4, 4, 3), "two dimensions or more"),
        (struct.pack("<I", 14), struct.pack("<I", 77), "unknown type 77"),
        (b"IM", b"XX", "mark of the byte order"),
    ],
)
def test_damage_is_named(tmp_path: Path, find: bytes, put: bytes, said: str) -> None:
    file = saved(tmp_path)
    raw = file.read_bytes()
    assert find in raw
    file.write_bytes(raw.replace(find, put, 1))
    with pytest.raises(SourceError, match=said):
        matlab_arrays(file, ("att",), ("names",))


def test_what_is_wanted_and_neither_numbers_nor_cells(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cells of names\n  received: a structure"):
        check_matlab(saved(tmp_path), {"other"})
    with pytest.raises(MissingDataError):
        matlab_arrays(tmp_path / "no.mat", ("att",))
    for raw in (b"", b"x", b"MATLAB 5.0" + bytes(300)):
        (tmp_path / "t.mat").write_bytes(raw)
        with pytest.raises(SourceError, match="is a MATLAB file"):
            matlab_arrays(tmp_path / "t.mat", ("att",))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 6), packed=st.booleans(), cut=st.booleans())
def test_damaged_bytes_are_read_or_refused(tmp_path: Path, seed: int, changes: int, packed: bool, cut: bool) -> None:
    chosen = random.Random(seed)  # noqa: S311 what is drawn is no secret
    file = saved(tmp_path, packed)
    raw = bytearray(file.read_bytes())
    for _ in range(changes):
        raw[chosen.randrange(len(raw))] = chosen.choice([0, 1, 127, 255, chosen.randrange(256)])
    file.write_bytes(raw[: chosen.randrange(len(raw))] if cut else raw)
    with contextlib.suppress(SourceError):
        assert matlab_arrays(file, ("att",), ("names", "loc"))["att"].dtype.kind in "iuf"
