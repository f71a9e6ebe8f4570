"""Node texts → `Vectors`, cached by what they depend on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError
from kgzsl.matrices import Vectors
from kgzsl.vectors.base import OovPolicy, TextEncoder
from kgzsl.vectors.text import HasTexts, node_texts

#: Raised when the same inputs would give other vectors.
_CACHE_VERSION = 1


def embed_texts(
    graph: HasTexts,
    encoder: TextEncoder | str = "minilm-l6-v2",
    *,
    template: str | None = None,
    oov: OovPolicy = "error",
    cache_dir: str | os.PathLike[str] | None = None,
) -> Vectors:
    """Return the semantic vector of every node of `graph`, `[nodes, dim]` float32.

    Parameters
    ----------
    encoder : an encoder, its name (`kgzsl list text-encoders`), a sentence-transformers folder, or a file of word vectors.
    template : the node text (see `kgzsl.vectors.text`); None takes the encoder's own.
    oov : what becomes of nodes without a known word: `error`, `zero` or `mean`; the counts are in `meta["oov"]`.
    cache_dir : None takes `$KGZSL_CACHE/vectors`, else `~/.cache/kgzsl/vectors`. An entry is found by the digest of
        the texts, the model's files and the settings; a damaged one is rebuilt, which is said on standard error.

    Raises
    ------
    InvalidInputError : a bad template, or out-of-vocabulary nodes under `error`.
    MissingDataError : the encoder's model is not on this machine.
    """
    from kgzsl.vectors.resolver import make_text_encoder

    model = make_text_encoder(encoder) if isinstance(encoder, str) else encoder
    chosen = template if template is not None else model.template
    texts = node_texts(graph, chosen)
    settings = {"version": _CACHE_VERSION, "template": chosen, "policy": oov, **model.meta()}
    folder = _cache_root(cache_dir) / f"{model.name}-{digest([list(graph.ids), texts, settings])[:32]}"
    cached = _read(folder)
    if cached is not None:
        return cached
    matrix, counts = model.encode_with_counts(texts, oov=oov)
    vectors = Vectors(ids=tuple(graph.ids), matrix=matrix, meta=_meta(model, chosen, texts, counts))
    _write(vectors, folder)
    return vectors


def _meta(model: TextEncoder, template: str, texts: list[str], counts: dict[str, Any]) -> dict[str, Any]:
    return {**model.meta(), "source": model.source, "template": template, "texts_digest": digest(texts), "oov": counts}


def precomputed(path: str | os.PathLike[str], ids: list[str] | None = None) -> Vectors:
    """Return vectors from a `Vectors` artifact, or from an `.npy` matrix whose rows are `ids`.

    Raises
    ------
    MissingDataError : no such path.
    KgzslError : the shapes, ids or values are wrong (see `Vectors`).
    """
    source = Path(path)
    if source.is_dir():
        loaded = Vectors.load(source)
        return loaded.select(ids) if ids is not None else loaded
    if not source.is_file() or ids is None:
        raise MissingDataError(
            "precomputed vectors are a vectors artifact, or an .npy file with the ids of its rows",
            received=f"{source}, {'no ids' if ids is None else 'not a file'}",
        )
    try:
        matrix = np.load(source, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InvalidInputError("precomputed vectors are an .npy file of numbers", received=f"{source}: {error}") from error
    return Vectors(ids=tuple(ids), matrix=matrix, meta={"encoder": "precomputed", "model": source.name})


def _cache_root(cache_dir: str | os.PathLike[str] | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    base = os.environ.get("KGZSL_CACHE")
    return (Path(base) if base else Path.home() / ".cache" / "kgzsl") / "vectors"


def _read(folder: Path) -> Vectors | None:
    if not folder.exists():
        return None
    try:
        return Vectors.load(folder)
    except KgzslError as error:
        print(f"kgzsl: rebuilding a damaged cache entry ({error.rule}: {folder})", file=sys.stderr)
        return None


def _write(vectors: Vectors, folder: Path) -> None:
    """Keep the vectors; a cache that cannot be written costs time later, never the result."""
    import shutil

    from safetensors import SafetensorError

    try:
        if folder.exists():
            shutil.rmtree(folder)  # a damaged entry, which has just been computed again
        vectors.save(folder)
    except (KgzslError, OSError, SafetensorError) as error:  # safetensors has its own error for a full disk
        if not (folder / "manifest.json").is_file():  # else another process wrote the same entry first
            print(f"kgzsl: the vectors could not be cached in {folder.parent} ({error})", file=sys.stderr)
