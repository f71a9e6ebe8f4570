"""What the tests of ontologies share: reading a document from a string, and edges as words."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from kgzsl.sources import Statements
from kgzsl.sources.owl import Owl

DATA = Path(os.environ.get("KGZSL_DATA", "/nowhere"))
ONTOLOGIES = DATA / "ontologies"
EXAMPLE = "http://example.org/x#"


def read(folder: Path, name: str, document: str | bytes, **settings: Any) -> Statements:
    """Write the document and read it; ids are `x:…`."""
    file = folder / name
    file.write_bytes(document if isinstance(document, bytes) else document.encode())
    return Owl(**{"prefixes": {"x": EXAMPLE}} | settings).read(file)


def edges(statements: Statements) -> set[str]:
    """Return `subject relation object`, without the prefix `x:`."""
    return set(edge_list(statements))


def edge_list(statements: Statements) -> list[str]:
    """Return every edge as words, in order."""
    ids = [i.removeprefix("x:") for i in statements.ids.to_pylist()]
    names = [r.id.removeprefix("x:") for r in statements.relations]
    columns = (statements.subject.tolist(), statements.relation.tolist(), statements.object.tolist())
    return [f"{ids[s]} {names[r]} {ids[o]}" for s, r, o in zip(*columns, strict=True)]


def counts(statements: Statements) -> dict[str, int]:
    """Return relation → number of edges."""
    return dict(Counter(statements.relations[r].id for r in statements.relation.tolist()))


def functional(*axioms: str) -> str:
    """Return an ontology in functional syntax that declares A to D, r to t, d and a to c, with the axioms."""
    declared = [f"Declaration(Class(:{c}))" for c in "ABCD"] + [f"Declaration(ObjectProperty(:{p}))" for p in "rs"]
    declared += ["Declaration(DataProperty(:d))"] + [f"Declaration(NamedIndividual(:{i}))" for i in "abc"]
    if not any("DatatypeDefinition" in axiom for axiom in axioms):
        declared.append("Declaration(ObjectProperty(:t))")
    else:
        declared.append("Declaration(Datatype(:t))")
    body = "\n".join([*declared, *axioms])
    return f"Prefix(:=<{EXAMPLE}>)\nOntology(<http://example.org/x>\n{body}\n)\n"
