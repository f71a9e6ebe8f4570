"""SNIPS-NLU intents: 13,802 sentences of seven intents, five seen and two unseen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from kgzsl.artifacts import digest
from kgzsl.datasets.base import Split
from kgzsl.datasets.class_links import class_links
from kgzsl.datasets.feature_set import FeatureSet
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.readers import FeatureSetReader, one_of
from kgzsl.errors import InvalidInputError, SourceError, UnknownNameError, first_five
from kgzsl.ids import check_unique
from kgzsl.matrices import ClassEmbeddings, Features, Vectors

#: Part → intent → sentences, as the files hold them.
SNIPS_COUNTS: Mapping[str, Mapping[str, int]] = {
    "train": {"music": 2_000, "restaurant": 1_973, "weather": 2_001},
    "dev": {"movie": 1_960, "search": 1_954},
    "test": {"book": 1_971, "playlist": 1_943},
}


@dataclass(frozen=True)
class TextSet:
    """Labelled sentences of seen and unseen classes.

    Attributes
    ----------
    name, version : the dataset.
    ids : one per sentence: `snips-train-1`, … (the line in its file).
    texts : the sentences.
    labels : the class id of each.
    parts : `train`, `dev` or `test` of each.
    split : seen classes (those of train and dev), unseen classes (those of test).
    """

    name: str
    version: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    parts: tuple[str, ...]
    split: Split

    def __post_init__(self) -> None:
        check_unique(self.ids, f"the sentences of {self.name}")
        if not len(self.ids) == len(self.texts) == len(self.labels) == len(self.parts):
            raise InvalidInputError(
                f"every sentence of {self.name} has a text, a label and a part",
                received=f"{len(self.ids)} ids, {len(self.texts)} texts, {len(self.labels)} labels, {len(self.parts)} parts",
            )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over name, version, split, and every sentence with its label and part."""
        rows = list(zip(self.ids, self.parts, self.labels, self.texts, strict=True))
        return digest({"name": self.name, "version": self.version, "split": self.split.digest, "rows": rows})

    def counts(self) -> dict[str, dict[str, int]]:
        """Return sentences per part and class id."""
        found: dict[str, dict[str, int]] = {}
        for (part, label), count in sorted(Counter(zip(self.parts, self.labels, strict=True)).items()):
            found.setdefault(part, {})[label] = count
        return found

    def of_part(self, part: str) -> tuple[str, ...]:
        """Return the sentence ids of `train`, `dev` or `test`; another part is an error that lists them."""
        if part not in self.parts:
            raise UnknownNameError(
                f"a part of {self.name} is named", received=repr(part), remedy=f"choose from: {', '.join(dict.fromkeys(self.parts))}"
            )
        return tuple(i for i, p in zip(self.ids, self.parts, strict=True) if p == part)

    def validate(self) -> TextSet:
        """Check the published counts per part and intent; return the set itself. Other counts are an InvalidInputError."""
        want = {part: {f"snips:{intent}": n for intent, n in intents.items()} for part, intents in SNIPS_COUNTS.items()}
        if self.counts() != want:
            other = [part for part in want if self.counts().get(part) != want[part]]
            raise InvalidInputError(
                f"{self.name} {self.version} has the published sentences per intent",
                received=f"others in {first_five(other) or 'unknown parts'}: {[self.counts().get(part) for part in other]}",
                remedy="get it again",
            )
        return self

    def feature_set(self, vectors: np.ndarray, embeddings: ClassEmbeddings, recipe: Mapping[str, Any]) -> FeatureSet:
        """Return the sentences as feature rows, for every classifier that images have.

        Parameters
        ----------
        vectors : `[sentences, dim]` from a sentence encoder, in the order of `texts`.
        embeddings : one row per intent.
        recipe : which encoder made the vectors.
        """
        return FeatureSet(
            name=self.name,
            version=self.version,
            features=Features(ids=self.ids, matrix=vectors, meta={"recipe": dict(recipe)}, labels=self.labels),
            split=self.split,
            embeddings=embeddings,
        )


def read_snips(path: str | os.PathLike[str] | None = None) -> TextSet:
    """Return the SNIPS intents in ZSL-KG's split (Nayak and Bach, 2022).

    `book` and `playlist` are unseen, as in ZSL-KG. The three intents of train.txt and the two of dev.txt are seen: the
    files share no intent, so dev serves to choose hyper-parameters on seen classes that were held out.

    Parameters
    ----------
    path : the folder with train.txt, dev.txt and test.txt (`intent<TAB>sentence`); None looks for `text/snips` below
        `KGZSL_DATA`.

    Raises
    ------
    MissingDataError : a file is not there.
    SourceError : a line without an intent and a sentence.
    InvalidInputError : other counts than published.
    """
    folder = BenchmarkFolder("text/snips", path)
    rows: list[tuple[str, str, str, str]] = []
    for part in SNIPS_COUNTS:
        for number, line in enumerate(folder.lines(f"{part}.txt"), start=1):
            intent, tab, text = line.partition("\t")
            if not tab or not intent or not text.strip() or len(intent.split()) != 1:
                raise SourceError(f"a line of {part}.txt is an intent, a tab and a sentence", received=f"{line[:80]!r} as line {number}")
            rows.append((f"snips-{part}-{number}", part, f"snips:{intent}", text.strip()))
    ids, parts, labels, texts = zip(*rows, strict=True)
    of = {part: tuple(sorted({label for p, label in zip(parts, labels, strict=True) if p == part})) for part in SNIPS_COUNTS}
    split = Split("snips-zslkg", "nayak2022", of["train"] + of["dev"], of["test"])
    return TextSet("snips", "2018", ids, texts, labels, parts, split).validate()


class Snips(FeatureSetReader):
    """SNIPS intents as sentence vectors: 13,802 rows, five seen and two unseen intents in ZSL-KG's split.

    Parameters
    ----------
    path : the folder of the sentences, see `read_snips`.
    text_encoder : makes a row of every sentence (`kgzsl list text-encoders`); kept in the cache of `embed_texts`.
    semantics : of an intent, by the same encoder: `label`, its name in words ("rate book"), or `text`, name and sentence
        ("rate book: a request to rate a book"), as `links/snips.tsv` gives them.

    Other text encoders give other rows: never compare across them, nor with ZSL-KG's trained LSTM.
    """

    name: ClassVar[str] = "snips"
    source: ClassVar[str] = "Coucke et al., 2018; split of Nayak and Bach, 2022"

    def __init__(self, path: str | os.PathLike[str] | None = None, *, text_encoder: str = "minilm-l6-v2", semantics: str = "label") -> None:
        self.path, self.text_encoder = path, text_encoder
        self.semantics = one_of("the semantics of SNIPS", semantics, ("label", "text"))

    def read(self) -> FeatureSet:
        """Return the set; see `FeatureSetReader.read`."""
        from kgzsl.vectors import embed_texts
        from kgzsl.vectors.text import LEMMAS, LEMMAS_GLOSS

        found = read_snips(self.path)
        sentences = embed_texts(_Texts(found.ids, found.texts, found.texts), self.text_encoder, template="{gloss}")
        rows = class_links(self.name).select(found.split.classes)
        names = _Texts(found.split.classes, tuple(c.label for c in rows), tuple(c.text for c in rows))
        classes = embed_texts(names, self.text_encoder, template=LEMMAS if self.semantics == "label" else LEMMAS_GLOSS)
        embeddings = ClassEmbeddings(classes.ids, classes.matrix, {"semantics": self.semantics, "vectors": dict(classes.meta)})
        made = found.feature_set(sentences.matrix, embeddings, _recipe(sentences))
        counts = {part: sum(intents.values()) for part, intents in SNIPS_COUNTS.items()}
        published = {
            "rows": sum(counts.values()),
            "seen": len(SNIPS_COUNTS["train"]) + len(SNIPS_COUNTS["dev"]),
            "unseen": len(SNIPS_COUNTS["test"]),
            "train": counts["train"] + counts["dev"],
            "test_unseen": counts["test"],
        }
        return replace(made, published=published).validate()


@dataclass(frozen=True)
class _Texts:
    """Texts as `embed_texts` reads them of a graph."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    texts: tuple[str, ...]


def _recipe(vectors: Vectors) -> dict[str, Any]:
    """The encoder and its settings, in the words of a feature recipe."""
    meta = vectors.meta
    return {
        "backbone": meta.get("model", meta["encoder"]),
        **{k: v for k, v in meta.items() if k not in ("oov", "texts_digest", "template")},
    }
