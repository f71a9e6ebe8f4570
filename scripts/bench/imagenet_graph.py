"""Build the ImageNet graph from WordNet's files; against the published script's way through NLTK, in one run.

    python scripts/bench/imagenet_graph.py --repeat 3

Each measurement is a process of its own, timed after its imports, so that peak memory is that of one way. NLTK's way is that
of GCNZ's and DGP's scripts: `synset_from_pos_and_offset` for every class, `hypernyms()` up to the structure, and once more for
the edges. It is given the list of structure ids, which kgzsl expands from its rules within its own time.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXPECTED = {"nodes": 32_324, "edges": 32_544}


def main() -> None:
    """Print one JSON record: seconds and peak memory of both ways, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--way", choices=["kgzsl", "nltk", "views"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps({"kgzsl": build, "nltk": build_with_nltk, "views": views}[args.way](args.folder)))
        return

    from kgzsl.experiments.runner import environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare_nltk(folder)
        # In turns, so that a slow spell of the machine hits all ways alike.
        runs: dict[str, list[dict[str, Any]]] = {"kgzsl": [], "nltk": [], "views": []}
        for turn in range(args.repeat):
            for way, measured in runs.items():
                measured.append(measure(way, folder, turn))
    median = {way: statistics.median(r["seconds"] for r in measured) for way, measured in runs.items()}
    record = {
        **EXPECTED,
        "build_seconds": median["kgzsl"],
        "nltk_seconds": median["nltk"],
        "times_faster_than_nltk": median["nltk"] / median["kgzsl"],
        "dense_views_seconds": median["views"],
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


def build(folder: Path) -> dict[str, Any]:
    """kgzsl's way, artifact on disk included."""
    from kgzsl.graphs import KnowledgeGraph, compile_graph

    before, started = peak(), time.perf_counter()
    graph = compile_graph("imagenet", out=folder / "imagenet.kg")
    seconds = time.perf_counter() - started
    assert {"nodes": len(graph), "edges": len(graph.subject)} == EXPECTED
    started = time.perf_counter()
    KnowledgeGraph.load(folder / "imagenet.kg")
    return {"seconds": seconds, "load_seconds": time.perf_counter() - started, "peak_mib": peak(), "peak_before_mib": before}


def views(folder: Path) -> dict[str, Any]:
    """DGP's ten matrices, ancestors and descendants by distance."""
    from kgzsl.graphs import both_directions, compile_graph

    graph = compile_graph("imagenet")
    before, started = peak(), time.perf_counter()
    view = both_directions(graph)
    seconds = time.perf_counter() - started
    assert sum(m.nnz for m in view.adjacency) == 2 * 200_082
    return {"seconds": seconds, "peak_mib": peak(), "peak_before_mib": before}


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
    before, started = peak(), time.perf_counter()
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
    seconds = time.perf_counter() - started
    assert {"nodes": len(texts), "edges": len(edges)} == EXPECTED
    return {"seconds": seconds, "peak_mib": peak(), "peak_before_mib": before}


if __name__ == "__main__":
    main()
