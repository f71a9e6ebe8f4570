"""RDF files into integer columns: triples per second, the ratio to rdflib in one run, and peak memory of a big file.

    python scripts/bench/rdf.py --data $KGZSL_DATA --repeat 3

The files are real ontologies. The big one is made of a real file (schema.nq by default): its triples once more for every copy,
with the copy's number appended to each IRI of the file's own namespace, so that terms grow with the triples as they do in real
files; it is written as N-Triples, Turtle and RDF/XML. Each measurement is a process of its own, timed after its imports.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REAL = {
    "ontologies/schema.nq": "nquads",
    "kgc/wiki-zs/Onto-Wiki.owl": "xml",
    "ontologies/uberon_fragment.owl": "xml",
    "kzsl/KG-AwA.ttl": "turtle",
    "ontologies/not-galen.n3": "n3",
}
BIG = {"nt": "N_TRIPLES", "ttl": "TURTLE", "rdf": "RDF_XML"}


def main() -> None:
    """Print one JSON record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KGZSL_DATA", ".")))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--triples", type=int, default=3_000_000)
    parser.add_argument("--ratio-copies", type=int, default=12, help="copies of the file on which rdflib is measured too")
    parser.add_argument("--way", choices=["kgzsl", "rdflib", "owl"], help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--format", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps({"kgzsl": columns, "rdflib": with_rdflib, "owl": project}[args.way](args.file, args.format)))
        return

    from kgzsl.experiments.runner import environment

    record: dict[str, Any] = {"real": {name: compare(args.data / name, kind, args.repeat) for name, kind in REAL.items()}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = args.data / "ontologies" / "schema.nq"
        some = replicate(source, folder / "some", args.ratio_copies, BIG)
        record["same_file"] = {
            ending: compare(file, {"nt": "nt", "ttl": "turtle", "rdf": "xml"}[ending], args.repeat) for ending, file in some.items()
        }
        base = columns(source, "")["triples"]
        big = replicate(source, folder / "big", -(-args.triples // base), BIG)
        record["big"] = {ending: measure("kgzsl", file, "") | {"bytes": file.stat().st_size} for ending, file in big.items()}
        record["big_projected"] = measure("owl", big["nt"], "")
    print(json.dumps({**record, "repeat": args.repeat, "environment": environment()}, indent=1))


def compare(file: Path, kind: str, repeat: int) -> dict[str, Any]:
    """Both ways in turns, so that a slow spell of the machine hits both alike."""
    runs: dict[str, list[dict[str, Any]]] = {"kgzsl": [], "rdflib": []}
    for _ in range(repeat):
        for way, measured in runs.items():
            measured.append(measure(way, file, kind))
    seconds = {way: statistics.median(r["seconds"] for r in measured) for way, measured in runs.items()}
    # Where others work on the machine too, processor time says what wall time does on a quiet one: both ways use one thread.
    cpu = {way: statistics.median(r["cpu_seconds"] for r in measured) for way, measured in runs.items()}
    triples = runs["kgzsl"][0]["triples"]
    return {
        "triples": triples,
        "triples_per_second": round(triples / seconds["kgzsl"]),
        "rdflib_triples_per_second": round(triples / seconds["rdflib"]),
        "times_faster_than_rdflib": round(seconds["rdflib"] / seconds["kgzsl"], 1),
        "triples_per_cpu_second": round(triples / cpu["kgzsl"]),
        "times_less_cpu_than_rdflib": round(cpu["rdflib"] / cpu["kgzsl"], 1),
    }


def measure(way: str, file: Path, kind: str) -> dict[str, Any]:
    """Run one way in a fresh process and return its record."""
    command = [sys.executable, __file__, "--way", way, "--file", str(file), "--format", kind]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def replicate(source: Path, folder: Path, copies: int, endings: dict[str, str]) -> dict[str, Path]:
    """Write the source's triples `copies` times with renamed IRIs, in several syntaxes."""
    import pyoxigraph

    folder.mkdir()
    plain = folder / "data.nt"
    written = pyoxigraph.serialize((quad.triple for quad in pyoxigraph.parse(path=source)), format=pyoxigraph.RdfFormat.N_TRIPLES)
    lines = (written or b"").decode()
    with plain.open("w", encoding="utf-8") as stream:
        for number in range(copies):
            stream.write(lines.replace("<http://schema.org/", f"<http://schema.org/{number}/"))
    files = {"nt": plain}
    for ending, kind in endings.items():
        if ending != "nt":
            files[ending] = folder / f"data.{ending}"
            parsed = pyoxigraph.parse(path=plain, format=pyoxigraph.RdfFormat.N_TRIPLES)
            prefixes = {f"s{n}": f"http://schema.org/{n}/" for n in range(copies)} | {"rdfs": "http://www.w3.org/2000/01/rdf-schema#"}
            pyoxigraph.serialize(parsed, str(files[ending]), getattr(pyoxigraph.RdfFormat, kind), prefixes=prefixes)
    return files


def peak() -> float:
    """Return the peak memory of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def columns(file: Path, kind: str) -> dict[str, Any]:
    """kgzsl's way: integer columns over distinct terms."""
    import pyoxigraph  # noqa: F401  imports are not timed, of neither way

    from kgzsl.sources.rdf import read_triples

    read_triples(_warm())
    before, started, used = peak(), time.perf_counter(), time.process_time()
    made = read_triples(file)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    return {
        "cpu_seconds": cpu,
        "triples_per_cpu_second": round(len(made) / cpu),
        "triples": len(made),
        "terms": len(made.terms),
        "seconds": seconds,
        "triples_per_second": round(len(made) / seconds),
        "peak_mib": peak(),
        "peak_before_mib": before,
    }


def project(file: Path, kind: str) -> dict[str, Any]:
    """The reader `owl`, profile `full`: columns, edges, ids, labels and texts."""
    from kgzsl.sources.owl import Owl

    before, started, used = peak(), time.perf_counter(), time.process_time()
    made = Owl(profile="full").read(file)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    return {
        "nodes": len(made.ids),
        "edges": len(made.subject),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mib": peak(),
        "peak_before_mib": before,
    }


def with_rdflib(file: Path, kind: str) -> dict[str, Any]:
    """rdflib's way: its own graph in memory, nothing else."""
    import warnings

    import rdflib

    warnings.simplefilter("ignore")
    rdflib.Graph().parse(_warm(), format="turtle")
    graph = rdflib.Dataset(default_union=True) if kind == "nquads" else rdflib.Graph()
    before, started, used = peak(), time.perf_counter(), time.process_time()
    graph.parse(file, format=kind)
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    return {"triples": len(graph), "seconds": seconds, "cpu_seconds": cpu, "peak_mib": peak(), "peak_before_mib": before}


def _warm() -> Path:
    """Return a small file; the first call of either way imports what it needs, which is not timed."""
    return Path(__file__).parents[2] / "ontologies" / "kgzsl.ttl"


if __name__ == "__main__":
    main()
