"""Images → `Features`: in batches, with progress, resumable, and with every unreadable file named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from kgzsl.artifacts import atomic_file, digest
from kgzsl.errors import InvalidInputError, first_five
from kgzsl.features.base import Backbone
from kgzsl.features.images import UnreadableImageError, list_images, open_rgb
from kgzsl.features.labels import LabelRule, labels_of
from kgzsl.matrices import Features
from kgzsl.progress import track

Images = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def extract(
    images: Images,
    backbone: Backbone,
    *,
    labels: LabelRule | Sequence[str] | None = None,
    batch_size: int = 32,
    on_error: str = "raise",
    out: str | os.PathLike[str] | None = None,
    resume: bool = True,
    overwrite: bool = False,
) -> Features:
    """Return one feature row `[dim]` per image.

    Parameters
    ----------
    images : a folder (every file in it, sorted), one file, or a sequence of files.
    backbone : see `kgzsl.features.make_backbone`.
    labels : class ids in the order of `images`; `from-folders` (each file's folder is its wnid), `from-names`
        (`n01440764_10026.JPEG`, `n01440764.jpg`); None for unlabelled rows.
    batch_size : images per forward pass; results for one batch size repeat bit for bit on the CPU, those of
        different ones agree to float32 rounding.
    on_error : `raise` reads on to the end and then names every unreadable file; `skip` leaves those out and lists
        them in `meta["skipped"]`.
    out : where to save the artifact. Finished batches are kept beside it in `.NAME.partial` until it is written, so
        that a run that was killed (or that met unreadable files) continues where it stopped.
    resume : false ignores and replaces batches kept by an earlier run.
    overwrite : permits replacing the artifact at `out`.

    Returns
    -------
    Features `[images, dim]`; ids are paths relative to the folder, or file names.

    Raises
    ------
    MissingDataError : a path does not exist.
    InvalidInputError : unreadable images (with `raise`), labels that are not class ids, nothing left after skipping,
        or `out` exists.
    """
    if batch_size < 1:
        raise InvalidInputError("batch_size is at least 1", received=batch_size)
    if on_error not in ("raise", "skip"):
        raise InvalidInputError("on_error is `raise` or `skip`", received=repr(on_error))
    if out is not None and Path(out).exists() and not overwrite:
        # before the work, not after it
        raise InvalidInputError(
            "an artifact is never overwritten unasked", received=str(out), remedy="choose another path or pass --overwrite"
        )
    paths, ids = list_images(images)
    row_labels = labels_of(ids, paths, labels)
    shards = _Shards(Path(out) if out is not None else None, backbone, resume)
    kept: list[int] = []
    rows: list[np.ndarray] = []
    bad: dict[str, str] = {}
    starts = range(0, len(paths), batch_size)
    with _Decoder(backbone) as decoder:
        for start in track(starts, f"features ({backbone.name})", total=len(starts)):
            batch = range(start, min(start + batch_size, len(paths)))
            shard = shards.get([paths[i] for i in batch], [ids[i] for i in batch], decoder)
            kept += [i for i in batch if ids[i] not in shard.bad]
            rows.append(shard.matrix)
            bad |= shard.bad
    _report(bad, on_error, len(paths), kept_work=out is not None)
    features = Features(
        ids=tuple(ids[i] for i in kept),
        matrix=np.concatenate(rows),
        labels=tuple(row_labels[i] for i in kept) if row_labels else (),
        meta={"recipe": backbone.recipe(), "skipped": bad, "batch_size": batch_size},
    )
    if out is not None:
        features.save(out, overwrite=overwrite)
        shards.remove()
    return features


def _report(bad: dict[str, str], on_error: str, total: int, *, kept_work: bool) -> None:
    if bad and on_error == "raise":
        raise InvalidInputError(
            "every image must be readable",
            received=f"{len(bad):,} of {total:,} are not: {first_five(f'{path} ({why})' for path, why in bad.items())}",
            remedy="repair or remove them, or pass `--on-error skip`"
            + ("; the readable ones are kept for the next run" if kept_work else ""),
        )
    if len(bad) == total:
        raise InvalidInputError("at least one image must be readable", received=f"all {total:,} were skipped: {first_five(bad)}")


@dataclass
class _Shard:
    """The rows of one batch: `[readable images, dim]`, and why the others are unreadable."""

    matrix: np.ndarray
    bad: dict[str, str] = field(default_factory=dict)


class _Decoder:
    """Opens and preprocesses images on a few threads (Pillow releases the interpreter lock while it decodes)."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._pool = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1))

    def __enter__(self) -> _Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _one(self, path: Path) -> torch.Tensor | str:
        try:
            return self._backbone.preprocess(open_rgb(path))
        except UnreadableImageError as error:
            return str(error)

    def shard(self, paths: list[Path], ids: list[str]) -> _Shard:
        """Return the features of one batch."""
        inputs: list[torch.Tensor] = []
        bad: dict[str, str] = {}
        for identifier, result in zip(ids, self._pool.map(self._one, paths), strict=True):
            if isinstance(result, str):
                bad[identifier] = result
            else:
                inputs.append(result)
        if not inputs:
            return _Shard(np.empty((0, self._backbone.dim), np.float32), bad)
        return _Shard(np.ascontiguousarray(self._backbone.forward(torch.stack(inputs)).numpy(), dtype=np.float32), bad)


class _Shards:
    """Finished batches on disk, each under a name that says which files and which recipe it belongs to."""

    def __init__(self, out: Path | None, backbone: Backbone, resume: bool) -> None:
        self._folder = out.parent / f".{out.name}.partial" if out is not None else None
        self._recipe = digest(backbone.recipe())
        self._dim = backbone.dim
        if self._folder is not None and not resume:
            self.remove()

    def get(self, paths: list[Path], ids: list[str], decoder: _Decoder) -> _Shard:
        """Return the batch from disk, or compute and keep it."""
        if self._folder is None:
            return decoder.shard(paths, ids)
        file = self._folder / f"{self._key(paths, ids)}.safetensors"
        shard = self._read(file)
        if shard is None:
            shard = decoder.shard(paths, ids)
            self._write(file, shard)
        return shard

    def _key(self, paths: list[Path], ids: list[str]) -> str:
        # size and time stand for the content: a file that is repaired between two runs is read again
        stats = [(i, s.st_size, s.st_mtime_ns) for i, s in zip(ids, (p.stat() for p in paths), strict=True)]
        return digest([self._recipe, stats])[:32]

    def _read(self, file: Path) -> _Shard | None:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, framework="numpy") as stream:
                meta, matrix = stream.metadata(), stream.get_tensor("matrix")
            intact = meta["sha256"] == _sha256(matrix) and matrix.shape[1:] == (self._dim,)
            return _Shard(matrix, json.loads(meta["bad"])) if intact else None
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return None  # absent or damaged: the batch is computed again

    def _write(self, file: Path, shard: _Shard) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        try:
            with atomic_file(file) as temporary:
                save_file({"matrix": shard.matrix}, temporary, metadata={"bad": json.dumps(shard.bad), "sha256": _sha256(shard.matrix)})
        except (OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
            raise InvalidInputError(
                "the folder of the features must be writable and have room",
                received=str(error),
                remedy="free disk space and run again: finished batches are kept",
            ) from error

    def remove(self) -> None:
        """Delete the kept batches."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _sha256(matrix: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(matrix).tobytes()).hexdigest()
