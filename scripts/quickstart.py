"""The main job on real input, told as it runs: WordNet → graph → class embeddings → classifiers for classes never seen.

    ./scripts/quickstart.sh                          sets up, then runs this
    ./scripts/quickstart.sh --images imagenet/val    evaluates on your own ImageNet-style folder as well

Every step is a `kgzsl` command that is printed before it runs. What is there already is kept, so a further run takes seconds.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kgzsl.errors import KgzslError, MissingDataError

if TYPE_CHECKING:
    from kgzsl.bundle import Bundle
    from kgzsl.datasets import Photo, Split

CELLS = Path(os.path.relpath(Path(__file__).parent)) / "quickstart"
METHODS = ("graph_gp", "nearest_text", "sgcn")
GRAPH = Path("graphs/imagenet.kg")
BACKBONE = "efficientnet-lite0"


def main() -> int:
    """Run all steps and return the exit status."""
    parser = argparse.ArgumentParser(prog="quickstart.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="labelled images of the 1,000 classes: <wnid>/x.jpg or <wnid>_x.jpg")
    parser.add_argument("--encoder", default="graph_gp", help="the encoder of the bundle (default: graph_gp)")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS, help="the encoders to compare (default: all three)")
    parser.add_argument("--out", type=Path, default=Path("runs/quickstart"), metavar="DIR", help="default: runs/quickstart")
    parser.add_argument("--again", action="store_true", help="make everything anew, even what is there")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=FutureWarning)
    started = time.perf_counter()
    try:
        _check_images(args.images)  # before minutes of work rather than after
        build_graph(args.again)
        encode_texts(args.out, args.again)
        split = evaluate(args.out, args.methods, args.images, args.again)
        bundle = fit_bundle(args.out, args.encoder, split, args.again)
        predict(args.out, bundle)
    except KgzslError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept, and the next run goes on from there", file=sys.stderr)
        return 130
    say(f"\nDone in {_span(time.perf_counter() - started)}. Everything is kept: the next run takes seconds. Your own photographs:")
    say(f"  $ {os.environ.get('KGZSL_VENV', '.venv')}/bin/kgzsl predict {bundle} PHOTO.jpg --top 5 --explain")
    return 0


def build_graph(again: bool) -> None:
    """Compile the ImageNet graph and describe it."""
    heading("1. The graph: WordNet 3.0 → the ImageNet graph of all 21,842 classes and what stands above them")
    if again or _outdated(GRAPH):
        run("graph", "build", "imagenet", "-o", str(GRAPH), "--overwrite")
    run("graph", "describe", str(GRAPH))


def encode_texts(out: Path, again: bool) -> None:
    """Turn every node's words and gloss into a vector."""
    heading("2. The texts: every node's words and gloss → a sentence vector (MiniLM)")
    target = out / "imagenet-minilm.vectors"
    if target.exists() and not again:
        return note(f"already in {target}")
    note("2–4 minutes on two cores the first time")
    run("vectors", "encode", "--graph", str(GRAPH), "-o", str(target), "--overwrite")


def evaluate(out: Path, methods: Sequence[str], images: Path | None, again: bool) -> Split:
    """Hide 200 of the 1,000 classes, predict their classifiers, and see how right they are; return the split."""
    from kgzsl import datasets

    try:
        split, folds = datasets.holdout_folds()[0], "folds-of-KGZSL_DATA"
    except MissingDataError:
        split, folds = datasets.make_folds(datasets.train_ids())[0], "own-folds"
    heading("3. Hide 200 of the backbone's 1,000 classes, and predict their classifiers from the other 800 and the graph")
    note("Does the predicted classifier of a hidden class find its true one, among the 200 hidden, and among all 1,000")
    note("with the 800 that it was made from? In per cent.")
    flags = ["--again"] if again else []
    if "sgcn" in methods:
        note("sgcn trains for 100 of its 3,000 epochs here; README.md has the full runs.")
    found = out / f"results-{folds}"
    run("experiment", "run", *(str(CELLS / f"weights_{m}.yaml") for m in methods), "-o", str(found), *flags)
    run("experiment", "leaderboard", str(found), "--task", "weight-retrieval")

    if images is None and not _has_samples(folds):
        note("On images too, with your own: ./scripts/quickstart.sh --images FOLDER (or KGZSL_DATA; see README.md, Data).")
        return split
    heading("4. The same on photographs: the right one of the 200 hidden classes, and of all 1,000 (S seen, U hidden, H their mean)")
    source: list[str] = []
    if images is not None:
        found, source = out / f"results-{folds}-{images.resolve().name}", ["--images", str(images)]
    cells = [str(CELLS / f"images_{m}.yaml") for m in (*methods, "oracle")]
    run("experiment", "run", *cells, "-o", str(found), *source, *flags)
    run("experiment", "leaderboard", str(found), "--task", "image-holdout")
    note("oracle: the hidden classes' true weights. The backbone has seen these classes, so read the rows against each other.")
    return split


def _check_images(images: Path | None) -> None:
    """Raise unless the folder holds images of the 1,000 classes."""
    from kgzsl.datasets import image_folder, train_ids

    if images is not None:
        image_folder(images, known=train_ids())


def _has_samples(folds: str) -> bool:
    """Whether KGZSL_DATA holds the sample images and their folds."""
    from kgzsl.datasets import samples

    try:
        return folds != "own-folds" and bool(samples())
    except MissingDataError:
        return False


def fit_bundle(out: Path, encoder: str, split: Split, again: bool) -> Path:
    """Fit classifiers for the 200 hidden and the 20,842 other ImageNet-21K classes; return the bundle's folder."""
    heading(f"5. A bundle: classifiers for the 200 hidden and the 20,842 other ImageNet-21K classes ({encoder})")
    out.mkdir(parents=True, exist_ok=True)
    hidden, target = out / "hidden200.txt", out / "hidden200.bundle"
    hidden.write_text("".join(f"{i}\n" for i in split.unseen), encoding="utf-8")
    if not again and _is_bundle_of(target, encoder, split):
        note(f"already in {target}")
        return target
    arguments = ["--graph", str(GRAPH), "--encoder", encoder, "--backbone", BACKBONE, "--hide", str(hidden)]
    run("fit", *arguments, "--classes", "imagenet-21k", "-o", str(target), "--overwrite")
    return target


def predict(out: Path, bundle: Path) -> None:
    """Classify the photographs that installed packages carry."""
    from kgzsl.bundle import Bundle
    from kgzsl.datasets import packaged_photos
    from kgzsl.features import extract, make_backbone

    heading("6. Real photographs, into classes that the model had no example of")
    photos, folder = packaged_photos(), out / "photos"
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        note(f"{photo.path.name:20} {photo.note} (from {photo.package})")
        shutil.copyfile(photo.path, folder / photo.path.name)
    run("predict", str(bundle), str(folder), "--candidates", "unseen", "--top", "3", "--explain")
    run("predict", str(bundle), str(folder), "--top", "3")
    opened = Bundle.load(bundle)
    features = extract([folder / p.path.name for p in photos], make_backbone(BACKBONE))
    _table(opened, photos, [opened.predict(features, top=1000, candidates=c) for c in ("unseen", "all")])


def _table(bundle: Bundle, photos: Sequence[Photo], answers: Sequence[Sequence[Sequence[object]]]) -> None:
    """Print at which place the right class came."""
    from typing import Any, cast

    from kgzsl.cli.output import emit_table

    seen = {i for i, s in zip(bundle.weights.ids, bundle.seen, strict=True) if s}
    rows = []
    for n, photo in enumerate(photos):
        places = []
        for ranked in answers:
            ids = [cast(Any, a).id for a in ranked[n]]
            places.append(next((str(k) for k, i in enumerate(ids, 1) if i in photo.wnids), "> 1,000"))
        known = bool(set(photo.wnids) & seen)
        rows.append((photo.path.name, photo.label, "yes" if known else "no", "–" if known else places[0], places[1]))
    count = len(bundle.seen)
    headings = ["photograph", "right answer", "has examples", f"place among {count - len(seen):,} never seen", f"place among all {count:,}"]
    emit_table(headings, rows, title="at which place the right answer came")


def heading(text: str) -> None:
    """Start a section."""
    say(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def note(text: str) -> None:
    """Say something about the step."""
    say(f"  {text}")


def say(text: str) -> None:
    """Print at once, so that the order of both streams is kept."""
    print(text, flush=True)


def run(*arguments: str) -> None:
    """Print a `kgzsl` command, run it in this process, and say how long it took."""
    from kgzsl.cli.main import app

    say(f"  $ kgzsl {shlex.join(arguments)}")
    started = time.perf_counter()
    status = app(list(arguments), standalone_mode=False)
    if status:
        raise SystemExit(status)
    seconds = time.perf_counter() - started
    if seconds >= 0.05:
        say(f"  ({_span(seconds)})")


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _outdated(path: Path) -> bool:
    """Whether the graph is not there, or not one of today's recipe."""
    from kgzsl.artifacts import read_manifest
    from kgzsl.graphs.recipe import load_recipe

    try:
        return bool(read_manifest(path, "graph", verify=False).get("recipe") != load_recipe("imagenet").content)
    except KgzslError:
        return True


def _is_bundle_of(path: Path, encoder: str, split: Split) -> bool:
    """Whether a sound bundle of this encoder, graph and split lies there."""
    from kgzsl.artifacts import read_manifest
    from kgzsl.bundle import Bundle

    if not path.exists():
        return False
    try:
        bundle = Bundle.load(path)
        graph = read_manifest(GRAPH, "graph", verify=False)["content_digest"]
    except KgzslError:
        return False
    seen = {i for i, s in zip(bundle.weights.ids, bundle.seen, strict=True) if s}
    return seen == set(split.seen) and bundle.meta.get("encoder") == encoder and bundle.meta.get("graph") == graph


if __name__ == "__main__":
    sys.exit(main())
