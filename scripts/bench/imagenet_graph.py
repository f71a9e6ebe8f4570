"""Build the ImageNet graph from WordNet's files; against the published script's way through NLTK, in one run.

    python scripts/bench/imagenet_graph.py --repeat 3

Ways: `reader` reads data.noun alone; `kgzsl` compiles `imagenet` and writes the artifact; `nltk` is the published script's way;
`dense` compiles `imagenet-dense`, DGP's 200,082 pairs by distance, and writes it; `views` makes DGP's ten matrices of `imagenet`.

Each measurement is a process of its own, timed after its imports, so that peak memory is that of one way; both the time on the
clock and that of the processor are told, since others may use the machine. NLTK's way is that of GCNZ's and DGP's scripts:
`synset_from_pos_and_offset` for every class, `hypernyms()` up to the structure, and once more for the edges. It is given the list
of structure ids, which kgzsl expands from its rules within its own time.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPECTED = {"nodes": 32_324, "edges": 32_544}
PAIRS = 200_082


def main() -> None:
    """Print one JSON record: seconds and peak memory of all ways, and how much faster than NLTK the build is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps(WAYS[args.way](args.folder)))
        return

    from kgzsl.experiments.runner import environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_nltk(folder)
        # In turns, so that a slow spell of the machine hits all ways alike.
        runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for turn in range(args.repeat):
            for way, measured in runs.items():
                measured.append(measure(way, folder, turn))
    seconds, cpu = ({way: statistics.median(r[key] for r in rs) for way, rs in runs.items()} for key in ("seconds", "cpu_seconds"))
    record = {
        **EXPECTED,
        "ancestor_pairs": PAIRS,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "times_faster_than_nltk": seconds["nltk"] / seconds["kgzsl"],
        "times_less_cpu_than_nltk": cpu["nltk"] / cpu["kgzsl"],
        "load_seconds": statistics.median(r["load_seconds"] for r in runs["kgzsl"]),
        "peak_mib": {way: max(r["peak_mib"] for r in measured) for way, measured in runs.items()},
        "peak_before_mib": {way: max(r["peak_before_mib"] for r in measured) for way, measured in runs.items()},
        "repeat": args.repeat,
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


def measure(way: str, folder: Path, turn: int) -> dict[str, Any]:
    """Run one way in a fresh process and return its record."""
    work = folder / f"{way}{turn}"
    work.mkdir()
    (work / "nltk_data").symlink_to(folder / "nltk_data")
    (work / "structure.json").symlink_to(folder / "structure.json")
    command = [sys.executable, __file__, "--way", way, "--folder", str(work)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux `ru_maxrss` is never less than that of the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def prepare_nltk(folder: Path) -> None:
    """Lay WordNet's files out as NLTK's corpus, with the Unix line ends its reader counts on, and the structure's ids."""
    import numpy as np

    from kgzsl import data
    from kgzsl.graphs.recipe import SHIPPED
    from kgzsl.graphs.select import Selector
    from kgzsl.sources import readers

    source, target = data.locate("wordnet-3.0"), folder / "nltk_data" / "corpora" / "wordnet"
    target.mkdir(parents=True)
    for file in source.iterdir():
        if not file.name.startswith(".") and file.name != "manifest.json":
            (target / file.name).write_bytes(file.read_bytes().replace(b"\r\n", b"\n"))
    read = readers.make("wordnet").read(source)
    ids = read.ids.to_pylist()
    mask = Selector(ids, {"hypernym": (read.subject, read.object)}).rules(SHIPPED / "data" / "imagenet_structure.yaml")
    (folder / "structure.json").write_text(json.dumps([ids[i].removeprefix("wn30:") for i in np.flatnonzero(mask)]))


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """Return what `work` returns, and its seconds and peak memory; the garbage of the imports is no part of them."""
    gc.collect()
    before, started, cpu = peak(), time.perf_counter(), time.process_time()
    found = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return found, {"seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak(), "peak_before_mib": before}


def reader(folder: Path) -> dict[str, Any]:
    """The noun file into columns, checks included."""
    from kgzsl import data
    from kgzsl.sources import readers

    warm_up()
    source, wordnet = data.locate("wordnet-3.0"), readers.make("wordnet")
    read, record = timed(lambda: wordnet.read(source))
    assert len(read.ids) == 82_115
    return record


def build(folder: Path) -> dict[str, Any]:
    """kgzsl's way, artifact on disk included."""
    from kgzsl.graphs import KnowledgeGraph, compile_graph

    warm_up()
    graph, record = timed(lambda: compile_graph("imagenet", out=folder / "imagenet.kg"))
    assert {"nodes": len(graph), "edges": len(graph.subject)} == EXPECTED
    _, loading = timed(lambda: KnowledgeGraph.load(folder / "imagenet.kg"))
    return {**record, "load_seconds": loading["seconds"]}


def dense(folder: Path) -> dict[str, Any]:
    """DGP's dense graph, artifact on disk included."""
    from kgzsl.graphs import compile_graph

    warm_up()
    graph, record = timed(lambda: compile_graph("imagenet-dense", out=folder / "dense.kg"))
    assert len(graph) + len(graph.subject) == PAIRS
    return record


def views(folder: Path) -> dict[str, Any]:
    """DGP's ten matrices, ancestors and descendants by distance."""
    from kgzsl.graphs import both_directions, compile_graph

    graph = compile_graph("imagenet")
    view, record = timed(lambda: both_directions(graph))
    assert sum(m.nnz for m in view.adjacency) == 2 * PAIRS
    return record


def warm_up() -> None:
    """Import what compiling imports, and open the engine: once per process, whatever is compiled."""
    import pandas  # noqa: F401  Arrow imports it for the first array made of Python values
    import pyarrow as pa
    import pyoxigraph  # noqa: F401

    from kgzsl.engines import open_engine

    with open_engine() as engine:
        engine.collect(engine.table(pa.table({"one": [1]})))


def build_with_nltk(folder: Path) -> dict[str, Any]:
    """The published script's way; nodes, edges and texts in memory, nothing written."""
    import warnings

    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    from kgzsl import data

    nltk.data.path.insert(0, str(folder / "nltk_data"))
    lists = data.locate("imagenet-classes")
    wnids = [w for name in ("imagenet_synsets.txt", "imagenet22k_synsets.txt") for w in (lists / name).read_text().split()]
    structure = json.loads((folder / "structure.json").read_text())
    warnings.simplefilter("ignore")
    # Newer NLTK builds a map between versions at start, which this job does not use and the old scripts did not pay for.
    WordNetCorpusReader.map_wn = lambda *_: None
    nodes, record = timed(lambda: _with_nltk(structure, wnids))
    assert {"nodes": nodes[0], "edges": nodes[1]} == EXPECTED
    return record


def _with_nltk(structure: list[str], wnids: list[str]) -> tuple[int, int]:
    import nltk.data
    from nltk.corpus.reader.wordnet import WordNetCorpusReader

    wordnet = WordNetCorpusReader(nltk.data.find("corpora/wordnet"), None)
    stop = {wordnet.synset_from_pos_and_offset("n", int(w[1:])) for w in structure}
    queue = [wordnet.synset_from_pos_and_offset("n", int(w[1:])) for w in dict.fromkeys(wnids)]
    visited = set(queue)
    for node in queue:  # grows while it is walked
        if node in stop:
            continue
        for parent in node.hypernyms():
            if parent not in visited:
                visited.add(parent)
                queue.append(parent)
    nodes = sorted(visited | stop, key=lambda s: s.offset())
    place = {node: i for i, node in enumerate(nodes)}
    edges = [(i, place[p]) for i, node in enumerate(nodes) for p in node.hypernyms() if p in place]
    texts = [(", ".join(node.lemma_names()), node.definition()) for node in nodes]
    return len(texts), len(edges)


WAYS = {"reader": reader, "kgzsl": build, "nltk": build_with_nltk, "dense": dense, "views": views}

if __name__ == "__main__":
    main()
