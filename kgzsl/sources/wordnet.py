"""WordNet's dictionary files (`data.noun` …), read in one pass.

Format: `man wndb`. A line is `offset lexfile type count word lex_id … pointers pointer … [frames] | gloss`, and a synset's
offset is the byte position of its line, which is why ids of one version mean nothing in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources.base import Reader, Relation, SourceInfo, Statements
from kgzsl.sources.vocabulary import vocabulary
from kgzsl.sources.wndb import Synsets, read_synsets
from kgzsl.sources.wnlines import LETTERS

PARTS_OF_SPEECH = tuple(LETTERS)
_LICENCE = "WordNet 3.0 licence, Princeton University"


class WordNet(Reader):
    """WordNet's dictionary files; ids are `wn30:` + part of speech + offset.

    Parameters
    ----------
    parts_of_speech : which files to read, of noun, verb, adj, adv.
    relations : which relations to keep, of those of the vocabulary that have a pointer symbol; none = all.
    version : the version that the files must have. ImageNet's ids need 3.0.
    examples : keep the quoted examples of the glosses in the texts.

    Raises
    ------
    InvalidInputError : an unknown part of speech or relation.
    """

    name: ClassVar[str] = "wordnet"
    source: ClassVar[str] = "Fellbaum (1998), WordNet: An Electronic Lexical Database"

    def __init__(
        self,
        parts_of_speech: Sequence[str] = ("noun",),
        relations: Sequence[str] = ("hypernym",),
        version: str = "3.0",
        examples: bool = False,
    ) -> None:
        self.parts_of_speech = tuple(p for p in PARTS_OF_SPEECH if p in parts_of_speech)
        pointers = vocabulary().wordnet
        known = {r.id for r in pointers.values()}
        unknown = sorted({*parts_of_speech} - {*PARTS_OF_SPEECH}) + sorted({*relations} - known)
        if unknown or not parts_of_speech:
            raise InvalidInputError(
                "WordNet has these parts of speech and relations",
                received=", ".join(map(str, unknown)) or "no part of speech",
                remedy=f"choose from: {', '.join(PARTS_OF_SPEECH)}; {', '.join(sorted(known))}",
            )
        self.relations = tuple(sorted({r for r in pointers.values() if not relations or r.id in relations}))
        self.version, self.examples = version, examples

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the dictionary folder at `path`.

        Labels are the lemmas (`dog, domestic dog, Canis familiaris`), texts the glosses without their quoted examples (with them:
        `examples`), kinds `concept` or `individual` (a synset with an instance pointer). A pointer from one part of speech to
        another is an edge where both are read.

        Raises
        ------
        MissingDataError : a data file is not in the folder.
        SourceError : another version, a truncated, foreign or wrongly encoded file; the line is named.
        """
        place = {r.id: i for i, r in enumerate(self.relations)}
        # Symbols that are known but not wanted have negative numbers; those of inverses state what the other end states too.
        known = vocabulary()
        symbols = dict.fromkeys(known.wordnet_inverses, -1) | {symbol: place.get(r.id, -1) for symbol, r in known.wordnet.items()}
        read = {
            part: read_synsets(path / f"data.{part}", part, self.version, symbols, examples=self.examples) for part in self.parts_of_speech
        }
        files = {f"data.{part}": synsets.sha256 for part, synsets in read.items()}
        return _statements(read, self.relations, SourceInfo("wordnet", self.version, _LICENCE, files), path)


def _statements(read: Mapping[str, Synsets], relations: tuple[Relation, ...], info: SourceInfo, path: Path) -> Statements:
    parts = list(read.values())
    keys, relation, target = (np.concatenate([getattr(s, column) for s in parts]) for column in ("keys", "symbol", "target"))
    starts = np.cumsum([0, *(len(s.keys) for s in parts[:-1])])
    subject = np.concatenate([s.owner + start for s, start in zip(parts, starts, strict=True)]).astype(np.int32)
    # Hashing: several times faster than a search among sorted keys.
    found = pc.fill_null(pc.index_in(pa.array(target), value_set=pa.array(keys)), -1).to_numpy()
    kept = found >= 0
    absent = target[~kept]
    numbers = [[*LETTERS].index(part) for part in read]
    dangling = absent[np.isin(absent >> 32, numbers)]
    if len(dangling):
        part, offset = [*LETTERS.values()][dangling[0] >> 32], dangling[0] & 0xFFFFFFFF
        raise SourceError(
            "every synset that is pointed to must be in its file",
            received=f"{path}: {len(dangling):,} missing, first {part}{offset:08d}",
            remedy="the file is truncated or mixed with another version: `kgzsl data fetch wordnet-3.0`",
        )
    ids, labels, texts = (pa.concat_arrays([getattr(s, column) for s in parts]) for column in ("ids", "labels", "texts"))
    individual = np.concatenate([s.individual for s in parts])
    return Statements(
        ids=ids,
        kinds=pa.array(["concept", "individual"]).take(pa.array(individual.astype(np.int8))),
        labels=labels,
        texts=texts,
        relations=relations,
        subject=subject[kept],
        relation=relation[kept].astype(np.int32),
        object=found[kept].astype(np.int32),
        weight=np.ones(int(kept.sum()), dtype=np.float32),
        info=info,
        dropped={"object in a part of speech that was not read": len(absent)} if len(absent) else {},
    )
