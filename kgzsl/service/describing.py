"""The description of the API: the bodies that are read without a model, and the names that are served at this moment."""

from __future__ import annotations

import copy
from typing import Any

from fastapi import FastAPI

from kgzsl.service.embedding import spaces
from kgzsl.service.schemas import BODIES
from kgzsl.service.state import State


def describe(app: FastAPI) -> None:
    """Have `app.openapi` say what is served: names as choices, some ids as examples."""
    made = app.openapi

    def described() -> dict[str, Any]:
        document = copy.deepcopy(made())
        document.setdefault("components", {}).setdefault("schemas", {}).update(BODIES)
        state: State | None = getattr(app.state, "service", None)
        if state is not None:
            _add_names(document, state)
        return document

    app.openapi = described  # type: ignore[method-assign]


def _add_names(document: dict[str, Any], state: State) -> None:
    store = state.store
    choices = {"bundle": list(store.bundles), "graph": list(store.graphs), "name": [one["name"] for one in spaces(state)]}
    some = [i for g in store.graphs.values() for i in g.graph.ids[:: max(1, len(g.graph) // 3)]][:3]
    examples = {"identifier": some, "from": some, "to": some, "class": some}
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                name, schema = parameter["name"], parameter["schema"]
                if parameter["in"] == "path" and choices.get(name):
                    schema["enum"] = choices[name]
                elif examples.get(name):
                    parameter["examples"] = {f"node {n}": {"value": value} for n, value in enumerate(examples[name], 1)}
