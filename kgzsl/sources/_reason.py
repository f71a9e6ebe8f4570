"""A process of its own: classifies the N-Triples file argv[1] with the reasoner argv[2] and the Java argv[3].

owlready2 keeps state per process and starts Java without a time limit, so it is run here and killed from outside with all that it
started. The last line of stdout is JSON: `pairs` of subclass and superclass that are inferred, `unsatisfiable` classes,
`inconsistent`, or `error` with what the reasoner said.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Reason and print."""
    import owlready2

    document, reasoner, owlready2.JAVA_EXE = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    world = owlready2.World()
    ontology = world.get_ontology("http://kgzsl.invalid/closure#")
    ontology.load(only_local=True, fileobj=io.BytesIO(document.read_bytes()), format="ntriples")
    before = _pairs(owlready2, world)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # debug=2 prints what the reasoner said
            if reasoner == "hermit":
                owlready2.sync_reasoner_hermit(world, debug=2, ignore_unsupported_datatypes=True)
            else:
                owlready2.sync_reasoner_pellet(world, debug=2)
    except owlready2.OwlReadyInconsistentOntologyError:
        print(json.dumps({"inconsistent": True}))
        return
    except owlready2.OwlReadyJavaError as error:
        print(json.dumps({"error": str(error)[:2000]}))
        return
    if "pear-shaped" in said.getvalue():  # HermiT's way to say that it failed, with exit status 0
        print(json.dumps({"error": said.getvalue().partition("pear-shaped:")[2].strip()[:2000]}))
        return
    nothing = sorted({c.iri for c in world.inconsistent_classes() if c is not owlready2.Nothing})
    print(json.dumps({"unsatisfiable": nothing, "pairs": sorted(_pairs(owlready2, world) - before)}))


def _pairs(owlready2: Any, world: Any) -> set[tuple[str, str]]:
    """Return named subclass and superclass as they are stated now, equivalence both ways."""
    found = set()
    for cls in world.classes():
        found |= {(cls.iri, other.iri) for other in cls.is_a if isinstance(other, owlready2.ThingClass)}
        same = [other.iri for other in cls.equivalent_to if isinstance(other, owlready2.ThingClass)]
        found |= {(cls.iri, other) for other in same} | {(other, cls.iri) for other in same}
    return found


if __name__ == "__main__":
    main()
