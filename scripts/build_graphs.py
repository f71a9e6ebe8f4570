"""Build every shipped recipe whose sources are on this machine, and say which could not be built and why.

    python scripts/build_graphs.py                        all shipped recipes, into graphs/NAME.kg
    python scripts/build_graphs.py imagenet birds         these
    python scripts/build_graphs.py my.yaml -o /data/graphs --jobs 4

A graph that is there, sound, and of the same recipe and kgzsl version is kept, so an interrupted run is taken up again.
Ends with status 0 when every graph is there, 3 when sources are missing for some, and 1 when one failed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from kgzsl.engines import ENGINES
from kgzsl.errors import KgzslError, MissingDataError, MissingDependencyError
from kgzsl.graphs.recipe import shipped_recipes

BUILT, KEPT, MISSING, FAILED = "built", "kept", "missing", "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one recipe: `status` is built, kept, missing or failed; `why` explains the last two."""

    recipe: str
    status: str
    seconds: float = 0.0
    nodes: int = 0
    edges: int = 0
    digest: str = ""
    why: str = ""


def build(recipe: str, out: Path, engine: str = "duckdb", again: bool = False) -> Outcome:
    """Build one recipe into `out/NAME.kg`, unless it is there."""
    from kgzsl.graphs import KnowledgeGraph, compile_graph
    from kgzsl.graphs.recipe import load_recipe

    started = time.perf_counter()
    try:
        loaded = load_recipe(recipe)
        path = out / f"{loaded.name}.kg"
        graph, status = (None if again else kept(path, recipe)), KEPT
        if graph is None:
            graph, status = compile_graph(loaded, out=path, overwrite=path.exists(), engine=engine), BUILT
        assert isinstance(graph, KnowledgeGraph)
    except (MissingDataError, MissingDependencyError) as error:
        return Outcome(recipe, MISSING, why=str(error))
    except KgzslError as error:
        return Outcome(recipe, FAILED, why=str(error))
    return Outcome(recipe, status, time.perf_counter() - started, len(graph), len(graph.subject), graph.digest[:12])


def kept(path: Path, recipe: str) -> object | None:
    """Return the graph at `path` when it is sound and made of this recipe by this version."""
    from kgzsl.errors import ArtifactError
    from kgzsl.graphs import KnowledgeGraph
    from kgzsl.graphs.compile import builder
    from kgzsl.graphs.recipe import load_recipe

    try:
        graph = KnowledgeGraph.load(path)
    except ArtifactError:
        return None
    same = graph.manifest.get("recipe") == load_recipe(recipe).content and graph.manifest.get("builder") == builder()
    return graph if same else None


def build_all(recipes: Sequence[str], out: Path, *, jobs: int, engine: str = "duckdb", again: bool = False) -> list[Outcome]:
    """Build recipes in parallel processes and return their outcomes in the order asked."""
    from kgzsl.progress import track

    # not forked: DuckDB and Spark keep threads
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        pending = {pool.submit(build, recipe, out, engine, again): recipe for recipe in recipes}
        done = {pending[f]: f.result() for f in track(as_completed(pending), "building graphs", total=len(pending))}
    return [done[recipe] for recipe in recipes]


def report(outcomes: Sequence[Outcome]) -> None:
    """Print a table, and below it the reasons."""
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "")
    for header in ("nodes", "edges", "seconds"):
        table.add_column(header, justify="right")
    table.add_column("digest")
    for o in outcomes:
        there = o.status in (BUILT, KEPT)
        figures = (f"{o.nodes:,}", f"{o.edges:,}", f"{o.seconds:.1f}", o.digest) if there else ("", "", "", "")
        table.add_row(o.recipe, o.status, *figures, style=None if there else "yellow" if o.status == MISSING else "red")
    console = Console()
    console.print(table)
    for o in outcomes:
        if o.why:
            console.print(f"{o.recipe}: {o.why}", markup=False, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, report, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="shipped names or YAML files; default: all shipped")
    parser.add_argument(
        "--out", "-o", type=Path, default=Path(__file__).parents[1] / "graphs", help="folder of the artifacts (default: graphs/)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--engine", choices=ENGINES, default="duckdb")
    parser.add_argument("--again", action="store_true", help="build also what is there")
    args = parser.parse_args(arguments)
    if args.jobs < 1:
        parser.error("--jobs is at least 1")
    args.out.mkdir(parents=True, exist_ok=True)
    outcomes = build_all(args.recipes or shipped_recipes(), args.out, jobs=args.jobs, engine=args.engine, again=args.again)
    report(outcomes)
    found = {o.status for o in outcomes}
    return 1 if FAILED in found else 3 if MISSING in found else 0


if __name__ == "__main__":
    sys.exit(main())
