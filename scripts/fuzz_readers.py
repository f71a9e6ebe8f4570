"""Fuzz a reader of knowledge sources with atheris: whatever the bytes, it returns statements or raises a KgzslError.

    pip install 'kgzsl[fuzz]'
    python scripts/fuzz_readers.py triples --seeds $KGZSL_DATA/kzsl/AwA/conceptnet_triples.txt --seconds 60
    python scripts/fuzz_readers.py owl --suffix .ofn --seeds $KGZSL_DATA/ontologies/primer.ofn --seconds 60

Coverage guides the mutations, so this goes deeper than the property tests of `tests/sources`. A finding ends the run with
status 1 and leaves the input as `crash-…` in the current folder; anything over ten seconds counts as a hang.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

#: Reader → the settings it is fuzzed with, and the name of the file it is given.
READERS: dict[str, tuple[dict[str, Any], str]] = {
    "attributes": ({"layout": "csv", "threshold": 0.5, "prefix": "t"}, "table.csv"),
    "compositions": ({"prefix": "t"}, "pairs.txt"),
    "conceptnet": ({}, "assertions.csv"),
    "owl": ({}, "ontology.owl"),
    "triples": ({"prefix": "cn", "vocabulary": "conceptnet"}, "triples.txt"),
    "wordnet": ({"parts_of_speech": ["noun"]}, "data.noun"),
}


def main() -> None:
    """Fuzz until the time is over or an input is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reader", choices=sorted(READERS))
    parser.add_argument("--seeds", type=Path, nargs="*", default=[], help="real files to start from")
    parser.add_argument("--settings", type=json.loads, default={}, help="more settings of the reader, as JSON")
    parser.add_argument("--suffix", help="ending of the file that is read, which decides the format of an ontology")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--longest", type=int, default=20_000, help="bytes of an input (seeds are cut to it)")
    args = parser.parse_args()

    import atheris

    with atheris.instrument_imports(include=["kgzsl.sources"]):
        from kgzsl.errors import KgzslError
        from kgzsl.sources import readers

    settings, name = READERS[args.reader]
    reader = readers.make(args.reader, {**settings, **args.settings})
    work = Path(tempfile.mkdtemp(prefix="kgzsl-fuzz-"))
    target = work / (Path(name).stem + args.suffix if args.suffix else name)
    whole = work if args.reader == "wordnet" else target
    corpus = work / "corpus"
    corpus.mkdir()
    for i, seed in enumerate(args.seeds):
        (corpus / str(i)).write_bytes(seed.read_bytes()[: args.longest])

    def once(content: bytes) -> None:
        target.write_bytes(content)
        try:
            reader.read(whole)
        except KgzslError:
            return

    options = [f"-max_total_time={args.seconds}", f"-max_len={args.longest}", "-timeout=10", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], once)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
