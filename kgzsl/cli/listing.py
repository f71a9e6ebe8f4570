"""`kgzsl list`: what exists, with its source paper."""

from __future__ import annotations

from typing import Annotated

import typer

from kgzsl.cli.output import emit_json, emit_table
from kgzsl.errors import UnknownNameError
from kgzsl.registry import Entry

NOUNS = {
    "sources": ("kgzsl.sources", "readers"),
    "recipes": ("kgzsl.graphs.recipe", "entries"),
    "relations": ("kgzsl.sources.vocabulary", "entries"),
    "encoders": ("kgzsl.encoders", "ENCODERS"),
    "classifiers": ("kgzsl.classifiers", "CLASSIFIERS"),
    "generators": ("kgzsl.generators", "GENERATORS"),
    "heads": ("kgzsl.generators.heads", "HEADS"),
    "composition-classifiers": ("kgzsl.classifiers.compositions", "COMPOSITION_CLASSIFIERS"),
    "calibrations": ("kgzsl.calibration", "CALIBRATIONS"),
    "backbones": ("kgzsl.features", "BACKBONES"),
    "text-encoders": ("kgzsl.vectors", "TEXT_ENCODERS"),
    "feature-sets": ("kgzsl.datasets", "FEATURE_SETS"),
    "completion-models": ("kgzsl.completion.models", "COMPLETION_MODELS"),
    "completion-sets": ("kgzsl.datasets", "COMPLETION_SETS"),
    "link-models": ("kgzsl.completion.links", "LINK_MODELS"),
    "composition-sets": ("kgzsl.datasets", "COMPOSITION_SETS"),
}


def list_(
    noun: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(NOUNS)}; without it, all names.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what exists of a noun, one line each, with its source.

    Example: `kgzsl list encoders`
    """
    if noun is None:
        found = {noun: [entry.name for entry in _entries(noun)] for noun in NOUNS}
        if as_json:
            emit_json(found)
        else:
            emit_table(["noun", "names (`kgzsl list NOUN` says more)"], [(noun, ", ".join(names)) for noun, names in found.items()])
        return
    if noun not in NOUNS:
        raise UnknownNameError("a known noun is needed", received=repr(noun), remedy=f"choose from: {', '.join(NOUNS)}")
    entries = _entries(noun)
    if as_json:
        emit_json([vars(entry) for entry in entries])
    else:
        emit_table(["name", "what it is", "source"], [(e.name, e.summary, e.source) for e in entries])


def _entries(noun: str) -> list[Entry]:
    from importlib import import_module

    module, name = NOUNS[noun]
    found = getattr(import_module(module), name)
    return list(found() if callable(found) else found)
