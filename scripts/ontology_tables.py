"""Write the tables of ontologies/README.md from the Turtle files.

python scripts/ontology_tables.py            rewrite what stands between the marks
python scripts/ontology_tables.py --check    status 1 where the page says something else than the files
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kgzsl.errors import require
from kgzsl.ids import PREFIXES
from kgzsl.sources.prefixes import benchmark_iri
from kgzsl.sources.vocabulary import FOLDER, Stated, Vocabulary, vocabulary

PAGE = Path(__file__).parents[1] / "ontologies" / "README.md"
_SHORT = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#": "rdf:",
    "http://www.w3.org/2000/01/rdf-schema#": "rdfs:",
    "http://www.w3.org/2002/07/owl#": "owl:",
    "http://www.w3.org/2004/02/skos/core#": "skos:",
    "http://purl.org/dc/terms/": "dcterms:",
    "http://purl.obolibrary.org/obo/": "obo:",
    PREFIXES["kgzsl"]: "kgzsl:",
}
_VISUAL = "https://w3id.org/kgzsl/visual-attributes#"
_SETS = {"AwA": benchmark_iri("awa"), "CUB": benchmark_iri("cub")}


def tables() -> dict[str, str]:
    """Return name of a mark → the Markdown table that belongs there."""
    known = vocabulary()
    return {"kinds": _kinds(known), "relations": _relations(known), "attributes": _attributes()}


def page(text: str) -> str:
    """Return the page's text with the tables of today between its marks."""
    for name, table in tables().items():
        marks = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        found = len(marks.findall(text))
        if found != 1:
            raise SystemExit(f"{PAGE} has {found} places marked `<!-- {name} -->` … `<!-- end -->`; one is needed")
        text = marks.sub(table.replace("\\", r"\\"), text)
    return text


def _kinds(known: Vocabulary) -> str:
    rows = [(f"`{k.id}`", f"`{_short(k.iri)}`", ", ".join(f"`{p}`" for p in k.parents), k.definition) for k in known.kinds.values()]
    return _table(("kind", "class", "below", "meaning"), rows)


def _relations(known: Vocabulary) -> str:
    rows = []
    for relation in known.relations.values():
        ends = known.domains[relation.id], known.ranges[relation.id]
        rows.append(
            (
                f"`{relation.id}`",
                known.definitions[relation.id] + ("" if ends == ("node", "node") else f" From `{ends[0]}` to `{ends[1]}`."),
                "symmetric" if relation.symmetric else f"`{relation.inverse}`",
                _codes(symbol for symbol, r in known.wordnet.items() if r == relation),
                _codes(_stated(known.conceptnet, relation.id)),
                _codes(_short(iri) for iri in _stated(known.iris, relation.id) if PREFIXES["kgzsl"] not in iri),
            )
        )
    return _table(("relation", "meaning", "inverse", "WordNet", "ConceptNet", "RDF, OWL, SKOS, OBO"), rows)


def _stated(names: Mapping[str, Stated], relation: str) -> list[str]:
    return [("^" if how.reversed else "") + name for name, how in names.items() if how.relation.id == relation]


def _attributes() -> str:
    """Count the attributes of each data set below each dimension that has none below it."""
    rdflib: Any = require("rdflib", "graphs")
    graph = rdflib.Graph().parse(FOLDER / "visual-attributes.ttl", format="turtle")
    below, label = rdflib.RDFS.subClassOf, rdflib.RDFS.label
    attributes = set(graph.subjects(rdflib.URIRef(_VISUAL + "publishedName")))
    rows = []
    for top in sorted(graph.subjects(below, rdflib.URIRef(_VISUAL + "attribute")), key=lambda t: str(graph.value(t, label))):
        for dimension in sorted(graph.subjects(below, top), key=lambda t: str(graph.value(t, label))):
            inside = attributes & set(graph.transitive_subjects(below, dimension))
            counts = [sum(str(a).startswith(iri) for a in inside) for iri in _SETS.values()]
            if str(dimension).startswith(_VISUAL):
                rows.append((str(graph.value(top, label)), str(graph.value(dimension, label)), *map(str, counts)))
        own = attributes & set(graph.subjects(below, top))
        if own:
            rows.append(
                (str(graph.value(top, label)), "(no dimension)", *(str(sum(str(a).startswith(i) for a in own)) for i in _SETS.values()))
            )
    return _table(("top", "dimension", *_SETS), rows)


def _short(iri: str) -> str:
    iri = iri.removeprefix("^") if (back := iri.startswith("^")) else iri
    for space, prefix in _SHORT.items():
        if iri.startswith(space):
            return ("^" if back else "") + prefix + iri.removeprefix(space)
    return ("^" if back else "") + iri


def _codes(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> int:
    """Rewrite the page, or say whether it would change."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing")
    options = parser.parse_args()
    text = PAGE.read_text(encoding="utf-8")
    fresh = page(text)
    if fresh == text:
        print(f"{PAGE} says what the files say")
        return 0
    if options.check:
        print(f"{PAGE} is old: run python scripts/ontology_tables.py", file=sys.stderr)
        return 1
    PAGE.write_text(fresh, encoding="utf-8")
    print(f"{PAGE} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
