"""ontologies/README.md: its tables are those of the files, its links lead somewhere, its example can be added."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from kgzsl.sources import vocabulary as module
from kgzsl.sources.vocabulary import vocabulary

pytest.importorskip("rdflib")
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ontologies" / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "ontology_tables.py"))


def test_tables_are_those_of_the_files(script: dict[str, Any]) -> None:
    assert script["page"](TEXT) == TEXT, "run python scripts/ontology_tables.py"
    old = TEXT.replace("| `hypernym` |", "| `hyperonym` |")
    assert old != TEXT and script["page"](old) == TEXT
    assert TEXT.count("| symmetric |") == sum(r.symmetric for r in vocabulary().relations.values())


def test_a_page_without_its_marks_is_refused(script: dict[str, Any]) -> None:
    with pytest.raises(SystemExit, match="0 places marked `<!-- kinds -->`"):
        script["page"]("nothing")


def test_links_lead_to_files_and_every_ontology_is_named() -> None:
    links = {link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link}
    assert {PAGE.parent / link for link in links} == set(PAGE.parent.glob("*.ttl"))


def test_the_example_adds_a_relation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = re.findall(r"^```turtle\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    assert len(example) == 1
    extra = tmp_path / "extra.ttl"
    extra.write_text(example[0], encoding="utf-8")
    monkeypatch.setattr(module, "FILES", (*module.FILES, extra))
    extended = vocabulary.__wrapped__()
    assert extended["eats"].inverse == "eaten_by" and extended.inverses["eaten_by"].label == "is eaten by"
    assert extended.iris["http://purl.obolibrary.org/obo/RO_0002470"].relation.id == "eats"
    assert set(extended.relations) - set(vocabulary().relations) == {"eats"}
