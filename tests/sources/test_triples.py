"""The reader of plain triples: real files counted by a plain loop, and files that are no triples."""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError, UnknownNameError
from kgzsl.sources import Statements, readers
from kgzsl.sources.vocabulary import vocabulary

BARE = {"prefix": "x", "prefixes": {"x": "http://example.org/"}}
KZSL = {"AwA": "http://a/#", "ImNet-A": "http://b/#", "ImNet-O": "http://c/#"}


def read(path: Path, **settings: Any) -> Statements:
    return readers.make("triples", settings).read(path)


def read_text(folder: Path, text: str, **settings: Any) -> Statements:
    path = folder / "triples.tsv"
    path.write_text(text, encoding="utf-8")
    return read(path, **(BARE | settings))


def edges(statements: Statements) -> Counter[tuple[str, str, str]]:
    ids, relations = statements.ids.to_pylist(), [r.id for r in statements.relations]
    columns = (statements.subject.tolist(), statements.relation.tolist(), statements.object.tolist())
    return Counter((ids[s], relations[r], ids[o]) for s, r, o in zip(*columns, strict=True))


def column(statements: Statements, name: str) -> dict[str, str]:
    return dict(zip(statements.ids.to_pylist(), getattr(statements, name).to_pylist(), strict=True))


@pytest.fixture(scope="module")
def data() -> Path:
    return Path(os.environ["KGZSL_DATA"])


# ---- real files


@pytest.mark.data
@pytest.mark.parametrize(("name", "entities", "triples"), [("AwA", 9_195, 14_112), ("ImNet-A", 8_920, 10_461), ("ImNet-O", 3_148, 3_990)])
def test_kzsl_graphs_have_the_published_counts(data: Path, name: str, entities: int, triples: int) -> None:
    path = data / "kzsl" / f"KG-{name}.csv"
    whole = read(path, header=True, prefixes=KZSL, literals="nodes")
    assert len(whole.subject) == triples
    # The published counts of entities are those of the statements without rdfs:label and owl:sameAs.
    ids = whole.ids.to_pylist()
    kept = [whole.relations[r].id not in ("rdfs:label", "owl:sameAs") for r in whole.relation]
    assert len({ids[e] for ends in (whole.subject, whole.object) for e, k in zip(ends, kept, strict=True) if k}) == entities
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    assert len(whole.relations) == len({r for _, r, _ in rows})
    assert column(whole, "kinds").items() >= {(i, "text") for i in ids if i.startswith("text:")}
    assert sum(k == "text" for k in whole.kinds.to_pylist()) == len({o for _, r, o in rows if r == "rdfs:label"})


@pytest.mark.data
def test_kzsl_labels_and_vocabulary(data: Path) -> None:
    got = read(data / "kzsl" / "KG-AwA.csv", header=True, prefixes=KZSL, vocabulary=["iris", "conceptnet"])
    assert len(got.subject) == 14_112 - 202
    labels = column(got, "labels")
    assert labels["AwA:n02403454"] == "cow, moo-cow"
    assert labels["cn:spring_trap"] == "spring trap"
    counts = Counter(r for _, r, _ in edges(got).elements())
    assert counts["hypernym"] == 7_657
    assert counts["part_meronym"] == 183 + 147  # HasA, and PartOf turned round
    assert counts["AwA:hasColor"] == 126
    assert next(r.label for r in got.relations if r.id == "AwA:hasColor") == "has color"
    assert got.prefixes == {"AwA": "http://a/#"}


@pytest.mark.data
def test_cn100k(data: Path) -> None:
    path = data / "conceptnet" / "cn100k" / "train.txt.gz"
    got = read(path, prefix="cn", vocabulary="conceptnet")
    rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert len(got.subject) == len(rows) == 100_000
    assert ("cn:hockey", "receives_action", "cn:play_on_ice") in edges(got)
    assert set(got.ids.to_pylist()) == {"cn:" + "_".join(n.split()) for s, _, o in rows for n in (s, o)}
    known = vocabulary().conceptnet
    assert {r.id for r in got.relations} == {known[r].relation.id if r in known else f"cn:{r}" for _, r, _ in rows}
    assert got.labels.to_pylist() == [i.removeprefix("cn:").replace("_", " ") for i in got.ids.to_pylist()]


@pytest.mark.data
@pytest.mark.parametrize("folder", ["fb15k-237", "wn18rr", "umls"])
def test_completion_benchmarks(data: Path, folder: str) -> None:
    path = data / "kgc" / folder / "train.txt.gz"
    texts = {} if folder == "umls" else {"labels": "entity2text.txt.gz"}
    got = read(path, **BARE, **texts)
    rows = [line.split("\t") for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
    assert edges(got) == Counter((f"x:{s}", f"x:{r}", f"x:{o}") for s, r, o in rows)
    if texts:
        known = dict(line.split("\t") for line in gzip.decompress((path.parent / texts["labels"]).read_bytes()).decode().splitlines())
        assert all(
            label == known[i.removeprefix("x:")].strip() for i, label in column(got, "labels").items() if i.removeprefix("x:") in known
        )
        assert got.dropped["label of a node in no statement"] == len(known.keys() - {n for s, _, o in rows for n in (s, o)})
        assert len(got.info.files) == 2


@pytest.mark.data
@pytest.mark.parametrize(("file", "prefix"), [("nell-zs/Schema-NELL.csv", "NELL"), ("wiki-zs/Schema-Wiki.csv", "Wikidata")])
def test_quoted_schemas(data: Path, file: str, prefix: str) -> None:
    with (data / "kgc" / file).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter="\t"))[1:]
    got = read(data / "kgc" / file, header=True, quotes=True, prefixes={prefix: "http://s/#"}, vocabulary="iris")
    said = [r for r in rows if r[1] in ("rdfs:label", "rdfs:comment")]
    blank = [r for r in rows if r not in said and any(n.startswith("_:") for n in (r[0], r[2]))]
    assert got.dropped["blank node"] == len(blank) > 0
    assert len(got.subject) == len(rows) - len(said) - len(blank)
    comments = {r[0]: r[2].strip() for r in said if r[1] == "rdfs:comment" and r[2].strip()}
    texts = column(got, "texts")
    assert all(texts[i] == text or text in texts[i] for i, text in comments.items())
    whole = read(data / "kgc" / file, header=True, quotes=True, prefix=prefix, prefixes={prefix: "http://s/#"}, blank_nodes="keep")
    assert len(whole.subject) == len(rows) - len(said)
    assert any(i.startswith(f"{prefix}:_:y") for i in whole.ids.to_pylist())


# ---- names


def test_names_become_curies(tmp_path: Path) -> None:
    got = read_text(
        tmp_path,
        "play on ice\tr\twn30:n02084071\n http://example.org/a \tr\thttp://elsewhere.org/b\n3:1\tr\tdé\u00a0jà\n",
    )
    assert edges(got) == {
        ("x:play_on_ice", "x:r", "wn30:n02084071"): 1,
        ("x:a", "x:r", "http://elsewhere.org/b"): 1,
        ("x:3:1", "x:r", "x:dé_jà"): 1,
    }


def test_columns_weights_and_separators(tmp_path: Path) -> None:
    got = read_text(tmp_path, "r,a,5,b,0.5\nr,a,7,c,2e0\n", columns=["relation", "subject", "-", "object", "weight"], separator="comma")
    assert edges(got) == {("x:a", "x:r", "x:b"): 1, ("x:a", "x:r", "x:c"): 1}
    assert got.weight.tolist() == [0.5, 2.0]
    assert read_text(tmp_path, "a\tr\tb").weight.tolist() == [1.0]


def test_relations_are_mapped_and_turned(tmp_path: Path) -> None:
    got = read_text(tmp_path, "a\t_up\tb\na\t_usage\tb\na\tother\tb\n", relations={"_up": "hypernym", "_usage": "^domain_usage"})
    assert edges(got) == {("x:a", "hypernym", "x:b"): 1, ("x:b", "domain_usage", "x:a"): 1, ("x:a", "x:other", "x:b"): 1}


def test_literals_three_ways(tmp_path: Path) -> None:
    text = "a\trdfs:label\tthe_first\na\trdfs:label\tother\na\trdfs:label\tother\na\trdfs:comment\tsaid\na\trdfs:comment\t\na\tr\tb\n"
    as_labels = read_text(tmp_path, text)
    assert column(as_labels, "labels") == {"x:a": "the first, other", "x:b": "b"}
    assert column(as_labels, "texts") == {"x:a": "said", "x:b": ""}
    assert as_labels.dropped == {"empty literal": 1}
    dropped = read_text(tmp_path, text, literals="drop")
    assert (column(dropped, "labels")["x:a"], dropped.dropped) == ("a", {"literal": 5})
    nodes = read_text(tmp_path, text, literals="nodes")
    assert edges(nodes)[("x:a", "rdfs:label", "text:other")] == 2
    assert column(nodes, "kinds") == {
        "text:other": "text",
        "text:said": "text",
        "text:the_first": "text",
        "x:a": "concept",
        "x:b": "concept",
    }
    assert set(nodes.prefixes) == {"rdfs", "text", "x"}


def test_long_texts_have_ids_of_their_own(tmp_path: Path) -> None:
    one, two = "word " * 40 + "one", "word " * 40 + "two"
    got = read_text(tmp_path, f"a\trdfs:comment\t{one}\nb\trdfs:comment\t{two}\n", literals="nodes")
    assert len(got.ids) == 4
    assert {label for i, label in column(got, "labels").items() if i.startswith("text:")} == {one, two}


def test_labels_file_goes_first(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\tAlpha\nc\tGamma\na\tFirst\n", encoding="utf-8")
    got = read_text(tmp_path, "a\trdfs:label\tstated\nb\trdfs:label\tBeta\na\tr\tb\n", labels="names.txt")
    assert column(got, "labels") == {"x:a": "Alpha, First", "x:b": "Beta"}
    assert got.dropped == {"label of a node in no statement": 1}
    (tmp_path / "names.txt").write_text("a\tAlpha\nb\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"names.txt, line 2: the line has 2 fields, not 1"):
        read_text(tmp_path, "a\tr\tb\n", labels="names.txt")
    with pytest.raises(MissingDataError, match=r"absent.txt"):
        read_text(tmp_path, "a\tr\tb\n", labels="absent.txt")


def test_comma_separated_triples_have_tab_separated_labels(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text('a\tOne, "two"\n', encoding="utf-8")
    got = read_text(tmp_path, 'a,r,"b, c"\n', separator="comma", quotes=True, labels="names.txt")
    assert column(got, "labels") == {"x:a": 'One, "two"', "x:b,_c": "b, c"}


def test_order_of_lines_changes_no_node(tmp_path: Path) -> None:
    one, two = (read_text(tmp_path, text) for text in ("a\tr\tb\nc\tq\ta\n", "c\tq\ta\na\tr\tb\n"))
    assert one.ids.equals(two.ids)
    assert one.relations == two.relations
    assert edges(one) == edges(two)


# ---- what is refused


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"separator": "|"}, InvalidInputError, "tab, comma"),
        ({"vocabulary": "wordnet"}, InvalidInputError, "conceptnet, iris, none"),
        ({"literals": "both"}, InvalidInputError, "labels, nodes, drop"),
        ({"blank_nodes": "no"}, InvalidInputError, "drop, keep"),
        ({"columns": ["head", "relation", "tail"]}, InvalidInputError, "subject, relation, object"),
        ({"columns": ["subject", "object"]}, InvalidInputError, "once"),
        ({"columns": ["subject", "relation", "object", "object"]}, InvalidInputError, "once"),
        ({"prefix": "y"}, InvalidInputError, "prefixes"),
        ({"prefixes": {"wn30": "http://other/"}}, InvalidInputError, "one IRI"),
        ({"prefixes": {"a b": "http://other/"}}, InvalidInputError, "a prefix is a word"),
        ({"relations": {"up": "hypernim"}}, UnknownNameError, "hypernym"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], error: type[KgzslError], says: str) -> None:
    with pytest.raises(error, match=re.escape(says)):
        readers.make("triples", settings)


@pytest.mark.parametrize(
    ("text", "settings", "says"),
    [
        ("a\tr\tb\na\tr\n", {}, "line 2: the line has 3 fields, not 2"),
        ("a\tr\tb\n\na\tr\tb\tc\n", {}, "line 3: the line has 3 fields, not 4"),
        ("h\th\th\na\t \tb\n", {"header": True}, "line 2: the line has an empty field"),
        ("a\tr\tb\na\tr\t\n", {}, "line 2: the line has an empty field"),
        ("a\tr\tb\t1\na\tr\tb\theavy\n", {"columns": ["subject", "relation", "object", "weight"]}, "line 2: the line has a number"),
        ("a\tr\tb\t1\na\tr\tb\t-1\n", {"columns": ["subject", "relation", "object", "weight"]}, "line 2: the line has a positive weight"),
        ("a\tr\tb\t1\na\tr\tb\tnan\n", {"columns": ["subject", "relation", "object", "weight"]}, "line 2: the line has a positive weight"),
        (
            "a\tr\tb\t1\na\tr\tb\t1e-60\n",
            {"columns": ["subject", "relation", "object", "weight"]},
            "line 2: the line has a positive weight",
        ),
        ("Subject\tRelation\tObject\na\tr\tb\n", {}, "header: true"),
        ("x:a\tx:r\tx:b\nx:a\tx:r\tb\n", {"prefix": ""}, "line 2: the line names 'b', which has no known prefix"),
        ("x:a\tx:r\tx:b\nx:a\tr\tx:b\n", {"prefix": ""}, "'r'"),
        ("Subject\tRelation\tObject\n", {"header": True}, "at least one line"),
        ("<!doctype html>\n", {}, "markup"),
        ("", {}, "empty"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, text: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SourceError, match=re.escape(says)):
        read_text(tmp_path, text, **settings)


def test_encodings_and_cut_archives(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b"a\tr\tb\na\tr\tcaf\xe9\n")
    with pytest.raises(SourceError, match=r"t.tsv, line 2: the line is UTF-8 text"):
        read(path, **BARE)
    packed = tmp_path / "t.tsv.gz"
    whole = gzip.compress(b"".join(b"a%d\tr\tb%d\n" % (i, i * 7) for i in range(5_000)))
    for cut in (10, 200, len(whole) // 2, len(whole) - 4):
        packed.write_bytes(whole[:cut])
        with pytest.raises(SourceError, match=r"gzip file is complete|complete gzip file"):
            read(packed, **BARE)
    packed.write_bytes(whole[:-8] + b"\0" * 8)
    with pytest.raises(SourceError, match="gzip"):
        read(packed, **BARE)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(
        st.binary(max_size=120),
        st.lists(st.tuples(*[st.text(max_size=6)] * 3), max_size=5).map(lambda rows: "\n".join(map("\t".join, rows)).encode()),
        st.tuples(st.integers(0, 40), st.binary(max_size=3)).map(
            lambda t: (b"a b\tr\tcn:c\n_:y\trdfs:label\td\n" * 2)[: t[0]] + t[1] + b"x\tr\ty\n"
        ),
    ),
    quotes=st.booleans(),
    literals=st.sampled_from(["labels", "nodes", "drop"]),
    weighted=st.booleans(),
)
def test_any_bytes_are_statements_or_an_error(tmp_path: Path, data: bytes, quotes: bool, literals: str, weighted: bool) -> None:
    path = tmp_path / "any.tsv"
    path.write_bytes(data)
    columns = ["subject", "relation", "weight" if weighted else "object", *(["object"] if weighted else [])]
    try:
        got = read(path, **BARE, quotes=quotes, literals=literals, columns=columns, vocabulary=["iris", "conceptnet"], blank_nodes="keep")
    except KgzslError:
        return
    assert all(re.fullmatch(r"[A-Za-z][\w.+-]*:\S+", i) for i in got.ids.to_pylist())
    assert len(got.ids) == len(set(got.ids.to_pylist()))
    assert (got.weight > 0).all()
