"""Run a cell: knowledge, data, method, protocol → a result."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError
from kgzsl.experiments.cell import Cell
from kgzsl.experiments.results import FORMAT_VERSION, summarise
from kgzsl.matrices import ClassEmbeddings, IdMatrix
from kgzsl.progress import track
from kgzsl.tasks.evidence import Evidence, Neighbours
from kgzsl.workspace import Workspace

if TYPE_CHECKING:
    from kgzsl.datasets import ImageSet, Split
    from kgzsl.matrices import Features
    from kgzsl.tasks.methods import Knowledge, Method, Scoring

#: One run: the seed, the split's name and digest, and the metrics per protocol.
Run = tuple[int, str, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What a cell comes to on this machine.

    Attributes
    ----------
    dataset : name, version, digest.
    digests : of everything that the numbers depend on.
    total, runs : how many runs there are, and the runs, lazily.
    evidence : what the runs collect for reports.
    label_of, neighbours : names of classes and where they stand, for the same.
    selected_on : what settings were chosen by.
    """

    dataset: Mapping[str, str]
    digests: Mapping[str, str]
    total: int
    runs: Iterator[Run]
    evidence: Evidence
    label_of: Callable[[str], str]
    neighbours: Neighbours
    selected_on: str = "held-out seen classes (hyper-parameters, epochs, γ and other calibrations); no row of an unseen class"


def run_cell(
    cell: Cell, workspace: Workspace | None = None, *, images: ImageSet | None = None, embeddings: ClassEmbeddings | None = None
) -> dict[str, Any]:
    """Run every seed and split of `cell` and return the result (see `results.SCHEMA`).

    Parameters
    ----------
    images : labelled images of ImageNet-1k classes in place of the samples, for an `image-holdout` cell; the result
        carries their name and digest.
    embeddings : in place of the semantics of a feature set; the result carries their digest.

    Raises
    ------
    MissingDataError : the cell's dataset or models are not on this machine; says what to do.
    """
    started, busy = time.perf_counter(), time.process_time()
    plan = make_plan(cell, workspace or Workspace(), images, embeddings)
    runs, last = [], time.perf_counter()
    for seed, split, split_digest, protocols in track(plan.runs, cell.name, total=plan.total):
        now = time.perf_counter()
        runs.append({"seed": seed, "split": split, "split_digest": split_digest, "protocols": protocols, "seconds": round(now - last, 3)})
        last = now
    result = {
        "format_version": FORMAT_VERSION,
        "cell": dict(cell.content),
        "task": cell.task,
        "dataset": dict(plan.dataset),
        "digests": dict(plan.digests),
        "runs": runs,
        "summary": summarise(runs),
        "selected_on": plan.selected_on,
        "environment": environment(),
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_seconds": round(time.process_time() - busy, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }
    evidence = plan.evidence.content(plan.label_of, plan.neighbours)
    return result | ({"evidence": evidence} if evidence["protocols"] else {})


def check_cell(cell: Cell) -> None:
    """Check method, settings and calibrations without any data, before long work; raises what is wrong with them."""
    from kgzsl.tasks.decisions import check_calibrations

    check_calibrations(cell.calibrations, on_images=cell.task == "image-holdout")
    if cell.calibrations and cell.task not in ("image-holdout", "feature-zsl"):
        raise InvalidInputError("tasks with a generalised protocol take calibrations", received=f"{cell.name}, a cell of {cell.task}")
    if cell.task == "composition-zsl":
        from kgzsl.experiments.composition_plan import check_composition_cell

        check_composition_cell(cell)
    elif cell.task == "completion":
        from kgzsl.experiments.completion_plan import check_completion_cell

        check_completion_cell(cell)
    elif cell.generator is not None:
        from kgzsl.tasks.generation import Use, check_generator

        for key, values in cell.grid.items():
            for value in values:
                check_generator(cell.method, {**cell.settings, key: value})
        check_generator(cell.method, cell.settings)
        Use.of(cell.generator)
    elif cell.task == "feature-zsl":
        from kgzsl.classifiers import CLASSIFIERS

        CLASSIFIERS.make(cell.method, {**cell.settings, **{key: values[0] for key, values in cell.grid.items()}})
    else:
        from kgzsl.tasks.methods import check_method

        check_method(cell.method, cell.settings, _scoring(cell))


def make_plan(cell: Cell, workspace: Workspace, given: ImageSet | None = None, embeddings: ClassEmbeddings | None = None) -> Plan:
    """Open what the cell names and return its plan; nothing has run yet."""
    if given is not None and cell.task != "image-holdout":
        raise InvalidInputError("only image-holdout cells take other images", received=f"{cell.name}, a cell of {cell.task}")
    if embeddings is not None and (cell.task != "feature-zsl" or cell.encoder):
        raise InvalidInputError("embeddings are given to feature sets that take none from a graph", received=cell.name)
    check_cell(cell)
    if cell.task == "composition-zsl":
        from kgzsl.experiments.composition_plan import composition_plan

        return composition_plan(cell, workspace)
    if cell.task == "completion":
        from kgzsl.experiments.completion_plan import completion_plan

        return completion_plan(cell, workspace)
    return _feature_plan(cell, workspace, embeddings) if cell.task == "feature-zsl" else _image_plan(cell, workspace, given)


def _feature_plan(cell: Cell, workspace: Workspace, embeddings: ClassEmbeddings | None) -> Plan:
    from kgzsl.datasets import read_feature_set
    from kgzsl.tasks.evidence import in_graph, nearest_semantics, readable
    from kgzsl.tasks.features import FeatureTask
    from kgzsl.tasks.generation import GenerationTask, Use
    from kgzsl.tasks.semantics import GraphSemantics, graph_of_classes

    data = read_feature_set(cell.dataset, **cell.dataset_settings)
    if embeddings is not None:
        data = data.with_embeddings(ClassEmbeddings(embeddings.ids, embeddings.matrix, {"semantics": "given", **embeddings.meta}))
    semantics, neighbours = None, nearest_semantics(data.embeddings)
    digests = {"features": matrix_digest(data.features)}
    if cell.encoder:
        graph = graph_of_classes(data.split.classes, workspace.graph(cell.graph))
        made = GraphSemantics(graph, cell.vectors, cell.encoder, cell.encoder_settings, cell.template, space=cell.space)
        neighbours, digests["graph"] = in_graph(graph), graph.digest
        if made.drawn:
            semantics = made
        else:
            data = data.with_embeddings(made(data.train, data.split.classes))
    if semantics is None:
        digests["embeddings"] = matrix_digest(data.embeddings)
    evidence = Evidence()
    task: FeatureTask | GenerationTask
    if cell.generator is None:
        task = FeatureTask(data, cell.method, cell.settings, cell.grid, cell.calibrations, semantics)
    else:
        task = GenerationTask(data, cell.method, cell.settings, Use.of(cell.generator), cell.calibrations, semantics, cell.grid)

    def runs() -> Iterator[Run]:
        for seed in cell.seeds:
            yield seed, data.split.name, data.split.digest, task.run(seed, evidence)

    return Plan(
        dataset={
            "name": data.name,
            "version": data.version,
            "digest": data.digest,
            "semantics": str(data.embeddings.meta.get("semantics", "own")),
        },
        digests=digests,
        total=len(cell.seeds),
        runs=runs(),
        evidence=evidence,
        label_of=readable,
        neighbours=neighbours,
    )


def _image_plan(cell: Cell, workspace: Workspace, given: ImageSet | None) -> Plan:
    from kgzsl import datasets
    from kgzsl.features import make_backbone
    from kgzsl.tasks.evidence import in_graph
    from kgzsl.tasks.methods import Knowledge

    _check_fits(cell)
    backbone = make_backbone(cell.backbone)
    graph = workspace.graph(cell.graph)
    descriptions = datasets.imagenet_descriptions() if cell.descriptions else None
    knowledge = Knowledge(graph, workspace.vectors(graph, cell.vectors, descriptions), workspace.weights(backbone))
    evidence, count = Evidence(), len(cell.seeds)
    if cell.task == "image-hops":
        images = datasets.caltech101_unseen()
        identity, runs = _identity(images), _hop_runs(cell, knowledge, workspace.features(images, backbone), evidence)
    elif cell.task == "image-holdout":
        images = given if given is not None else datasets.samples()
        splits = _chosen(cell, datasets.holdout_folds() if given is None else _folds())
        identity, count = _identity(images), count * len(splits)
        runs = _holdout_runs(cell, knowledge, workspace.features(images, backbone), splits, evidence)
    else:
        splits = _chosen(cell, _folds())
        identity = {"name": "imagenet-1k", "version": "classifier weights only", "digest": digest([s.digest for s in splits])}
        runs, count = _retrieval_runs(cell, knowledge, splits), count * len(splits)
    return Plan(
        dataset=identity,
        digests={"graph": graph.digest, "vectors": matrix_digest(knowledge.vectors), "weights": matrix_digest(knowledge.weights)},
        total=count,
        runs=runs,
        evidence=evidence,
        label_of=lambda i: graph.labels[int(graph.positions([i])[0])],
        neighbours=in_graph(graph),
    )


def _check_fits(cell: Cell) -> None:
    fitting = {"image-hops": "caltech101-unseen", "image-holdout": "imagenet-samples", "weight-retrieval": "imagenet-1k"}
    if fitting[cell.task] != cell.dataset or (cell.task == "image-hops" and cell.folds is not None):
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


def _image_method(cell: Cell, knowledge: Knowledge, seed: int) -> Method:
    """The cell's method or generator of weights, with the run's seed where it takes one."""
    from kgzsl.tasks.methods import make_method, takes_seed

    if cell.generator is not None:
        from kgzsl.tasks.drawn import drawn_method

        return drawn_method(knowledge, cell.generator, cell.content.get("semantics"), seed)
    settings = {**cell.settings, "seed": seed} if takes_seed(cell.method) else dict(cell.settings)
    return make_method(knowledge, cell.method, settings, _scoring(cell))


def _scoring(cell: Cell) -> Scoring | None:
    from kgzsl.tasks.methods import Scoring

    return None if cell.classifier is None else Scoring(cell.classifier, cell.classifier_settings)


def _holdout_runs(cell: Cell, knowledge: Knowledge, features: Features, splits: tuple[Split, ...], evidence: Evidence) -> Iterator[Run]:
    from kgzsl.tasks.image import run_holdout

    options: dict[str, Any] = {"choices": cell.calibrations, "graph": knowledge.graph, "evidence": evidence}
    for seed in cell.seeds:
        method = _image_method(cell, knowledge, seed)
        for split in splits:
            yield seed, split.name, split.digest, run_holdout(method, features, split, truth=knowledge.weights, seed=seed, **options)


def _hop_runs(cell: Cell, knowledge: Knowledge, features: Features, evidence: Evidence) -> Iterator[Run]:
    from kgzsl import datasets
    from kgzsl.tasks.image import run_hop_sets

    sets = datasets.hop_sets()
    hops = {name: sets[name] for name in ("2-hops", "3-hops", "All")}
    identity = digest({name: list(ids) for name, ids in hops.items()})
    for seed in cell.seeds:
        method = _image_method(cell, knowledge, seed)
        yield seed, "hop sets", identity, run_hop_sets(method, features, sets["train"], hops, evidence)


def _retrieval_runs(cell: Cell, knowledge: Knowledge, splits: tuple[Split, ...]) -> Iterator[Run]:
    from kgzsl.tasks.retrieval import run_retrieval

    for seed in cell.seeds:
        method = _image_method(cell, knowledge, seed)
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
