"""A process of its own: reads axioms on stdin in the syntax of argv[1], writes RDF/XML to stdout.

It imports nothing of kgzsl, and is killed from outside when it takes too long: the parsers recurse, and a hostile file that
overflows their stack ends this process and no other. Exit status 3 = the file is wrong; stderr then holds one line of JSON.
"""

import contextlib
import io
import json
import sys
from typing import Any


def main() -> int:
    """Convert; return the exit status."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
    document = sys.stdin.buffer.read()
    try:
        made = _from_obo(document) if sys.argv[1] == "obo" else _from_owl(document.decode(), sys.argv[1])
    except (ValueError, SyntaxError) as error:
        said = {"message": str(error), "line": getattr(error, "lineno", None), "column": getattr(error, "offset", None)}
        print(json.dumps(said), file=sys.stderr)
        return 3
    sys.stdout.buffer.write(made)
    return 0


def _from_owl(text: str, syntax: Any) -> bytes:
    import pyhornedowl

    return pyhornedowl.open_ontology_from_string(text, syntax).save_to_string("owl").encode()


def _from_obo(document: bytes) -> bytes:
    import fastobo

    ontology = fastobo.load(io.BytesIO(document), threads=1)
    # The conversion asks for clauses that OBO itself does not.
    header = ontology.header
    present = {clause.raw_tag() for clause in header}
    if "ontology" not in present:
        header.append(fastobo.header.OntologyClause("unnamed"))
    if "default-namespace" not in present:
        header.append(fastobo.header.DefaultNamespaceClause(fastobo.id.UnprefixedIdent("unnamed")))
    out = io.BytesIO()
    fastobo.dump_owl(ontology, out, format="rdf")
    return out.getvalue()


if __name__ == "__main__":
    sys.exit(main())
