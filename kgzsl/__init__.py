"""kgzsl: knowledge graphs and ontologies as class knowledge for zero-shot recognition.

The verbs of the command line as functions; heavy libraries load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "compile_graph": "kgzsl.graphs.compile",
    "KnowledgeGraph": "kgzsl.graphs.graph",
    "embed": "kgzsl.front",
    "fit": "kgzsl.front",
    "fit_generator": "kgzsl.front_generators",
    "generate": "kgzsl.front_generators",
    "fit_compositions": "kgzsl.front_compositions",
    "compose": "kgzsl.front_compositions",
    "complete": "kgzsl.front_completion",
    "fit_completion": "kgzsl.front_completion",
    "Bundle": "kgzsl.bundle",
    "CompositionBundle": "kgzsl.composition_bundle",
    "Vectors": "kgzsl.matrices",
    "ClassEmbeddings": "kgzsl.matrices",
    "ClassifierWeights": "kgzsl.matrices",
    "Features": "kgzsl.matrices",
    "KgzslError": "kgzsl.errors",
    "Client": "kgzsl.service.client",
}

__all__ = ["__version__", *_EXPORTS]


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(_EXPORTS[name]), name)
    raise AttributeError(f"module 'kgzsl' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
