"""Composition lists: states, objects, and the pairs composed of one of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, first_five
from kgzsl.sources.base import Reader, SourceInfo, Statements
from kgzsl.sources.prefixes import benchmark_iri, check_prefix
from kgzsl.sources.tables import numbered_lines
from kgzsl.sources.vocabulary import vocabulary

NATURAL = "compositional-split-natural"
_COLUMNS = ("state", "object")
#: States × objects beyond which an open world is refused: C-GQA's has 278,362 pairs, VAW-CZSL's 238,260.
LARGEST_WORLD = 20_000_000


class Compositions(Reader):
    """Lists of pairs, `state object` in each line: the graph of CGE (Naeem et al., CVPR 2021), equation 4 and figure 2.

    Nodes are the states (kind `state`), the objects (`object`) and the pairs (`pair`), with the ids `PREFIX:state/old`,
    `PREFIX:object/dog` and `PREFIX:pair/old/dog`, so that an orange apple and an orange differ. Edges are pair `has_state`
    state, pair `has_object` object, and state `composes` object for every pair. Self loops and normalisation belong to views.

    Parameters
    ----------
    prefix : prefix of the ids.
    files : the lists to read, relative to the folder; None takes every `*_pairs.txt` in it, or in its folder
        `compositional-split-natural` (MIT-States, UT-Zappos). A CSV file (columns `state` and `object`) is read too.
    open_world : all states × all objects are pairs, also those in no list; `composes` then joins every state to every object.
    name, version, licence : for the manifest.

    Raises
    ------
    InvalidInputError : no prefix, or no file.
    """

    name: ClassVar[str] = "compositions"
    source: ClassVar[str] = "Misra et al. (2017), Yu and Grauman (2014), Naeem et al. (2021)"

    def __init__(
        self,
        prefix: str,
        files: Sequence[str] | None = None,
        open_world: bool = False,
        name: str | None = None,
        version: str = "",
        licence: str = "not stated",
    ) -> None:
        if files is not None and (isinstance(files, str) or not files):
            raise InvalidInputError("files is a list of one name or more", received=repr(files))
        if not isinstance(open_world, bool):
            raise InvalidInputError("open_world is true or false", received=repr(open_world))
        self.prefix, self.files, self.open_world = check_prefix(prefix), files, open_world
        self.info = name or f"{prefix}-compositions", version, licence

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the lists in the folder `path`, or the one list that it is.

        Raises
        ------
        MissingDataError : no list is there.
        SourceError : a line that is not a state and an object (in a file with tabs, separated by one; else by white space), two
            names with one id, an empty or wrongly encoded file; file and line are named.
        """
        lists = self._lists(path)
        listed = [pair for file in lists for pair in read_pairs(file)]
        distinct = sorted(set(listed))
        states, objects = ({name: n for n, name in enumerate(sorted({pair[k] for pair in distinct}))} for k in (0, 1))
        if self.open_world:
            state, obj = self._all(len(states), len(objects))
        else:
            state = np.array([states[s] for s, _ in distinct], dtype=np.int64)
            obj = np.array([objects[o] for _, o in distinct], dtype=np.int64)
        dropped = {"pair listed again": len(listed) - len(distinct)} if len(listed) > len(distinct) else {}
        return self._statements(list(states), list(objects), state, obj, lists, dropped)

    def _lists(self, path: Path) -> list[Path]:
        if path.is_file() and self.files is None:
            return [path]
        home = path / NATURAL if (path / NATURAL).is_dir() else path
        found = [path / f for f in self.files] if self.files is not None else sorted(home.glob("*_pairs.txt"))
        absent = [f for f in found if not f.is_file()]
        if absent or not found:
            raise MissingDataError(
                "compositions are read from lists of pairs, train_pairs.txt and its siblings",
                received=f"{', '.join(map(str, absent[:5]))} not there" if absent else f"{path} holds none",
                remedy="correct the path, or name the lists in `files`",
            )
        return found

    def _all(self, states: int, objects: int) -> tuple[np.ndarray, np.ndarray]:
        if states * objects > LARGEST_WORLD:
            raise SourceError(
                f"an open world has at most {LARGEST_WORLD:,} pairs",
                received=f"{states:,} states × {objects:,} objects",
                remedy="list the pairs",
            )
        return np.repeat(np.arange(states), objects), np.tile(np.arange(objects), states)

    def _statements(
        self, states: list[str], objects: list[str], state: np.ndarray, obj: np.ndarray, lists: list[Path], dropped: dict[str, int]
    ) -> Statements:
        names = [pa.array(states), pa.array(objects)]
        local = [_local(n) for n in names]
        chosen = [local[0].take(pa.array(state)), local[1].take(pa.array(obj))]
        ids = pa.concat_arrays(
            [
                pc.binary_join_element_wise(f"{self.prefix}:state", local[0], "/"),
                pc.binary_join_element_wise(f"{self.prefix}:object", local[1], "/"),
                pc.binary_join_element_wise(f"{self.prefix}:pair", *chosen, "/"),
            ]
        )
        self._check(ids, [*states, *objects])
        n = np.array([0, len(states), len(states) + len(objects)], dtype=np.int64)
        pair = np.arange(len(state)) + n[2]
        known = vocabulary()
        labels = [_words(n) for n in names]
        return Statements(
            ids=ids,
            kinds=pa.array(["state"] * len(states) + ["object"] * len(objects) + ["pair"] * len(state)),
            labels=pa.concat_arrays(
                [*labels, pc.binary_join_element_wise(labels[0].take(pa.array(state)), labels[1].take(pa.array(obj)), " ")]
            ),
            texts=pa.array([""] * len(ids)),
            relations=tuple(known[r] for r in ("has_state", "has_object", "composes")),
            subject=np.concatenate([pair, pair, state]).astype(np.int32),
            relation=np.repeat(np.arange(3, dtype=np.int32), len(state)),
            object=np.concatenate([state, obj + n[1], obj + n[1]]).astype(np.int32),
            weight=np.ones(3 * len(state), dtype=np.float32),
            info=SourceInfo(*self.info, {file.name: sha256_file(file) for file in lists}),
            dropped=dropped,
            prefixes={self.prefix: benchmark_iri(self.prefix)},
        )

    def _check(self, ids: pa.StringArray, names: list[str]) -> None:
        """Raise SourceError where two names have one id (`flip flops` and `flip_flops`)."""
        counts = pc.value_counts(ids)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
        if len(twice):
            raise SourceError(
                "different states, and different objects, have different ids",
                received=first_five(twice.to_pylist()),
                remedy="write one name",
            )


def read_pairs(file: Path, separator: str | None = None) -> list[tuple[str, str]]:
    """Return the pairs of one list, in its order; see `Compositions.read` for what is refused.

    Parameters
    ----------
    separator : what stands between state and object (VAW-CZSL has `+`); None takes a tab where a line has one, else white space.
    """
    return list(_pairs(file, separator))


def _pairs(file: Path, separator: str | None) -> Iterator[tuple[str, str]]:
    if file.suffix == ".csv":
        yield from _csv_pairs(file)
        return
    lines = numbered_lines(file)
    by = separator or ("\t" if any("\t" in line for _, line in lines) else None)
    words = {None: "a space", "\t": "a tab"}.get(by, repr(by))
    for number, line in lines:
        fields = [f.strip() for f in line.split(by)]
        if len(fields) != 2 or not all(fields):
            raise SourceError(
                f"a line of a composition list is a state, {words} and an object",
                received=f"{file}, line {number:,}: {line[:80]!r}",
                remedy="names with spaces are separated by a tab, in every line",
            )
        yield fields[0], fields[1]


def _csv_pairs(file: Path) -> list[tuple[str, str]]:
    try:
        table = pa.csv.read_csv(
            file,
            read_options=pa.csv.ReadOptions(use_threads=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.string()), strings_can_be_null=False
            ),
        )
    except (OSError, pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise SourceError(
            f"a CSV list of compositions has the columns {' and '.join(_COLUMNS)}", received=f"{file}: {str(error)[:200]}"
        ) from error
    states, objects = ([name.strip() for name in table[c].to_pylist()] for c in _COLUMNS)
    empty = next((i for i, pair in enumerate(zip(states, objects, strict=True)) if not all(pair)), None)
    if empty is not None or not states:
        where = "no row" if empty is None else f"row {empty + 2:,}: {states[empty]!r}, {objects[empty]!r}"
        raise SourceError("every row of a composition list has a state and an object", received=f"{file}, {where}")
    return list(zip(states, objects, strict=True))


def concept_ids(prefix: str, kind: str, names: Sequence[str]) -> list[str]:
    """Return the ids of states (`kind` is `state`) or objects (`object`) of these names, as `Compositions` gives them."""
    ids: list[str] = pc.binary_join_element_wise(f"{prefix}:{kind}", _local(pa.array(names, type=pa.string())), "/").to_pylist()
    return ids


def pair_ids(prefix: str, states: Sequence[str], objects: Sequence[str], pairs: np.ndarray) -> tuple[list[str], list[str]]:
    """Return the ids and the labels of `pairs`, positions of state and object `[pairs, 2]`, as `Compositions` gives them."""
    names = [pa.array(n, type=pa.string()) for n in (states, objects)]
    local = [_local(n).take(pa.array(pairs[:, k])) for k, n in enumerate(names)]
    words = [_words(n).take(pa.array(pairs[:, k])) for k, n in enumerate(names)]
    ids = pc.binary_join_element_wise(f"{prefix}:pair", *local, "/")
    return ids.to_pylist(), pc.binary_join_element_wise(*words, " ").to_pylist()


def _words(names: pa.StringArray) -> pa.StringArray:
    """Return names as words: `_` and `+` stand for spaces in some lists."""
    return pc.replace_substring(pc.replace_substring(names, "_", " "), "+", " ")


def _local(names: pa.StringArray) -> pa.StringArray:
    """Return names as they stand in an id: spaces are `_`, a slash is escaped because it separates."""
    out = pc.replace_substring(pc.replace_substring(names, "%", "%25"), "/", "%2F")
    return pc.replace_substring_regex(out, r"[\s\p{Z}\p{Cc}]+", "_")
