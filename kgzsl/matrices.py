"""Matrices whose rows carry ids: semantic vectors, class embeddings, classifier weights, features."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.errors import ArtifactError, IncompatibleError, InvalidInputError, first_five
from kgzsl.ids import check_unique, positions


@dataclass(frozen=True)
class IdMatrix:
    """A float32 matrix `[rows, dim]` with one id per row.

    Attributes
    ----------
    ids : row ids, unique.
    matrix : `[rows, dim]`, finite.
    meta : how it was made (JSON values only); written to the manifest.

    Raises
    ------
    InvalidInputError : shapes disagree, ids repeat, or a value is NaN or infinite.
    """

    kind: ClassVar[str] = "matrix"

    ids: tuple[str, ...]
    matrix: np.ndarray
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", tuple(self.ids))
        object.__setattr__(self, "matrix", np.ascontiguousarray(self.matrix, dtype=np.float32))
        if self.matrix.ndim != 2 or len(self.ids) != len(self.matrix):
            raise InvalidInputError(
                f"{self.kind}: the matrix is [rows, dim] with one id per row",
                received=f"{len(self.ids)} ids, matrix {self.matrix.shape}",
            )
        check_unique(self.ids, f"the rows of {self.kind}")
        finite = np.isfinite(self.matrix).all(axis=1)
        if not finite.all():
            bad = [self.ids[i] for i in np.flatnonzero(~finite)]
            raise InvalidInputError(
                f"{self.kind}: every value must be finite",
                received=f"NaN or infinity in {len(bad)} rows: {first_five(bad)}",
                remedy="drop or repair those rows",
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dim(self) -> int:
        """Number of columns."""
        return int(self.matrix.shape[1])

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """Return the rows of `ids`, `[ids, dim]`; an unknown id raises UnknownNameError."""
        return self.matrix[positions(ids, self.ids, self.kind)]

    def select(self, ids: Sequence[str]) -> Self:
        """Return the same kind of matrix with only the rows of `ids`, in their order."""
        return type(self)(ids=tuple(ids), matrix=self.rows(ids), meta=self.meta)

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the artifact folder (manifest.json, ids.txt, matrix.safetensors) and return its path."""
        with atomic_directory(path, overwrite=overwrite) as folder:
            self._write(folder)
            write_manifest(folder, self.kind, {"shape": list(self.matrix.shape), "meta": dict(self.meta)})
        return Path(path)

    def _write(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        _write_lines(folder / "ids.txt", self.ids)
        save_file({"matrix": self.matrix}, folder / "matrix.safetensors")

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, verify: bool = True) -> Self:
        """Read an artifact folder; see `read_manifest` for what is refused."""
        folder = Path(path)
        manifest = read_manifest(folder, cls.kind, verify=verify)
        return cls(meta=manifest["meta"], **cls._read(folder))

    @classmethod
    def _read(cls, folder: Path, *, mapped: bool = False) -> dict[str, Any]:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        from kgzsl.mapped import mapped_arrays

        try:
            matrix = (mapped_arrays if mapped else load_file)(folder / "matrix.safetensors")["matrix"]
            ids = _read_lines(folder / "ids.txt")
        except (OSError, KeyError, SafetensorError, UnicodeDecodeError) as error:
            raise ArtifactError("the folder must hold ids.txt and matrix.safetensors", received=f"{folder}: {error}") from error
        return {"ids": ids, "matrix": matrix}


@dataclass(frozen=True)
class Vectors(IdMatrix):
    """Semantic vectors of nodes `[nodes, dim]` (meta: model, template, out-of-vocabulary counts)."""

    kind: ClassVar[str] = "vectors"


@dataclass(frozen=True)
class ClassEmbeddings(IdMatrix):
    """Class embeddings `[classes, dim]` from an encoder (meta: encoder, settings, graph digest)."""

    kind: ClassVar[str] = "embeddings"


@dataclass(frozen=True)
class ClassifierWeights(IdMatrix):
    """Classifier weights `[classes, features + 1]`; the last column is the bias.

    `meta["recipe"]` is the feature recipe (backbone, weights digest, preprocessing) that the weights score.
    """

    kind: ClassVar[str] = "weights"

    @property
    def weight(self) -> np.ndarray:
        """`[classes, features]`."""
        return self.matrix[:, :-1]

    @property
    def bias(self) -> np.ndarray:
        """`[classes]`."""
        return self.matrix[:, -1]


@dataclass(frozen=True)
class Features(IdMatrix):
    """Feature rows `[images, dim]`; `labels` holds the class id of each row, empty when unlabelled.

    `meta["recipe"]` says which backbone and preprocessing made them.
    """

    kind: ClassVar[str] = "features"

    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "labels", tuple(self.labels))
        if self.labels and len(self.labels) != len(self.ids):
            raise InvalidInputError("features carry one label per row or none", received=f"{len(self.labels)} labels, {len(self.ids)} rows")

    def select(self, ids: Sequence[str]) -> Self:
        """Return the rows of `ids` with their labels."""
        where = positions(ids, self.ids, self.kind)
        labels = tuple(self.labels[i] for i in where) if self.labels else ()
        return type(self)(ids=tuple(ids), matrix=self.matrix[where], meta=self.meta, labels=labels)

    def of_classes(self, classes: Sequence[str]) -> Self:
        """Return the rows whose label is in `classes` (none is an error)."""
        wanted = set(classes)
        if not wanted.intersection(self.labels):
            raise InvalidInputError(
                f"some of the {len(wanted):,} classes must have a labelled feature row",
                received=f"{len(self.ids):,} rows of {len(set(self.labels)):,} other classes" if self.labels else "features without labels",
                remedy="extract with --labels from-folders, or check the ids",
            )
        return self.select([i for i, label in zip(self.ids, self.labels, strict=True) if label in wanted])

    def _write(self, folder: Path) -> None:
        super()._write(folder)
        _write_lines(folder / "labels.txt", self.labels)

    @classmethod
    def save_blocks(
        cls, blocks: Iterable[Self], path: str | os.PathLike[str], *, rows: int, meta: Mapping[str, Any], overwrite: bool = False
    ) -> Path:
        """Write the artifact of many blocks of labelled rows, of which only one is in memory at a time, and return its path.

        Parameters
        ----------
        blocks : of equal width, their ids unique among all of them.
        rows : how many rows they have together; their number stands before them in the file.

        Raises
        ------
        InvalidInputError : no block, another number of rows, blocks of unequal width or without labels.
        """
        with atomic_directory(path, overwrite=overwrite) as folder:
            count, dim = 0, 0
            with (
                open(folder / "matrix.safetensors", "wb") as matrix,
                open(folder / "ids.txt", "w", encoding="utf-8") as ids,
                open(folder / "labels.txt", "w", encoding="utf-8") as labels,
            ):
                for block in blocks:
                    if not count:
                        dim = block.dim
                        matrix.write(_safetensors_header("matrix", (rows, dim)))
                    if block.dim != dim or not block.labels:
                        raise InvalidInputError(
                            f"blocks of features have {dim:,} columns and labels", received=f"{block.dim:,}, {len(block.labels):,} labels"
                        )
                    matrix.write(block.matrix.astype("<f4", copy=False).tobytes())
                    ids.write(_lines(block.ids))
                    labels.write(_lines(block.labels))
                    count += len(block)
            if count != rows or not count:
                raise InvalidInputError(f"the blocks have {rows:,} rows together, and at least one", received=f"{count:,}")
            write_manifest(folder, cls.kind, {"shape": [rows, dim], "meta": dict(meta)})
        return Path(path)

    @classmethod
    def _read(cls, folder: Path, *, mapped: bool = False) -> dict[str, Any]:
        try:
            labels = _read_lines(folder / "labels.txt")
        except (OSError, UnicodeDecodeError) as error:
            raise ArtifactError("the folder must hold labels.txt", received=f"{folder}: {error}") from error
        return {**super()._read(folder, mapped=mapped), "labels": labels}


def _safetensors_header(name: str, shape: tuple[int, int]) -> bytes:
    """Return what stands before the values of one float32 matrix: the header's length, and the header, filled up to 8 bytes."""
    entry = {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 4 * shape[0] * shape[1]]}
    text = json.dumps({name: entry}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    file.write_text(_lines(lines), encoding="utf-8")


def _lines(lines: Sequence[str]) -> str:
    """Return one id per line; an id that is not one line would come back as another one."""
    torn = [repr(line) for line in lines if "\n" in line or "\r" in line]
    if torn:
        raise InvalidInputError("an id is one line of text", received=first_five(torn), remedy="rename those rows")
    return "".join(f"{line}\n" for line in lines)


def _read_lines(file: Path) -> tuple[str, ...]:
    return tuple(file.read_text(encoding="utf-8").split("\n")[:-1])


def check_has_recipe(matrix: IdMatrix) -> None:
    """Raise InvalidInputError unless `matrix.meta["recipe"]` says which backbone it belongs to."""
    if not isinstance(matrix.meta.get("recipe"), Mapping):
        raise InvalidInputError(
            f"{matrix.kind} carry the recipe of the features they belong to",
            received=f"meta with {sorted(matrix.meta) or 'nothing'}",
            remedy="`kgzsl features weights` writes a backbone's weights with it; in Python: meta={'recipe': backbone.recipe()}",
        )


def check_same_recipe(features: Mapping[str, Any], targets: Mapping[str, Any]) -> None:
    """Refuse features of another backbone than the one the targets belong to.

    Parameters
    ----------
    features, targets : feature recipes (`meta["recipe"]`).

    Raises
    ------
    IncompatibleError : any field of the recipes differs; each is named.
    """
    different = [k for k in sorted(set(features) | set(targets)) if features.get(k) != targets.get(k)]
    if different:
        pairs = ", ".join(f"{k}: features {features.get(k)!r}, classifier {targets.get(k)!r}" for k in different)
        raise IncompatibleError(
            "features and classifier weights must come from the same backbone and preprocessing",
            received=pairs,
            remedy="extract the features again with the classifier's backbone (`kgzsl features extract --backbone NAME`)",
        )
