"""The ConceptNet reader: against a plain loop over the real lines, on both engines, and on files that are not the dump."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources import Statements, readers
from kgzsl.sources._synonyms import representatives
from kgzsl.sources.vocabulary import vocabulary

ABOUT = '{"dataset": "/d/wiktionary/en", "license": "cc:by-sa/4.0", "sources": [], "weight": 1.0}'


def line(relation: str, start: str, end: str, about: str = ABOUT) -> str:
    return f"/a/[/r/{relation}/,{start}/,{end}/]\t/r/{relation}\t{start}\t{end}\t{about}\n"


def about(weight: object, dataset: str = "/d/wiktionary/en", **more: str) -> str:
    return json.dumps({"dataset": dataset, "license": "cc:by-sa/4.0", "sources": [], **more, "weight": weight}, ensure_ascii=False)


def read(path: Path, **settings: Any) -> Statements:
    return readers.make("conceptnet", settings).read(path)


def read_lines(folder: Path, *lines: str, **settings: Any) -> Statements:
    path = folder / "assertions.csv"
    path.write_text("".join(lines), encoding="utf-8")
    return read(path, **settings)


def edges(statements: Statements) -> Counter[tuple[str, str, str, float]]:
    ids = statements.ids.to_pylist()
    columns = (statements.subject, statements.relation, statements.object, statements.weight)
    return Counter((ids[s], statements.relations[r].id, ids[o], round(float(w), 6)) for s, r, o, w in zip(*columns, strict=True))


def same(one: Statements, two: Statements) -> bool:
    texts = all(getattr(one, c).equals(getattr(two, c)) for c in ("ids", "kinds", "labels", "texts"))
    numbers = all(np.array_equal(getattr(one, c), getattr(two, c)) for c in ("subject", "relation", "object", "weight"))
    rest = all(getattr(one, c) == getattr(two, c) for c in ("relations", "info", "dropped", "prefixes"))
    return texts and numbers and rest


@pytest.fixture(scope="module")
def dump() -> Path:
    return Path(os.environ["KGZSL_DATA"]) / "conceptnet" / "assertions_fixture.csv"


# ---- the real lines


def plain(path: Path, languages: set[str], external: bool) -> tuple[Counter[tuple[str, str, str, float]], Counter[str]]:
    """What the reader must find, by a loop."""
    found: Counter[tuple[str, str, str, float]] = Counter()
    dropped: Counter[str] = Counter()

    def named(uri: str) -> str:
        if not uri.startswith("/c/"):
            return uri
        language, word = uri.split("/")[2:4]
        return ("cn:" if language == "en" else f"cn-{language}:") + word

    for text in path.read_text(encoding="utf-8").splitlines():
        _, relation, start, end, said = text.split("\t")
        ends = [e for e in (start, end) if e.startswith("/c/")]
        if len(ends) == 1 and not external:
            dropped["external URL"] += 1
        elif languages and not all(e.split("/")[2] in languages for e in ends):
            dropped["language"] += 1
        elif named(start) == named(end):
            dropped["self loop"] += 1
        else:
            stated = vocabulary().conceptnet[relation[3:]]
            pair = (named(end), named(start)) if stated.reversed else (named(start), named(end))
            found[(pair[0], stated.relation.id, pair[1], round(float(np.float32(json.loads(said)["weight"])), 6))] += 1
    return found, dropped


@pytest.mark.data
@pytest.mark.parametrize("external", [False, True])
@pytest.mark.parametrize("languages", [["en"], ["en", "fr", "ja"], []])
def test_real_lines_give_what_a_plain_loop_finds(dump: Path, languages: list[str], external: bool) -> None:
    got = read(dump, languages=languages, external_urls="keep" if external else "drop")
    found, dropped = plain(dump, set(languages), external)
    assert edges(got) == found
    assert got.dropped == dict(dropped)
    assert len(got.subject) + sum(got.dropped.values()) == 764
    assert got.kinds.to_pylist() == ["external" if "://" in i else "concept" for i in got.ids.to_pylist()]
    assert got.ids.to_pylist() == sorted({n for s, _, o, _ in found for n in (s, o)})


@pytest.mark.data
def test_manifest_says_licence_version_and_digest(dump: Path) -> None:
    info = read(dump).info
    assert info.licence == "cc:by-sa/4.0 (60), cc:by/4.0 (34)"
    assert (info.name, info.version) == ("conceptnet", "5.7")
    assert list(info.files) == [dump.name]


@pytest.mark.data
def test_gzip_reads_alike(dump: Path, tmp_path: Path) -> None:
    packed = tmp_path / "assertions.csv.gz"
    packed.write_bytes(gzip.compress(dump.read_bytes()))
    one, two = read(dump, languages=[]), read(packed, languages=[])
    assert edges(one) == edges(two)
    assert one.labels.equals(two.labels)


@pytest.mark.data
def test_weights_datasets_and_parts_of_speech(dump: Path) -> None:
    assert min(w for *_, w in edges(read(dump, minimum_weight=1.5))) >= 1.5
    assert read(dump, datasets=["wordnet"]).dropped["dataset"] == 93
    assert edges(read(dump, datasets=["/d/wordnet/3.1"])) == edges(read(dump, datasets=["wordnet"]))
    nouns, bare = read(dump, parts_of_speech=["n"]), read(dump, parts_of_speech=["unstated"])
    both = read(dump, parts_of_speech=["n", "unstated"])
    assert nouns.dropped["part of speech"] == 86
    assert 0 < len(nouns.subject) + len(bare.subject) < len(both.subject) < len(read(dump).subject)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17 or later")
def test_spark_gives_the_same_statements(dump: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    said = subprocess.run([str(shutil.which("java")), "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if not version or int(version[1]) < 17:
        pytest.skip("Spark needs Java 17 or later")
    from kgzsl.engines import open_engine

    spark = open_engine("pyspark")
    choices: list[dict[str, Any]] = [
        {},
        {"languages": [], "external_urls": "keep", "surface_texts": 3},
        {"languages": ["en", "fr"], "senses": "keep", "parts_of_speech": ["n", "unstated"], "datasets": ["wiktionary"]},
        {"languages": [], "synonyms": "merge", "around": ["cn:test"], "hops": 1, "minimum_weight": 0.5},
    ]
    for choice in choices:
        reader = readers.make("conceptnet", choice)
        assert same(reader.read(dump), reader.read(dump, engine=spark))
    for name, content in bad_files(dump.read_text(encoding="utf-8").splitlines(keepends=True)[:4]):
        path = tmp_path / name
        path.write_bytes(content)
        messages = []
        for engine in (None, spark):
            with pytest.raises(SourceError) as error:
                readers.make("conceptnet").read(path, engine=engine)
            messages.append(str(error.value).splitlines()[0])
        assert messages[0] == messages[1]


# ---- what settings do


def test_senses_are_merged_or_kept(tmp_path: Path) -> None:
    lines = (
        line("IsA", "/c/en/mountain_lion/n/wn/animal", "/c/en/cat/n/wn/animal"),
        line("PartOf", "/c/en/paw", "/c/en/cat/n/"),
        line("Synonym", "/c/en/cat/n", "/c/en/cat"),
    )
    merged = read_lines(tmp_path, *lines)
    assert edges(merged) == {("cn:mountain_lion", "hypernym", "cn:cat", 1.0): 1, ("cn:cat", "part_meronym", "cn:paw", 1.0): 1}
    assert merged.dropped == {"self loop": 1}
    assert merged.labels.to_pylist() == ["cat", "mountain lion", "paw"]
    kept = read_lines(tmp_path, *lines, senses="keep")
    assert edges(kept) == {
        ("cn:mountain_lion/n/wn/animal", "hypernym", "cn:cat/n/wn/animal", 1.0): 1,
        ("cn:cat/n", "part_meronym", "cn:paw", 1.0): 1,
        ("cn:cat/n", "synonym", "cn:cat", 1.0): 1,
    }
    assert kept.labels.to_pylist() == ["cat", "cat", "cat", "mountain lion", "paw"]


def test_other_languages_have_prefixes_of_their_own(tmp_path: Path) -> None:
    got = read_lines(tmp_path, line("RelatedTo", "/c/fr/pain", "/c/en/pain"), languages=["en", "fr"])
    assert got.ids.to_pylist() == ["cn-fr:pain", "cn:pain"]
    assert got.prefixes == {"cn-fr": "http://conceptnet.io/c/fr/"}


def test_spaces_beyond_ascii_become_underscores(tmp_path: Path) -> None:
    got = read_lines(tmp_path, line("IsA", "/c/en/ice\u3000bear", "/c/en/bear"), line("IsA", "/c/en/ice_bear", "/c/en/animal\u00a0"))
    assert edges(got) == {("cn:ice_bear", "hypernym", "cn:bear", 1.0): 1, ("cn:ice_bear", "hypernym", "cn:animal_", 1.0): 1}


def test_relations_that_the_vocabulary_lacks_keep_their_name(tmp_path: Path) -> None:
    got = read_lines(tmp_path, line("dbpedia/genre", "/c/en/a", "/c/en/b"), line("NewInNextVersion", "/c/en/a", "/c/en/b"))
    assert [(r.id, r.label) for r in got.relations] == [
        ("cn:NewInNextVersion", "new in next version"),
        ("cn:dbpedia/genre", "dbpedia genre"),
    ]


def test_relations_are_kept_and_dropped_by_name(tmp_path: Path) -> None:
    lines = [line(r, "/c/en/a", "/c/en/b") for r in ("IsA", "HasA", "PartOf", "Synonym")]
    assert [r.id for r in read_lines(tmp_path, *lines, relations=["IsA", "PartOf"]).relations] == ["hypernym", "part_meronym"]
    got = read_lines(tmp_path, *lines, drop_relations=["IsA"])
    assert got.dropped == {"relation": 1}
    assert edges(got)[("cn:b", "part_meronym", "cn:a", 1.0)] == edges(got)[("cn:a", "part_meronym", "cn:b", 1.0)] == 1


@pytest.mark.parametrize(
    ("settings", "error", "names"),
    [
        ({"relations": ["Is"]}, UnknownNameError, "IsA"),
        ({"drop_relations": ["isa"]}, UnknownNameError, "IsA"),
        ({"senses": "both"}, InvalidInputError, "merge, keep"),
        ({"external_urls": "yes"}, InvalidInputError, "drop, keep"),
        ({"synonyms": "drop"}, InvalidInputError, "keep, merge"),
        ({"parts_of_speech": ["noun"]}, InvalidInputError, "unstated"),
        ({"minimum_weight": float("nan")}, InvalidInputError, "nan"),
        ({"hops": -1}, InvalidInputError, "-1"),
    ],
)
def test_wrong_settings_name_the_choices(settings: dict[str, Any], error: type[KgzslError], names: str) -> None:
    with pytest.raises(error, match=re.escape(names)):
        readers.make("conceptnet", settings)


def test_synonyms_become_one_node(tmp_path: Path) -> None:
    lines = (
        line("Synonym", "/c/en/cougar", "/c/en/puma"),
        line("Synonym", "/c/en/mountain_lion", "/c/en/puma"),
        line("IsA", "/c/en/cougar", "/c/en/cat"),
        line("IsA", "/c/en/mountain_lion", "/c/en/cat"),
        line("RelatedTo", "/c/en/cougar", "/c/en/mountain_lion"),
    )
    got = read_lines(tmp_path, *lines, synonyms="merge", relations=["IsA", "RelatedTo"])
    assert got.ids.to_pylist() == ["cn:cat", "cn:cougar"]  # the highest degree, and of equal ones the first id
    assert got.labels.to_pylist() == ["cat", "cougar, mountain lion, puma"]
    assert edges(got) == {("cn:cougar", "hypernym", "cn:cat", 1.0): 2}
    assert got.dropped == {"between merged synonyms": 3}


def test_classes_are_not_merged_with_each_other(tmp_path: Path) -> None:
    words = ["bass", "deep", "low", "perch", "fish"]
    lines = [line("Synonym", f"/c/en/{a}", f"/c/en/{b}") for a, b in itertools.pairwise(words)]
    got = read_lines(tmp_path, *lines, synonyms="merge", around=["cn:bass", "cn:perch"])
    assert got.ids.to_pylist() == ["cn:bass", "cn:perch"]
    assert got.labels.to_pylist() == ["bass, deep", "perch, low, fish"]
    assert edges(got) == {("cn:bass", "synonym", "cn:perch", 1.0): 1}
    assert not edges(
        read_lines(
            tmp_path,
            *lines,
            line("IsA", "/c/en/bass", "/c/en/x"),
            synonyms="merge",
            around=["cn:bass", "cn:perch"],
            relations=["IsA"],
            hops=0,
        )
    )


@given(
    st.integers(2, 9).flatmap(
        lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)), st.sets(st.integers(0, n - 1)))
    )
)
def test_components_agree_with_a_search(case: tuple[int, list[tuple[int, int]], set[int]]) -> None:
    nodes, pairs, classes = case
    neighbours = {i: {b for a, b in pairs if a == i} | {a for a, b in pairs if b == i} for i in range(nodes)}
    degree = np.asarray([(i * 7) % 4 for i in range(nodes)])
    mask = np.isin(np.arange(nodes), list(classes))
    one, two = (np.asarray([p[k] for p in pairs], dtype=np.int64) for k in (0, 1))
    got = representatives(nodes, one, two, degree, mask)
    for start in range(nodes):
        distance, frontier = {start: 0}, [start]
        for node in frontier:
            for other in neighbours[node] - distance.keys():
                distance[other] = distance[node] + 1
                frontier.append(other)
        near = [(d, n) for n, d in distance.items() if n in classes]
        assert got[start] == (min(near)[1] if near else min(distance, key=lambda n: (-degree[n], n)))


@pytest.mark.data
@pytest.mark.parametrize("hops", [0, 1, 2, 3])
def test_neighbourhood_is_that_of_a_search(dump: Path, hops: int) -> None:
    whole = edges(read(dump, languages=[]))
    reached = {"cn:balalaika"}
    for _ in range(hops):
        reached |= {n for s, _, o, _ in whole for n in (s, o) if s in reached or o in reached}
    got = read(dump, languages=[], around=["cn:balalaika"], hops=hops)
    assert set(got.ids.to_pylist()) == reached
    assert edges(got) == Counter({e: n for e, n in whole.items() if e[0] in reached and e[2] in reached})
    assert got.dropped["beyond the neighbourhood"] == sum(whole.values()) - sum(edges(got).values())


def test_class_list_names_the_neighbourhood(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cn:a  # the first\n", encoding="utf-8")
    lines = line("IsA", "/c/en/a", "/c/en/b"), line("IsA", "/c/en/c", "/c/en/d")
    assert read_lines(tmp_path, *lines, around=str(tmp_path / "classes.txt")).ids.to_pylist() == ["cn:a", "cn:b"]
    assert read_lines(tmp_path, *lines, around="classes.txt", hops=0).ids.to_pylist() == ["cn:a"]
    with pytest.raises(UnknownNameError, match="cn:absent"):
        read_lines(tmp_path, *lines, around=["cn:absent"])


def test_texts_are_the_heaviest_sentences(tmp_path: Path) -> None:
    said = [
        (1.0, "*[[a dog]] is a [[pet]]"),
        (3.0, "[[dogs]] can [[bark]]"),
        (2.0, "[[dogs]] can [[bark]]"),
        (2.0, "[[a dog]] has [[fur]]"),
    ]
    lines = [line("RelatedTo", "/c/en/dog", f"/c/en/x{i}", about(w, surfaceText=t)) for i, (w, t) in enumerate(said)]
    assert read_lines(tmp_path, *lines, surface_texts=2).texts.to_pylist() == ["dogs can bark; a dog has fur", "", "", "", ""]
    assert set(read_lines(tmp_path, *lines).texts.to_pylist()) == {""}


def test_duplicates_are_left_to_the_compiler(tmp_path: Path) -> None:
    twice = line("IsA", "/c/en/a", "/c/en/b"), line("IsA", "/c/en/a/n", "/c/en/b", about(0.5))
    got = read_lines(tmp_path, *twice)
    assert got.weight.tolist() == [0.5, 1.0]


def test_nothing_kept_is_no_node(tmp_path: Path) -> None:
    got = read_lines(tmp_path, line("IsA", "/c/fr/a", "/c/fr/b"))
    assert (len(got.ids), len(got.subject), got.relations, got.dropped) == (0, 0, (), {"language": 1})


# ---- what is no dump


def bad_files(real: list[str]) -> Iterator[tuple[str, bytes]]:
    """Files with a fault in line 3, by name."""
    first, second, third, last = (text.encode() for text in real)
    for name, wrong in {
        "four_columns": third.split(b"\t", 1)[1],
        "no_uri": third.replace(b"/a/", b"", 1),
        "six_columns": third.rstrip() + b"\tmore\n",
        "json_cut": third.rstrip()[:-1] + b"\n",
        "json_list": re.sub(rb"\{.*\}", b"[1]", third),
        "negative_weight": re.sub(rb'"weight": [\d.]+', b'"weight": -1', third),
        "zero_weight": re.sub(rb'"weight": [\d.]+', b'"weight": 0.0', third),
        "nan_weight": re.sub(rb'"weight": [\d.]+', b'"weight": NaN', third),
        "infinite_weight": re.sub(rb'"weight": [\d.]+', b'"weight": 1e60', third),
        "tiny_weight": re.sub(rb'"weight": [\d.]+', b'"weight": 1e-60', third),
        "no_weight": third.replace(b'"weight"', b'"wait"'),
        "null_weight": re.sub(rb'"weight": [\d.]+', b'"weight": null', third),
        "word_weight": re.sub(rb'"weight": [\d.]+', b'"weight": "heavy"', third),
        "latin1": third.replace(b"test", b"t\xe9st"),
        "no_relation": third.replace(b"\t/r/", b"\t"),
        "no_concept": third.replace(b"\t/c/en/", b"\ten/"),
        "no_word": re.sub(rb"\t/c/en/[^\t]+\t/c", b"\t/c/en/\t/c", third),
        "space": re.sub(rb"\t/c/en/[^\t]+\t/c", b"\t/c/en/two words\t/c", third),
    }.items():
        assert wrong != third
        yield f"{name}.csv", first + second + wrong + last


@pytest.mark.data
def test_malformed_lines_are_named(dump: Path, tmp_path: Path) -> None:
    for name, content in bad_files(dump.read_text(encoding="utf-8").splitlines(keepends=True)[:4]):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceError, match=rf"{name}, line 3: the line "):
            read(path)


@pytest.mark.data
def test_cut_and_damaged_gzip(dump: Path, tmp_path: Path) -> None:
    whole = gzip.compress(dump.read_bytes() * 3)
    path = tmp_path / "assertions.csv.gz"
    for cut in (len(whole) // 2, len(whole) - 8, len(whole) - 4, 20, 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(SourceError, match="gzip"):
            read(path)
    path.write_bytes(whole[:-8] + b"\0" * 8)  # another checksum: DuckDB alone would not notice
    with pytest.raises(SourceError, match="complete"):
        read(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    for name, content, says in (
        ("empty.csv", b"", "empty"),
        ("blank.csv", b"\n\n", "empty"),
        ("page.csv", b"<!DOCTYPE html>\n<html></html>", "markup"),
        ("page.csv.gz", gzip.compress(b"\n<html><body>404</body></html>"), "markup"),
        ("utf16.csv", line("IsA", "/c/en/a", "/c/en/b").encode("utf-16"), "UTF-8"),
        ("plain.csv.gz", line("IsA", "/c/en/a", "/c/en/b").encode(), "not gzipped"),
        ("packed.csv", gzip.compress(line("IsA", "/c/en/a", "/c/en/b").encode()), "is gzipped"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match=says):
            read(tmp_path / name)
    with pytest.raises(MissingDataError, match="absent"):
        read(tmp_path / "absent.csv")
    with pytest.raises(MissingDataError):
        read(tmp_path)


REAL = [
    line("IsA", "/c/en/mountain_lion/n/wn/animal", "/c/en/cat", about(2.0, "/d/wordnet/3.1", surfaceText="[[a]] is [[b]]")),
    line("ExternalURL", "/c/en/cat", "http://dbpedia.org/resource/Cat", about(1.0, "/d/dbpedia/en")),
    line("Synonym", "/c/fr/chat/n", "/c/en/cat", about(0.25)),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.tuples(st.sampled_from(REAL), st.integers(0, 300), st.integers(0, 3), st.binary(max_size=4)).map(
            lambda t: REAL[0].encode() + t[0].encode()[: t[1]] + t[3] + t[0].encode()[t[1] + t[2] :] + REAL[2].encode()
        ),
    ),
    packed=st.booleans(),
    choice=st.sampled_from([{}, {"languages": [], "external_urls": "keep", "synonyms": "merge", "surface_texts": 1}]),
)
def test_any_bytes_are_statements_or_an_error(tmp_path: Path, data: bytes, packed: bool, choice: dict[str, Any]) -> None:
    path = tmp_path / ("any.csv.gz" if packed else "any.csv")
    path.write_bytes(gzip.compress(data) if packed else data)
    try:
        got = read(path, **choice)
    except KgzslError:
        return
    assert all(re.fullmatch(r"(cn(-[\w.-]+)?:|[A-Za-z][\w+.-]*://)\S+", i) for i in got.ids.to_pylist())
    assert (got.weight > 0).all()
