"""Readers of completion sets: settings in the constructor, `read()` gives the checked set. Folders of triples, of one graph or two."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from kgzsl.datasets.completion_set import CompletionSet, UnseenEntities, UnseenRelations
from kgzsl.datasets.completion_tables import Text, check_texts, join_parts, read_texts, read_triples, texts_by, words_of
from kgzsl.datasets.folders import BenchmarkFolder
from kgzsl.datasets.readers import one_of
from kgzsl.errors import InvalidInputError, MissingDataError

_ENDINGS = (".txt", ".txt.gz", ".tsv", ".tsv.gz")
#: A file of the second graph is in the folder of this ending beside the first one's.
_SECOND = "_ind"

#: What a relation of WordNet says, written here after WordNet's own documentation: WN18RR ships no texts of relations.
WN18RR_TEXTS: Mapping[str, str] = {
    "_also_see": "also see: the tail is another sense worth looking at",
    "_derivationally_related_form": "derivationally related form: their words are made from one another, such as a verb and its noun",
    "_has_part": "has part: the tail is a part of the head, a holonym",
    "_hypernym": "hypernym: the tail is a more general kind of thing than the head, which is a kind of it",
    "_instance_hypernym": "instance hypernym: the head is a named individual, the tail the class that it is an instance of",
    "_member_meronym": "member meronym: the tail is a member of the head, a group",
    "_member_of_domain_region": "member of domain region: the tail is a word that is used in the head, a region",
    "_member_of_domain_usage": "member of domain usage: the tail is a word of the head, a kind of usage such as slang or trade names",
    "_similar_to": "similar to: head and tail are adjectives of similar meaning",
    "_synset_domain_topic_of": "synset domain topic of: the tail is the topic or field that the head belongs to",
    "_verb_group": "verb group: head and tail are verbs of closely related meaning",
}


class CompletionSetReader(ABC):
    """A benchmark of knowledge-graph completion, by name.

    Attributes
    ----------
    name : the name in the resolver, and what a cell's `dataset:` says.
    source : the paper.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def read(self) -> CompletionSet:
        """Return the set, with its published counts asserted where it is a published one.

        Raises
        ------
        MissingDataError : a file is missing; the message says which file goes where.
        SourceError, InvalidInputError : a file is not the published one; the rule that it breaks is named.
        """


def part_file(folder: BenchmarkFolder, part: str) -> Path:
    """Return the file of a part: `train.txt`, `.txt.gz`, `.tsv` or `.tsv.gz`."""
    return folder.file(*(part + ending for ending in _ENDINGS))


def texts_beside(folder: BenchmarkFolder, what: str) -> Text | None:
    """Return the texts of the file `entity2text` or `relation2text`, or None where there is none."""
    for ending in _ENDINGS:
        if folder.has(f"{what}2text{ending}"):
            return texts_by(read_texts(folder.file(f"{what}2text{ending}")))
    return None


def read_folder(
    folder: BenchmarkFolder, kind: type[CompletionSet], name: str, version: str, texts: tuple[Text | None, Text | None], licence: str
) -> CompletionSet:
    """Return the set of a folder with `train`, `valid` and `test`; for `UnseenEntities` of it and of the folder `…_ind` beside it.

    Entities of evaluation that no training triple speaks of are counted, not dropped.
    """
    files = {part: part_file(folder, part) for part in ("train", "valid", "test")}
    if issubclass(kind, UnseenEntities):
        root = folder.root or Path()
        second = BenchmarkFolder(f"{folder.home}{_SECOND}", root.with_name(f"{root.name}{_SECOND}"))
        other = {part: part_file(second, part) for part in ("train", "valid", "test")}
        files = dict(zip(kind.PARTS, [*files.values(), *other.values()], strict=True))
    parts = {part: read_triples(file) for part, file in files.items()}
    facts, number, again = join_parts(parts, kind.PARTS, *texts)
    return with_coverage(kind(name, version, facts, number, licence=licence, dropped=again))


def with_coverage(found: CompletionSet) -> CompletionSet:
    """Return the set with the number of entities of evaluation that no training triple speaks of."""
    new = {f"entities of {part} without a training triple": found.new_entities(part) for part in ("valid", "test")}
    return replace(found, coverage={**found.coverage, **new})


class Fb15k237(CompletionSetReader):
    """Links of Freebase without inverse relations: 310,116 triples, 14,541 entities, 237 relations, texts of both.

    Parameters
    ----------
    path : the folder of `train.txt`, `valid.txt`, `test.txt`, `entity2text.txt` and `relation2text.txt` (all may be gzipped); None
        looks below `KGZSL_DATA`.
    """

    name: ClassVar[str] = "fb15k-237"
    source: ClassVar[str] = "Toutanova and Chen (CVSC 2015)"
    LICENCE: ClassVar[str] = "Freebase: CC BY"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = BenchmarkFolder("kgc/fb15k-237", path)

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        texts = texts_beside(self.folder, "entity"), texts_beside(self.folder, "relation") or words_of
        found = read_folder(self.folder, CompletionSet, self.name, "2015", texts, self.LICENCE)
        return found.validate(entities=14_541, relations=237, train=272_115, valid=17_535, test=20_466)


class Wn18rr(CompletionSetReader):
    """Links of WordNet without inverse relations: 93,003 triples, 40,943 synsets with glosses, 11 relations.

    Parameters
    ----------
    path : the folder of `train.txt`, `valid.txt`, `test.txt` and `entity2text.txt` (all may be gzipped); None looks below
        `KGZSL_DATA`. Texts of relations are `WN18RR_TEXTS` where there is no `relation2text.txt`.
    """

    name: ClassVar[str] = "wn18rr"
    source: ClassVar[str] = "Dettmers et al. (AAAI 2018)"
    LICENCE: ClassVar[str] = "WordNet 3.0 licence"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = BenchmarkFolder("kgc/wn18rr", path)

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        texts = texts_beside(self.folder, "entity"), texts_beside(self.folder, "relation") or texts_by(WN18RR_TEXTS)
        found = read_folder(self.folder, CompletionSet, self.name, "2018", texts, self.LICENCE)
        return found.validate(entities=40_943, relations=11, train=86_835, valid=3_034, test=3_134)


class Umls(CompletionSetReader):
    """Links of the UMLS semantic network: 6,529 triples, 135 entities, 46 relations; the texts are the words of the names.

    Parameters
    ----------
    path : the folder of `train.txt`, `valid.txt` and `test.txt` (all may be gzipped); None looks below `KGZSL_DATA`.
    """

    name: ClassVar[str] = "umls"
    source: ClassVar[str] = "Kok and Domingos (ICML 2007), split of Dettmers et al. (AAAI 2018)"
    LICENCE: ClassVar[str] = "UMLS semantic network"

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.folder = BenchmarkFolder("kgc/umls", path)

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        found = read_folder(self.folder, CompletionSet, self.name, "2018", (words_of, words_of), self.LICENCE)
        return found.validate(entities=135, relations=46, train=5_216, valid=652, test=661)


class _Grail(CompletionSetReader):
    """Two graphs without a common entity, in the folders `NAME_vN` and `NAME_vN_ind`."""

    source: ClassVar[str] = "Teru et al. (ICML 2020)"
    FOLDER: ClassVar[str]
    #: Where the texts of the whole benchmark are, and its reader's texts of relations.
    WHOLE: ClassVar[str]
    #: Entities, relations, and triples of the six parts of version 1.
    FIRST: ClassVar[tuple[int, ...]]
    LICENCE: ClassVar[str]

    def __init__(self, path: str | os.PathLike[str] | None = None, *, version: int = 1) -> None:
        if version not in (1, 2, 3, 4):
            raise InvalidInputError("GraIL's splits have the versions 1 … 4", received=repr(version))
        self.version = version
        self.folder = BenchmarkFolder(f"kgc/grail/{self.FOLDER}_v{version}", path)

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        whole = BenchmarkFolder(self.WHOLE)
        relation = texts_by(WN18RR_TEXTS) if self.FOLDER == "WN18RR" else texts_beside(whole, "relation") or words_of
        texts = texts_beside(whole, "entity"), relation
        found = read_folder(self.folder, UnseenEntities, self.name, f"v{self.version}", texts, self.LICENCE)
        return found.validate(
            **dict(zip(("entities", "relations", *UnseenEntities.PARTS), self.FIRST if self.version == 1 else (), strict=False))
        )


class GrailFb237(_Grail):
    """Unseen entities of Freebase: two graphs out of FB15k-237 that share relations alone.

    Parameters
    ----------
    path : the folder `fb237_v1` of `train.txt`, `valid.txt`, `test.txt`, its second graph in `fb237_v1_ind` beside it; None looks
        below `KGZSL_DATA`. Texts come from FB15k-237 where it is there.
    version : 1 … 4, the size of the split.
    """

    name: ClassVar[str] = "grail-fb237"
    FOLDER: ClassVar[str] = "fb237"
    WHOLE: ClassVar[str] = "kgc/fb15k-237"
    FIRST: ClassVar[tuple[int, ...]] = (2_687, 180, 4_245, 489, 492, 1_993, 206, 205)
    LICENCE: ClassVar[str] = Fb15k237.LICENCE


class GrailWn18rr(_Grail):
    """Unseen entities of WordNet: two graphs out of WN18RR that share relations alone.

    Parameters
    ----------
    path : the folder `WN18RR_v1`, its second graph in `WN18RR_v1_ind` beside it; None looks below `KGZSL_DATA`.
    version : 1 … 4, the size of the split.
    """

    name: ClassVar[str] = "grail-wn18rr"
    FOLDER: ClassVar[str] = "WN18RR"
    WHOLE: ClassVar[str] = "kgc/wn18rr"
    FIRST: ClassVar[tuple[int, ...]] = (3_668, 9, 5_410, 630, 638, 1_618, 185, 188)
    LICENCE: ClassVar[str] = Wn18rr.LICENCE


class OwnCompletion(CompletionSetReader):
    """A folder of your own: `train`, `valid` and `test` of tab-separated triples.

    Parameters
    ----------
    path : the folder of `train.txt`, `valid.txt` and `test.txt` (or `.tsv`, gzipped or not), of `entity2text` and `relation2text`
        where there are texts.
    split : `links`, `relations` (no relation in two parts) or `entities` (a second graph in the folder `…_ind` beside it).
    without_text : with `split: relations`, `error` refuses relations that `relation2text` does not describe, `keep` keeps them.
    version, licence : for the digest and the results.
    """

    name: ClassVar[str] = "folder"
    source: ClassVar[str] = "your own"
    KINDS: ClassVar[Mapping[str, type[CompletionSet]]] = {k.KIND: k for k in (CompletionSet, UnseenRelations, UnseenEntities)}

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        split: str = "links",
        without_text: str = "error",
        version: str = "unversioned",
        licence: str = "not stated",
    ) -> None:
        if path is None or not Path(path).is_dir():
            raise MissingDataError(
                "a completion set of your own is a folder with train, valid and test",
                received="no path" if path is None else f"{path} is no folder",
                remedy="pass its path",
            )
        self.kind = self.KINDS[one_of("split", split, tuple(self.KINDS))]
        self.path, self.without_text = Path(path), one_of("without_text", without_text, ("error", "keep"))
        self.version, self.licence = version, licence

    def read(self) -> CompletionSet:
        """Return the set; see `CompletionSetReader.read`."""
        folder = BenchmarkFolder(self.path.name, self.path)
        texts = texts_beside(folder, "entity"), texts_beside(folder, "relation")
        found = read_folder(folder, self.kind, self.path.resolve().name, self.version, texts, self.licence)
        if self.kind is UnseenRelations:
            check_texts(found.facts, self.without_text, found.name)
        return found
