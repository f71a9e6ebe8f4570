"""Caltech-101 images of classes outside ImageNet-1k, by wnid."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from kgzsl.datasets.base import ImageSet
from kgzsl.datasets.imagenet import image_folder
from kgzsl.errors import InvalidInputError, SourceError, first_five
from kgzsl.ids import curie

#: Images and classes of the benchmark folder, version 1.
COUNTS = (1_560, 52)
#: `hop_set` in classes.json → the smallest hop set that holds the class.
_HOPS = {"2hops": "2-hops", "3hops-pure": "3-hops", "rest": "All"}


def caltech101_unseen(path: str | os.PathLike[str] | None = None) -> ImageSet:
    """Return 1,560 Caltech-101 images of 52 classes that no ImageNet-1k backbone was trained on.

    Parameters
    ----------
    path : the `caltech101_unseen` folder (`images/<wnid>/*.jpg`, `classes.json`); None looks below `KGZSL_DATA`.

    Raises
    ------
    MissingDataError : the folder, or an image of it, is not there.
    InvalidInputError : the images per class are not those of classes.json.
    """
    root = _root(path)
    found = image_folder(root / "images", name="caltech101-unseen", version="1").validate(images=COUNTS[0], classes=COUNTS[1])
    stated = {curie(wnid): entry["images"] for wnid, entry in _classes(root).items()}
    if stated != found.counts():
        other = sorted(i for i in set(stated) | set(found.counts()) if stated.get(i) != found.counts().get(i))
        raise InvalidInputError(
            "caltech101_unseen has the images per class that classes.json states", received=f"others for {first_five(other)}"
        )
    return found


def caltech101_hop_sets(path: str | os.PathLike[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Return the classes with images per hop set, sorted CURIEs: `2-hops` 15, `3-hops` 32, `All` 52 (each holds the one before)."""
    smallest = {curie(wnid): _HOPS[entry["hop_set"]] for wnid, entry in _classes(_root(path)).items()}
    names = list(_HOPS.values())
    return {name: tuple(sorted(i for i, s in smallest.items() if names.index(s) <= k)) for k, name in enumerate(names)}


def _root(path: str | os.PathLike[str] | None) -> Path:
    if path is not None:
        return Path(path)
    from kgzsl.data import benchmark_path

    return Path(benchmark_path("caltech101_unseen"))


def _classes(root: Path) -> dict[str, dict[str, Any]]:
    try:
        content: dict[str, dict[str, Any]] = json.loads((root / "classes.json").read_text(encoding="utf-8"))
        strange = [w for w, entry in content.items() if entry["hop_set"] not in _HOPS or not isinstance(entry["images"], int)]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceError("caltech101_unseen has a classes.json with hop_set and images per wnid", received=f"{root}: {error}") from error
    if strange:
        raise SourceError("hop_set is 2hops, 3hops-pure or rest", received=first_five(strange))
    return content
