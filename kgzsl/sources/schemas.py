"""Texts of the concepts and relations of a knowledge-graph completion schema: ENT.DESC files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from kgzsl.artifacts import sha256_file
from kgzsl.errors import InvalidInputError, SourceError
from kgzsl.sources._rules import Rules
from kgzsl.sources.base import Reader, SourceInfo, Statements
from kgzsl.sources.prefixes import benchmark_iri, check_prefix
from kgzsl.sources.tables import numbered_lines
from kgzsl.sources.vocabulary import vocabulary

_MARK = " ###"
_FIELDS = ("LABEL", "DESCRIPTION")


class ConceptTexts(Reader):
    """Labels and descriptions of nodes, in blocks; no edges.

    A block is `NAME ###`, then `LABEL ### text` (may be absent) and `DESCRIPTION ### text` (may be empty), then an empty line: the
    files onto_ENT.DESC.txt of NELL-ZS and Wiki-ZS. As a source after the schema's triples it gives texts to nodes without one.

    Parameters
    ----------
    prefix : prefix of the ids: `P1533` becomes `wikidata:P1533`.
    strip : beginning of the names that is left out: `concept:` for NELL, whose `concept:zoo` is `nell:zoo`.
    kind : kind of the nodes.
    kinds : pattern → kind of the ids that it covers; goes before `kind`.
    name, version, licence : for the manifest.

    Raises
    ------
    InvalidInputError : a prefix, pattern or kind that is none.
    """

    name: ClassVar[str] = "concept_texts"
    source: ClassVar[str] = "Qin et al. (AAAI 2020), Geng et al. (2021)"

    def __init__(
        self,
        prefix: str,
        strip: str = "",
        kind: str = "concept",
        kinds: Mapping[str, str] | None = None,
        name: str | None = None,
        version: str = "",
        licence: str = "not stated",
    ) -> None:
        if kind not in vocabulary().kinds:
            raise InvalidInputError(
                "a node's kind is one of the vocabulary's", received=repr(kind), remedy=f"choose from: {', '.join(vocabulary().kinds)}"
            )
        self.prefix, self.strip, self.kind = check_prefix(prefix), strip, kind
        self.rules = Rules(kinds=kinds)
        self.info = name or f"{prefix}-texts", version, licence

    def read(self, path: Path, engine: object = None) -> Statements:
        """Read the file at `path`. A node without a label has the words of its name.

        Raises
        ------
        MissingDataError : no such file.
        SourceError : a line of another form or outside a block, a node or a field twice, a name with white space, an empty or
            wrongly encoded file; the line is named.
        """
        blocks = self._blocks(path)
        ids = pa.array([f"{self.prefix}:{b.name}" for b in blocks])
        none = np.zeros(0, dtype=np.int32)
        return Statements(
            ids=ids,
            kinds=self.rules.kinds(ids, pa.array([self.kind] * len(ids), pa.string())),
            labels=pa.array([b.said.get("LABEL") or b.name.replace("_", " ") for b in blocks]),
            texts=pa.array([b.said.get("DESCRIPTION", "") for b in blocks]),
            relations=(),
            subject=none,
            relation=none,
            object=none,
            weight=np.zeros(0, dtype=np.float32),
            info=SourceInfo(*self.info, {path.name: sha256_file(path)}),
            dropped={"empty description": n} if (n := sum(not b.said.get("DESCRIPTION") for b in blocks)) else {},
            prefixes={self.prefix: benchmark_iri(self.prefix)},
        )

    def _blocks(self, path: Path) -> list[_Block]:
        blocks: dict[str, _Block] = {}
        current: _Block | None = None
        for number, line in numbered_lines(path):
            head, mark, text = line.partition(_MARK)
            if not mark:
                raise _error(path, number, "has ` ###` after a name or a field", line)
            if head in _FIELDS:
                if current is None:
                    raise _error(path, number, "stands in a block that begins with `NAME ###`", line)
                if head in current.said:
                    raise _error(path, number, f"is the only {head} of {current.name}", line)
                current.said[head] = text.strip()
                continue
            local = head.removeprefix(self.strip).strip()
            if text.strip() or not local or re.search(r"\s", local):
                raise _error(path, number, "is `NAME ###`, `LABEL ### text` or `DESCRIPTION ### text`", line)
            if local in blocks:
                raise _error(path, number, f"is the only block of {local}", line)
            current = blocks[local] = _Block(local)
        return list(blocks.values())


@dataclass
class _Block:
    name: str
    said: dict[str, str] = field(default_factory=dict)


def _error(path: Path, number: int, rule: str, line: str) -> SourceError:
    return SourceError(
        f"{path}, line {number:,}: the line {rule}", received=repr(line[:80]), remedy="correct the line; the file may be of another format"
    )
