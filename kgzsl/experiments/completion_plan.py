"""What a cell of `completion` comes to: a set, semantics of its relations, a model, one run per seed."""

from __future__ import annotations

from collections.abc import Iterator

from kgzsl.completion.relations import RelationSemantics
from kgzsl.experiments.cell import Cell
from kgzsl.experiments.runner import Plan, Run
from kgzsl.tasks.completion_zero_shot import ZeroShotCompletion, check_model
from kgzsl.tasks.evidence import Evidence
from kgzsl.workspace import Workspace

#: What `selected_on` says in results, by what a set's split keeps apart.
SELECTED_ON = {
    "links": "validation triples (settings, when to stop) by their MRR; no test triple",
    "relations": "the relations of validation (settings, weight of axioms) by their MRR; no triple of a test relation",
    "entities": "validation triples of the first graph (settings, when to stop) by their MRR; no triple of the second graph",
}


def check_completion_cell(cell: Cell) -> None:
    """Check semantics, model and settings without any data; raises what is wrong with them."""
    semantics = semantics_of_cell(cell)
    for key, values in cell.grid.items():
        for value in values:
            check_model(cell.method, {**cell.settings, key: value}, semantics)
    check_model(cell.method, cell.settings, semantics)


def semantics_of_cell(cell: Cell) -> RelationSemantics | None:
    """Return the semantics of relations that a cell names, or None."""
    told = cell.content.get("semantics")
    if told is None:
        return None
    known = {"kind": told["kind"], **{key: told[key] for key in ("encoder", "settings") if key in told}}
    return RelationSemantics(**known)


def completion_plan(cell: Cell, workspace: Workspace) -> Plan:
    """Open what the cell names and return its plan; nothing has run yet."""
    from kgzsl.datasets.completion import read_completion_set, read_relation_schema

    data = read_completion_set(cell.dataset, **cell.dataset_settings)
    semantics = semantics_of_cell(cell)
    graph = workspace.graph(data.schema) if semantics is not None and semantics.needs_graph and data.schema else None
    protocol = str(cell.content.get("protocol", "candidates" if data.candidates else "all-entities"))
    schema = read_relation_schema(cell.dataset, cell.dataset_settings.get("path")) if cell.content.get("axioms") else None
    task = ZeroShotCompletion(data, cell.method, cell.settings, cell.grid, semantics, graph, protocol, schema)

    def runs() -> Iterator[Run]:
        for seed in cell.seeds:
            yield seed, f"by {data.KIND}, {protocol}", data.digest, task.run(seed)

    return Plan(
        dataset={"name": data.name, "version": data.version, "digest": data.digest, "protocol": protocol},
        digests={"triples": data.digest, **({"graph": graph.digest} if graph is not None else {})},
        total=len(cell.seeds),
        runs=runs(),
        evidence=Evidence(),
        label_of=lambda name: name,
        neighbours=lambda _: (),
        selected_on=SELECTED_ON[data.KIND],
    )
