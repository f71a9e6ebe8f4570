"""`kgzsl generate` as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kgzsl.errors import InvalidInputError
from kgzsl.generators import GENERATORS, Generator, Training, settings_of
from kgzsl.ids import check_unique, positions
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.progress import track


def fit_generator(
    features: Features,
    *,
    embeddings: ClassEmbeddings,
    generator: str | Generator = "fclswgan",
    settings: Mapping[str, Any] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Generator:
    """Return a generator that has learned from labelled features of seen classes.

    Parameters
    ----------
    features : rows of seen classes only, each with its label.
    embeddings : of all classes that features may be wanted of, seen ones among them, `[classes, semantics]`.
    generator : a name from `kgzsl list generators`, or a generator.
    settings : the generator's settings, when it is given by name.
    checkpoint : folder that keeps the state of training; where it is there already, training goes on from it.

    Raises
    ------
    InvalidInputError : features without labels, or what `Generator.fit` refuses.
    UnknownNameError : no such generator, or a label without embedding.
    """
    made = GENERATORS.make(generator, settings) if isinstance(generator, str) else generator
    if not features.labels:
        raise InvalidInputError("a generator learns from labelled features", received="features without labels")
    made.fit(features.matrix, features.labels, embeddings, training=Training(checkpoint=os.fspath(checkpoint) if checkpoint else None))
    return made


def generate(
    generator: Generator,
    *,
    classes: Sequence[str],
    per_class: int = 300,
    out: str | os.PathLike[str],
    embeddings: ClassEmbeddings | None = None,
    recipe: Mapping[str, Any] | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Write synthetic features of `classes`, `per_class` rows each, as a feature artifact, and return its path.

    Rows are drawn and written block after block, so that memory does not grow with their number; `Features.load` reads them, and
    `generator.synthesise` yields the same blocks without a file.

    Parameters
    ----------
    embeddings : of the classes; None takes those that the generator was fitted with.
    recipe : that of the features it learned from (`features.meta["recipe"]`): synthetic ones live in the same space.
    seed : of the noise.

    Raises
    ------
    InvalidInputError : not fitted, no class or one twice, no rows asked for, or an artifact is at `out` already.
    UnknownNameError : a class without embedding.
    IncompatibleError : embeddings of another dimension than those learned from.
    """
    check_unique(classes, "the classes to draw features of")
    known = embeddings or getattr(generator, "embeddings", None)
    if known is not None:
        positions(classes, known.ids, "the class embeddings")
    meta = {"generator": generator.name, "settings": settings_of(generator), "seed": seed, "per_class": per_class, "synthetic": True}
    if generator.classes and generator.notice:
        meta["notice"] = generator.notice
    blocks = track(generator.synthesise(classes, per_class, embeddings=embeddings, seed=seed), f"{generator.name}: drawing")
    return Features.save_blocks(
        blocks, out, rows=len(classes) * per_class, meta={**meta, **({"recipe": dict(recipe)} if recipe else {})}, overwrite=overwrite
    )
