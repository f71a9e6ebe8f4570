"""Tables of images with a state, an object and a part, and lists of pairs: checked against each other, then one composition set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.csv

from kgzsl.datasets.composition_set import PARTS, CompositionSet, CompositionSpace
from kgzsl.errors import MissingDataError, SourceError, first_five

COLUMNS = ("image", "state", "object", "split")

Pair = tuple[str, str]


@dataclass(frozen=True)
class ImageTable:
    """What a metadata file says: one row per image.

    Attributes
    ----------
    source : the file, for messages.
    images : paths relative to the dataset's folder of images.
    states, objects, parts : of each image; parts are those of `PARTS`.
    """

    source: Path
    images: Sequence[str]
    states: Sequence[str]
    objects: Sequence[str]
    parts: Sequence[str]

    def __post_init__(self) -> None:
        if not self.images:
            raise SourceError("a table of compositions has one image or more", received=str(self.source))
        self._refuse("a state and an object are names that are not empty", [not (s and o) for s, o in self.pairs])
        self._refuse(f"a split is one of {', '.join(PARTS)}", [part not in PARTS for part in self.parts])
        self._refuse("an image is a relative path that stays in the dataset's folder", [_leaves(image) for image in self.images])
        self._check_images()
        empty = [part for part in PARTS if part not in set(self.parts)]
        if empty:
            raise SourceError("every split has images", received=f"{self.source}: {', '.join(empty)} has none")

    def _check_images(self) -> None:
        """Raise SourceError where an image comes twice, naming the parts or the pairs that it is in."""
        twice = [image for image, count in Counter(self.images).items() if count > 1]
        if twice:
            rows = [i for i, image in enumerate(self.images) if image == twice[0]]
            named = ", ".join(f"{self.parts[i]} ({self.states[i]}, {self.objects[i]})" for i in rows)
            raise SourceError(
                "an image is in one split, with one pair",
                received=f"{self.source}: {len(twice):,} are there again; {twice[0]} is in {named}",
                remedy="keep one row for each image",
            )

    def _refuse(self, rule: str, wrong: Sequence[bool]) -> None:
        bad = [i for i, is_wrong in enumerate(wrong) if is_wrong]
        if bad:
            i = bad[0]
            row = f"{self.images[i]!r}, {self.states[i]!r}, {self.objects[i]!r}, {self.parts[i]!r}"
            raise SourceError(rule, received=f"{self.source}: {len(bad):,} rows do not fit, the first one, row {i + 1:,}: {row}")

    @property
    def pairs(self) -> list[Pair]:
        """The pair of each image."""
        return list(zip(self.states, self.objects, strict=True))

    def pairs_of(self, part: str) -> set[Pair]:
        """Return the pairs that have images in `part`."""
        return {pair for pair, own in zip(self.pairs, self.parts, strict=True) if own == part}


def _leaves(image: str) -> bool:
    path = PurePosixPath(image)
    return not image or path.is_absolute() or ".." in path.parts or "\\" in image or "\0" in image


def read_image_table(file: Path) -> ImageTable:
    """Read a CSV file with the columns `image`, `state`, `object` and `split`, UTF-8.

    Raises
    ------
    MissingDataError : no such file.
    SourceError : another encoding, a column or a value missing, another part than train, val and test, an image twice.
    """
    if not file.is_file():
        raise MissingDataError(f"a table of compositions is a CSV file with the columns {', '.join(COLUMNS)}", received=f"{file} not there")
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(use_threads=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=COLUMNS, column_types=dict.fromkeys(COLUMNS, pa.string()), strings_can_be_null=False
            ),
        )
    except (OSError, UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SourceError(
            f"a table of compositions is CSV in UTF-8 with the columns {', '.join(COLUMNS)}",
            received=f"{file}: {str(error)[:200]}",
            remedy="write it anew as UTF-8, one row per image",
        ) from error
    return ImageTable(file, *([value.strip() for value in table[c].to_pylist()] for c in COLUMNS))


def composition_set(
    table: ImageTable, lists: Mapping[str, Sequence[Pair]] | None, *, name: str, version: str, prefix: str, root: Path
) -> CompositionSet:
    """Return the set that a table makes, checked against the lists of pairs.

    Parameters
    ----------
    lists : the pairs of every part as its list names them, see `unseen_added` for lists of unseen pairs alone; None has no lists.
    root : the folder that the images' paths are relative to.

    Raises
    ------
    SourceError : the lists and the table disagree; a pair of validation or test whose state or object no training image has.
    """
    pairs = {part: table.pairs_of(part) for part in PARTS}
    if lists is not None:
        check_lists(table, lists)
    check_trained(table, pairs)
    listed = sorted(set.union(*pairs.values()))
    states, objects = (tuple(sorted({pair[k] for pair in listed})) for k in (0, 1))
    position = {pair: i for i, pair in enumerate(listed)}
    of_state, of_object = ({n: i for i, n in enumerate(names)} for names in (states, objects))
    space = CompositionSpace(
        prefix=prefix,
        states=states,
        objects=objects,
        pairs=np.array([(of_state[s], of_object[o]) for s, o in listed], dtype=np.int64),
        seen=np.array([pair in pairs["train"] for pair in listed], dtype=bool),
    )
    return CompositionSet(
        name=name,
        version=version,
        root=root,
        space=space,
        paths=tuple(root / image for image in table.images),
        labels=np.array([position[pair] for pair in table.pairs], dtype=np.int64),
        parts=np.array([PARTS.index(part) for part in table.parts], dtype=np.int8),
        candidates={part: np.array(sorted(position[p] for p in pairs["train"] | pairs[part]), dtype=np.int64) for part in PARTS},
    )


def unseen_added(train: Sequence[Pair], unseen: Sequence[Pair], shown: set[Pair]) -> list[Pair]:
    """Return the whole list of a part of which only the unseen pairs are listed: those, and the training pairs that it shows."""
    return [*unseen, *(pair for pair in train if pair in shown)]


def check_lists(table: ImageTable, lists: Mapping[str, Sequence[Pair]]) -> None:
    """Raise SourceError unless every part's list and its images have the same pairs."""
    for part in PARTS:
        shown, listed = table.pairs_of(part), set(lists[part])
        for rule, extra in (
            (f"every pair in the list of {part} has images in {part}", listed - shown),
            (f"every image of {part} has a pair in the list of {part}", shown - listed),
        ):
            if extra:
                raise SourceError(
                    rule,
                    received=f"{table.source}: {len(extra):,} pairs do not: {first_five(' '.join(p) for p in sorted(extra))}",
                    remedy="the lists of pairs and the table of images are of one version; get both again",
                )


def check_trained(table: ImageTable, pairs: Mapping[str, set[Pair]]) -> None:
    """Raise SourceError where a state or an object of validation or test is in no training image."""
    for part in PARTS[1:]:
        for k, what in enumerate(("state", "object")):
            trained = {pair[k] for pair in pairs["train"]}
            new = sorted(pair for pair in pairs[part] if pair[k] not in trained)
            if new:
                raise SourceError(
                    f"every {what} of a pair to recognise occurs in training",
                    received=f"{table.source}: in {part} {len(new):,} pairs are of others: {first_five(' '.join(p) for p in new)}",
                    remedy=f"leave those pairs out; nothing can be known of a {what} that training never shows",
                )
