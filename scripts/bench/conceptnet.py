"""Read a ConceptNet-format file of N lines and one of 2N, each in a fresh process.

    KGZSL_DATA=… python scripts/bench/conceptnet.py --lines 10_000_000

The lines are made from the 764 real ones of `$KGZSL_DATA/conceptnet/assertions_fixture.csv`: each takes relation, languages,
parts of speech, dataset and JSON together from one of them, so their mix is real (an eighth are English at both ends; of the
whole dump a tenth are), and draws the words of its ends from Zipf's law over as many words as there are lines.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_CHUNK = 250_000
_SYLLABLES = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "ol")]


def main() -> None:
    """Print one JSON record: lines per second, peak memory and the ratio of the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000, help="N")
    parser.add_argument("--languages", default="en", help="`en`, several with commas, or `all`")
    parser.add_argument("--synonyms", default="keep", choices=["keep", "merge"])
    parser.add_argument("--gzip", action="store_true", help="gzip the files, as the dump is published")
    parser.add_argument("--folder", type=Path, help="where the files are made (by default the system's temporary folder)")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    settings = {"languages": [] if args.languages == "all" else args.languages.split(","), "synonyms": args.synonyms}
    if args.read:
        print(json.dumps(read(args.read, settings)))
        return

    from kgzsl.experiments.runner import environment

    runs = {}
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        for times in (1, 2):
            file = Path(name) / f"assertions{times}.csv{'.gz' if args.gzip else ''}"
            generate(file, times * args.lines)
            command = [sys.executable, *sys.argv, "--read", str(file)]
            runs[times] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            runs[times]["mib_on_disk"] = round(file.stat().st_size / 2**20)
            runs[times]["lines_per_second"] = round(times * args.lines / runs[times]["seconds"])
            file.unlink()
    record = {
        "lines": args.lines,
        "settings": settings | {"gzip": args.gzip},
        "once": runs[1],
        "twice": runs[2],
        "time_ratio": round(runs[2]["seconds"] / runs[1]["seconds"], 3),
        "processor_time_ratio": round(runs[2]["processor_seconds"] / runs[1]["processor_seconds"], 3),
        "environment": environment(),
    }
    print(json.dumps(record, indent=1))


def read(file: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Read one file, timed after the imports; DuckDB may hold 1 GiB and spill beside the file."""
    from kgzsl.engines import open_engine
    from kgzsl.sources import readers

    engine = open_engine()
    engine.connection.raw_sql("SET memory_limit = '1GiB'")
    engine.connection.raw_sql(f"SET temp_directory = '{file.parent}'")
    reader = readers.make("conceptnet", settings)
    before, started, worked = peak(), time.perf_counter(), time.process_time()
    found = reader.read(file, engine=engine)
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "processor_seconds": round(time.process_time() - worked, 2),
        "peak_mib": round(peak()),
        "peak_before_mib": round(before),
        "nodes": len(found.ids),
        "edges": len(found.subject),
        "dropped": dict(found.dropped),
    }


def peak() -> float:
    """Return the peak memory of this process, which starts no others, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux `ru_maxrss` is never less than that of the process that started this one
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def generate(file: Path, lines: int) -> None:
    """Write `lines` lines, the same for the same number."""
    fixture = Path(os.environ["KGZSL_DATA"]) / "conceptnet" / "assertions_fixture.csv"
    real = [line.split("\t") for line in fixture.read_text(encoding="utf-8").splitlines()]
    relation, about = (pa.array([fields[k] for fields in real]) for k in (1, 4))
    ends = [_around_word([fields[k] for fields in real]) for k in (2, 3)]
    draw = np.random.default_rng(lines)
    with gzip.open(file, "wb", compresslevel=1) if file.suffix == ".gz" else file.open("wb") as stream:
        for begin in range(0, lines, _CHUNK):
            count = min(_CHUNK, lines - begin)
            which = pa.array(draw.integers(0, len(real), count))
            start, end = (pc.binary_join_element_wise(a.take(which), _words(draw, count, lines), b.take(which), "") for a, b in ends)
            kind = relation.take(which)
            text = pc.binary_join_element_wise(
                *("/a/[", kind, "/,", start, "/,", end, "/]\t", kind, "\t", start, "\t", end, "\t", about.take(which), "\n"), ""
            )
            first, last = text.offset, text.offset + len(text)
            offsets = np.frombuffer(text.buffers()[1], dtype=np.int32)
            stream.write(memoryview(text.buffers()[2])[offsets[first] : offsets[last]])


def _around_word(uris: list[str]) -> tuple[pa.StringArray, pa.StringArray]:
    """Return what stands before and after the word of every URI."""
    cut = []
    for uri in uris:
        parts = uri.split("/")
        cut.append(("/".join(parts[:3]) + "/", "".join(f"/{p}" for p in parts[4:]))) if uri.startswith("/c/") else cut.append(
            (uri.rsplit("/", 1)[0] + "/", "")
        )
    return pa.array([a for a, _ in cut]), pa.array([b for _, b in cut])


def _words(draw: np.random.Generator, count: int, vocabulary: int) -> pa.StringArray:
    """Return words of which the k-th is drawn about 1/k as often as the first; frequent ones are short, some are two."""
    rank = (vocabulary ** draw.random(count)).astype(np.int64)
    syllables = pa.array([*_SYLLABLES, ""])
    parts = []
    while rank.any():
        parts.append(syllables.take(pa.array(np.where(rank > 0, rank % len(_SYLLABLES), len(_SYLLABLES)))))
        rank //= len(_SYLLABLES)
    if len(parts) > 2:
        rare = pc.not_equal(parts[2], "")
        parts.insert(2, pc.if_else(rare, "_", ""))
    return pc.binary_join_element_wise(*parts, "")


if __name__ == "__main__":
    main()
