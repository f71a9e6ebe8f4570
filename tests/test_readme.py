"""The README holds what is true: its code runs, its commands exist, its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "graphs" / "README.md", ROOT / "ontologies" / "README.md", ROOT / "CHANGELOG.md"]
README = PAGES[0].read_text(encoding="utf-8")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str, page: Path = PAGES[0]) -> list[str]:
    return [body for found, body in FENCED.findall(page.read_text(encoding="utf-8")) if found == language]


def commands() -> list[str]:
    """Every `kgzsl …` of the pages, in code spans and in blocks, once."""
    found: dict[str, None] = {}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        spans = re.findall(r"`(kgzsl [^`\n]+)`", FENCED.sub("", text))
        lines = [line for body in [*blocks("bash", page), *blocks("", page)] for line in body.splitlines()]
        found.update(dict.fromkeys(spans))
        found.update(dict.fromkeys(line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("kgzsl ")))
    return list(found)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_runs(code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})  # noqa: S102 the README's own code
    assert len(capsys.readouterr().out.splitlines()) == 3


@pytest.mark.parametrize("command", commands())
def test_commands_and_their_options_exist(command: str) -> None:
    from kgzsl.cli.main import app

    words = shlex.split(command, comments=True)[1:]
    result = CliRunner().invoke(app, [*_verb(words), "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    options = [w.split("=")[0] for w in words if re.fullmatch(r"-{1,2}[a-z][a-z-]*(=.*)?", w)]
    assert not [o for o in options if o not in result.output], result.output


def _verb(words: list[str]) -> list[str]:
    """The words that name a command: they end where its arguments begin."""
    import typer.main

    from kgzsl.cli.main import app

    found: list[str] = []
    at = typer.main.get_command(app)
    for word in words:
        inner = getattr(at, "commands", {})
        if not inner:
            break
        name = word.split("|")[0]
        assert name in inner, f"kgzsl {' '.join([*found, word])} does not exist"
        found, at = [*found, name], inner[name]
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    shipped = re.findall(r"(?<![\w/$.-])((?:scripts|kgzsl|tests|graphs|ontologies)/[\w./-]*)", text)
    missing += [name for name in shipped if not (ROOT / name.rstrip(".")).exists() and ".kg" not in name]
    assert not missing


def test_both_commands_come_first_and_can_be_run() -> None:
    first = blocks("bash")[0]
    for name in ("scripts/quickstart.sh", "scripts/test.sh"):
        assert f"./{name}" in first
        assert (ROOT / name).stat().st_mode & 0o100


def test_table_markers_are_kept() -> None:
    from kgzsl.experiments.leaderboard import collect, tables

    named = re.findall(r"<!-- table: ([^>]+) -->\n.*?<!-- end -->", README, re.DOTALL)
    made = set(tables(collect([ROOT / "kgzsl" / "experiments" / "results"])))
    assert made - {"weight-retrieval"} == set(named)


def test_entry_point_groups_are_those_of_the_resolvers() -> None:
    from kgzsl.calibration import CALIBRATIONS
    from kgzsl.classifiers import CLASSIFIERS
    from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS
    from kgzsl.completion.links import LINK_MODELS
    from kgzsl.completion.models import COMPLETION_MODELS
    from kgzsl.datasets import COMPLETION_SETS, COMPOSITION_SETS, FEATURE_SETS
    from kgzsl.encoders import ENCODERS
    from kgzsl.features import BACKBONES
    from kgzsl.generators import GENERATORS
    from kgzsl.sources import readers
    from kgzsl.vectors import TEXT_ENCODERS

    named = set(re.findall(r"`kgzsl\.([a-z-]+)`", README.split("## Extending")[1]))
    images = (BACKBONES, CALIBRATIONS, CLASSIFIERS, ENCODERS, FEATURE_SETS, GENERATORS, TEXT_ENCODERS, readers)
    ours = (*images, COMPOSITION_CLASSIFIERS, COMPOSITION_SETS, COMPLETION_MODELS, COMPLETION_SETS, LINK_MODELS)
    assert named == {r.noun for r in ours}


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_parses(text: str) -> None:
    assert tomllib.loads(text)


def test_the_recipe_that_is_shown_is_a_recipe(tmp_path: Path) -> None:
    from kgzsl.graphs.recipe import load_recipe

    for number, text in enumerate(blocks("yaml", PAGES[1])):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert load_recipe(file).name == "instruments"
    # a page without the example would pass for nothing
    assert blocks("yaml", PAGES[1])


@pytest.mark.parametrize("cell", sorted((ROOT / "scripts" / "quickstart").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_cells_of_the_quickstart_load(cell: Path) -> None:
    from kgzsl.experiments.cell import load_cell

    loaded = load_cell(str(cell))
    assert loaded.folds == (0,)
    assert cell.stem == f"{'weights' if loaded.task == 'weight-retrieval' else 'images'}_{loaded.method}"
