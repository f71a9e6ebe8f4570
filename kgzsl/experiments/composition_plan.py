"""What a cell of `composition-zsl` comes to: images, their features, graph and vectors, one run per seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from kgzsl.artifacts import digest
from kgzsl.errors import InvalidInputError
from kgzsl.experiments.cell import Cell
from kgzsl.experiments.runner import Plan, Run, matrix_digest
from kgzsl.tasks.composition import CompositionTask, check_method, pair_names, related_pairs
from kgzsl.tasks.composition_features import frozen_rows, tuned_rows, tuning_of
from kgzsl.tasks.evidence import Evidence
from kgzsl.workspace import Workspace

if TYPE_CHECKING:
    from kgzsl.classifiers.compositions import Knowledge

#: What `selected_on` says in results.
SELECTED_ON = (
    "the validation part (settings, epochs, bias, feasibility threshold) by the AUC of its own bias sweep; no image of the test part"
)


def check_composition_cell(cell: Cell) -> None:
    """Check features, method, settings and feasibility without any data; raises what is wrong with them."""
    from kgzsl.classifiers.compositions.feasibility import FEASIBILITIES
    from kgzsl.datasets.readers import one_of

    if bool(cell.backbone) == (cell.finetune is not None):
        raise InvalidInputError(
            "features come from a frozen `backbone`, or from one that is trained on (`finetune`)",
            received=f"{cell.name} with {'both' if cell.backbone else 'neither'}",
        )
    check_method(cell.method, cell.settings, cell.grid)
    if cell.finetune is not None:
        tuning_of(cell.finetune)
    if cell.feasibility is not None:
        one_of("a feasibility", cell.feasibility, tuple(FEASIBILITIES))


def composition_plan(cell: Cell, workspace: Workspace) -> Plan:
    """Open what the cell names and return its plan; nothing has run yet."""
    from kgzsl.datasets import read_composition_set

    data = read_composition_set(cell.dataset, **cell.dataset_settings)
    knowledge = _knowledge(cell, workspace)
    task = CompositionTask(data, cell.method, cell.settings, cell.grid, knowledge, cell.worlds, cell.feasibility)
    tuning = tuning_of(cell.finetune) if cell.finetune is not None else None
    shared = None
    if tuning is None:
        shared = frozen_rows(data, cell.backbone, workspace)
    elif not tuning.epochs:
        shared = tuned_rows(data, tuning, None, workspace)
    digests = {"features": shared.digest if shared is not None else digest({"images": data.digest, "finetune": dict(cell.finetune or {})})}
    if knowledge is not None:
        digests |= {"graph": knowledge.graph.digest, "vectors": matrix_digest(knowledge.vectors)}
    evidence, (ids, words) = Evidence(), pair_names(data)

    def runs() -> Iterator[Run]:
        for seed in cell.seeds:
            rows, heads = shared, None
            if rows is None:
                assert tuning is not None
                with_heads = cell.method == "joint_heads" and not cell.settings and not cell.grid
                rows = tuned_rows(data, replace(tuning, seed=seed), knowledge, workspace, heads=with_heads)
                heads = rows.heads if with_heads else None
            yield seed, "compositional split", data.digest, task.run(rows.matrix, seed, evidence, heads)

    return Plan(
        dataset={"name": data.name, "version": data.version, "digest": data.digest},
        digests=digests,
        total=len(cell.seeds),
        runs=runs(),
        evidence=evidence,
        label_of=dict(zip(ids, words, strict=True)).__getitem__,
        neighbours=related_pairs(data),
        selected_on=SELECTED_ON,
    )


def _knowledge(cell: Cell, workspace: Workspace) -> Knowledge | None:
    """Graph and vectors, for methods that take them."""
    from kgzsl.classifiers.compositions import Knowledge

    if not cell.graph:
        return None
    graph = workspace.graph(cell.graph)
    return Knowledge(graph, workspace.vectors(graph, cell.vectors))
