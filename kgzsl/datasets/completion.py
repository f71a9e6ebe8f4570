"""Benchmarks of knowledge-graph completion by name: ordinary links, unseen relations, unseen entities, folders of your own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kgzsl.datasets.completion_holdout import Fb15k237Relations, Wn18rrRelations
from kgzsl.datasets.completion_readers import CompletionSetReader, Fb15k237, GrailFb237, GrailWn18rr, OwnCompletion, Umls, Wn18rr
from kgzsl.datasets.completion_schema import RelationSchema
from kgzsl.datasets.completion_set import CompletionSet
from kgzsl.datasets.completion_unseen import NellZs, WikiZs
from kgzsl.errors import InvalidInputError
from kgzsl.registry import Entry, Resolver

#: Third parties add theirs through the entry-point group `kgzsl.completion-sets`.
COMPLETION_SETS: Resolver[CompletionSetReader] = Resolver(
    "completion-sets",
    CompletionSetReader,  # type: ignore[type-abstract]
    [Fb15k237, Fb15k237Relations, GrailFb237, GrailWn18rr, NellZs, OwnCompletion, Umls, WikiZs, Wn18rr, Wn18rrRelations],
)


def list_completion_sets() -> tuple[Entry, ...]:
    """Return name, summary and source of every completion set, sorted by name."""
    return tuple(COMPLETION_SETS)


def read_completion_set(name_or_folder: str | os.PathLike[str], **settings: Any) -> CompletionSet:
    """Return a completion set by name, or that of a folder of your own, validated.

    Parameters
    ----------
    name_or_folder : one of `list_completion_sets()`, or the path of a folder with `train`, `valid` and `test`.
    settings : parameters of its reader, `path` everywhere.

    Raises
    ------
    UnknownNameError : neither a known name nor a path; the choices are listed.
    InvalidInputError : settings that its reader does not take.
    MissingDataError : a file is not there; the message says which file goes where.
    SourceError : files that break a rule, which is named.
    """
    name, known = str(name_or_folder), {entry.name for entry in COMPLETION_SETS}
    if name not in known and Path(name_or_folder).exists():
        return COMPLETION_SETS.make("folder", {"path": name_or_folder, **settings}).read()
    return COMPLETION_SETS.make(name, settings).read()


def read_relation_schema(name: str, path: str | os.PathLike[str] | None = None) -> RelationSchema:
    """Return the texts and axioms of the relations of `nell-zs` or `wiki-zs`.

    Raises
    ------
    InvalidInputError : a set whose relations have no ontology.
    MissingDataError, SourceError : its file is not there, or malformed.
    """
    schemas = {reader.name: reader for reader in (NellZs, WikiZs)}
    if name not in schemas:
        raise InvalidInputError(f"an ontology of relations is that of {' or '.join(schemas)}", received=repr(name))
    return schemas[name](path).relation_schema()
