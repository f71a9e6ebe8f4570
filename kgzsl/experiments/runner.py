"""Run a cell: knowledge, data, method, protocol → a result."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError
from kgzsl.experiments.cell import Cell
from kgzsl.experiments.results import FORMAT_VERSION, summarise
from kgzsl.matrices import IdMatrix
from kgzsl.progress import track
from kgzsl.workspace import Workspace

if TYPE_CHECKING:
    from kgzsl.datasets import ImageSet, Split
    from kgzsl.features import Backbone
    from kgzsl.tasks.methods import Knowledge

#: One run: the seed, the split's name and digest, and the metrics per protocol.
Run = tuple[int, str, str, Mapping[str, Any]]


def run_cell(cell: Cell, workspace: Workspace | None = None, *, images: ImageSet | None = None) -> dict[str, Any]:
    """Run every seed and split of `cell` and return the result (see `results.SCHEMA`).

    Parameters
    ----------
    images : labelled images of ImageNet-1k classes in place of the samples, for an `image-holdout` cell; the result
        carries their name and digest.

    Raises
    ------
    MissingDataError : the cell's dataset or models are not on this machine; says what to do.
    """
    from kgzsl.datasets import imagenet_descriptions
    from kgzsl.features import make_backbone
    from kgzsl.tasks.methods import Knowledge

    started = time.perf_counter()
    workspace = workspace or Workspace()
    backbone = make_backbone(cell.backbone)
    graph = workspace.graph(cell.graph)
    descriptions = imagenet_descriptions() if cell.descriptions else None
    knowledge = Knowledge(graph, workspace.vectors(graph, cell.vectors, descriptions), workspace.weights(backbone))
    dataset, total, steps = _plan(cell, knowledge, workspace, backbone, images)
    runs, last = [], time.perf_counter()
    for seed, split, split_digest, protocols in track(steps, cell.name, total=total):
        now = time.perf_counter()
        runs.append({"seed": seed, "split": split, "split_digest": split_digest, "protocols": protocols, "seconds": round(now - last, 3)})
        last = now
    return {
        "format_version": FORMAT_VERSION,
        "cell": dict(cell.content),
        "task": cell.task,
        "dataset": dataset,
        "digests": {"graph": graph.digest, "vectors": matrix_digest(knowledge.vectors), "weights": matrix_digest(knowledge.weights)},
        "runs": runs,
        "summary": summarise(runs),
        "selected_on": "held-out seen classes (hyper-parameters, epochs and γ); no image of an unseen class",
        "environment": environment(),
        "seconds": round(time.perf_counter() - started, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def _plan(
    cell: Cell, knowledge: Knowledge, workspace: Workspace, backbone: Backbone, given: ImageSet | None = None
) -> tuple[dict[str, str], int, Iterator[Run]]:
    """Return the dataset's identity, how many runs there are, and the runs, lazily."""
    from kgzsl import datasets

    if given is not None and cell.task != "image-holdout":
        raise InvalidInputError("only image-holdout cells take other images", received=f"{cell.name}, a cell of {cell.task}")
    if cell.task == "image-hops" and cell.dataset == "caltech101-unseen" and cell.folds is None:
        images = datasets.caltech101_unseen()
        return _identity(images), len(cell.seeds), _hop_runs(cell, knowledge, workspace, backbone, images)
    if cell.task == "image-holdout" and cell.dataset == "imagenet-samples":
        images = given if given is not None else datasets.samples()
        splits = _chosen(cell, datasets.holdout_folds() if given is None else _folds())
        return _identity(images), len(cell.seeds) * len(splits), _holdout_runs(cell, knowledge, workspace, backbone, images, splits)
    if cell.task == "weight-retrieval" and cell.dataset == "imagenet-1k":
        splits = _chosen(cell, _folds())
        identity = {"name": "imagenet-1k", "version": "classifier weights only", "digest": digest([s.digest for s in splits])}
        return identity, len(cell.seeds) * len(splits), _retrieval_runs(cell, knowledge, splits)
    raise InvalidInputError(
        "the task must fit the dataset, and only tasks with folds take `folds`",
        received=f"{cell.task} on {cell.dataset}, folds {cell.folds}",
    )


def _chosen(cell: Cell, splits: tuple[Split, ...]) -> tuple[Split, ...]:
    """The splits that the cell's `folds` name."""
    if cell.folds is None:
        return splits
    if max(cell.folds) >= len(splits):
        raise InvalidInputError(f"`folds` are between 0 and {len(splits) - 1}", received=list(cell.folds))
    return tuple(splits[k] for k in cell.folds)


def _folds() -> tuple[Split, ...]:
    """The shipped hold-out folds where the benchmark data is; else our own, told apart by name and digest."""
    from kgzsl import datasets
    from kgzsl.errors import MissingDataError

    try:
        return datasets.holdout_folds()
    except MissingDataError:
        return datasets.make_folds(datasets.train_ids())


def _identity(images: ImageSet) -> dict[str, str]:
    return {"name": images.name, "version": images.version, "digest": images.digest}


def _settings(cell: Cell, seed: int) -> dict[str, Any]:
    """The cell's settings with the run's seed, for methods that take one."""
    from kgzsl.encoders import ENCODERS
    from kgzsl.registry import parameters

    is_encoder = cell.method in {entry.name for entry in ENCODERS}
    takes_seed = is_encoder and "seed" in parameters(ENCODERS.lookup(cell.method))
    return {**cell.settings, "seed": seed} if takes_seed else dict(cell.settings)


def _holdout_runs(
    cell: Cell, knowledge: Knowledge, workspace: Workspace, backbone: Backbone, images: ImageSet, splits: tuple[Split, ...]
) -> Iterator[Run]:
    from kgzsl.tasks.image import run_holdout
    from kgzsl.tasks.methods import make_method

    features = workspace.features(images, backbone)
    for seed in cell.seeds:
        method = make_method(knowledge, cell.method, _settings(cell, seed))
        for split in splits:
            yield seed, split.name, split.digest, run_holdout(method, features, split, truth=knowledge.weights, seed=seed)


def _hop_runs(cell: Cell, knowledge: Knowledge, workspace: Workspace, backbone: Backbone, images: ImageSet) -> Iterator[Run]:
    from kgzsl import datasets
    from kgzsl.tasks.image import run_hop_sets
    from kgzsl.tasks.methods import make_method

    features = workspace.features(images, backbone)
    sets = datasets.hop_sets()
    hops = {name: sets[name] for name in ("2-hops", "3-hops", "All")}
    for seed in cell.seeds:
        method = make_method(knowledge, cell.method, _settings(cell, seed))
        yield seed, "hop sets", digest({name: list(ids) for name, ids in hops.items()}), run_hop_sets(method, features, sets["train"], hops)


def _retrieval_runs(cell: Cell, knowledge: Knowledge, splits: tuple[Split, ...]) -> Iterator[Run]:
    from kgzsl.tasks.methods import make_method
    from kgzsl.tasks.retrieval import run_retrieval

    for seed in cell.seeds:
        method = make_method(knowledge, cell.method, _settings(cell, seed))
        for split in splits:
            yield seed, split.name, split.digest, run_retrieval(method, knowledge.weights, split)


def matrix_digest(matrix: IdMatrix) -> str:
    """Return the SHA-256 of a matrix's ids and values."""
    import hashlib

    return hashlib.sha256(("\n".join(matrix.ids)).encode() + matrix.matrix.tobytes()).hexdigest()


def environment() -> dict[str, str | int]:
    """Return the versions, processor count and commit that a result was made with."""
    import torch

    import kgzsl

    return {
        "kgzsl": kgzsl.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "platform": sys.platform,
        "machine": platform.machine(),
        "cpus": os.cpu_count() or 0,
        "commit": _commit(),
    }


def _commit() -> str:
    from pathlib import Path

    try:
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown (not a git checkout)"
