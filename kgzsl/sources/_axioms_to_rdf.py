"""A process of its own: reads axioms on stdin in the syntax of argv[1], writes RDF/XML to stdout.

It imports nothing of kgzsl, and is killed from outside when it takes too long: the parsers recurse, and a hostile file that
overflows their stack ends this process and no other. Exit status 3 = the file is wrong; stderr then holds one line of JSON.
"""

import contextlib
import io
import json
import sys
from typing import Any
from xml.sax.saxutils import quoteattr  # writes, reads nothing


def main() -> int:
    """Convert; return the exit status."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]), int(sys.argv[2])))
    document = sys.stdin.buffer.read()
    try:
        made = from_obo(document) if sys.argv[1] == "obo" else from_owl(document.decode(), sys.argv[1])
    except (ValueError, SyntaxError) as error:
        message, place = getattr(error, "msg", str(error)), (getattr(error, "lineno", None), getattr(error, "offset", None))
        said = dict(zip(("message", "line", "column"), (message, *place), strict=True))
        print(json.dumps(said), file=sys.stderr)
        return 3
    sys.stdout.buffer.write(made)
    return 0


def from_owl(text: str, syntax: Any) -> bytes:
    """Return RDF/XML of a document in an OWL syntax."""
    import pyhornedowl
    from pyhornedowl.model import Class, DisjointClasses

    ontology = pyhornedowl.open_ontology_from_string(text, syntax)
    made = ontology.save_to_string("owl")
    # Of three and more disjoint classes it writes only the pairs with the first.
    lists = [c.component.first for c in ontology.get_components() if isinstance(c.component, DisjointClasses)]
    named = [[str(e.first) for e in expressions if isinstance(e, Class)] for expressions in lists if len(expressions) > 2]
    body, end, tail = made.rpartition("</rdf:RDF>")
    return "".join([body, *map(_all_disjoint, named), end, tail]).encode()


def _all_disjoint(iris: list[str]) -> str:
    members = "".join(f"<rdf:Description rdf:about={quoteattr(iri)}/>" for iri in iris)
    spaces = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"'
    return f'<owl:AllDisjointClasses {spaces}><owl:members rdf:parseType="Collection">{members}</owl:members></owl:AllDisjointClasses>'


def from_obo(document: bytes) -> bytes:
    """Return RDF/XML of an OBO document."""
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
