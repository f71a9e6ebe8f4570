"""Pictures: what they show, that nothing overlaps, and that they are sound SVG."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgzsl.browser import BROWSERS
from kgzsl.errors import InvalidInputError, MissingDataError, UnknownNameError
from kgzsl.graphs import KnowledgeGraph
from kgzsl.graphs.picture import Picture, draw, find_node, save_picture
from kgzsl.graphs.picture.choose import choose
from kgzsl.graphs.picture.layout import lay_out
from kgzsl.graphs.picture.scene import Scene, clip, width, wrap
from kgzsl.sources import Relation
from kgzsl.testing.graphs import graph_of
from kgzsl.testing.mixed import mixed

SVG = "{http://www.w3.org/2000/svg}"


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 our own output


def all_triples(graph: KnowledgeGraph) -> set[tuple[str, str, str]]:
    columns = zip(graph.subject.tolist(), graph.relation.tolist(), graph.object.tolist(), strict=True)
    return {(graph.ids[s], graph.relations[r].id, graph.ids[o]) for s, r, o in columns}


def texts_of(picture: Picture) -> list[str]:
    return ["".join(t.itertext()) for t in parsed(picture.svg).iter(f"{SVG}text")]


def boxes_of(scene: Scene) -> list[tuple[str, float, float, float, float]]:
    """Where each label stands, by the widths that the layout reckons with, and each node's box."""
    sizes = {"focus-name": 18.0, "more": 12.0, "heading": 12.0, "soft": 12.0}
    found = []
    for mark in scene.marks:
        for b in mark.boxes:
            if b.style.startswith(("node", "focus", "more-box", "card")):
                found.append((b.style.split()[0], b.x, b.y, b.x + b.w, b.y + b.h))
        for t in mark.texts:
            text = "".join(part for _, part in t.parts)
            wide = width(text, sizes.get(t.style, 13.0), bold=t.style in ("focus-name", "heading"))
            left = t.x - wide / 2 if t.anchor == "middle" else t.x
            found.append((text, left, t.y - 10, left + wide, t.y + 3))
    return found


def overlaps(scene: Scene) -> list[tuple[str, str]]:
    """Pairs of labels that touch, and pairs of boxes; a label in its own box is none."""
    found = boxes_of(scene)
    frames = {"node", "focus", "more-box", "card"}
    clashes = []
    for i, (a, *p) in enumerate(found):
        for b, *q in found[i + 1 :]:
            if (a in frames) == (b in frames) and p[0] < q[2] and q[0] < p[2] and p[1] < q[3] and q[1] < p[3]:
                clashes.append((a, b))
    return clashes


def scene_of(graph: KnowledgeGraph, node: str, hops: int = 2, top: int = 12) -> Scene:
    chosen = choose(graph, int(graph.positions([node])[0]), hops, top)
    return lay_out(graph, chosen, {i: f"r{i}" for i in range(len(graph.relations))})


def test_above_below_and_beside() -> None:
    graph = mixed()
    picture = draw(graph, "ex:lion")
    assert set(picture.edges) <= all_triples(graph)
    assert {
        ("ex:lion", "hypernym", "ex:mammal"),
        ("ex:müßig/ライオン", "hypernym", "ex:lion"),
        ("ex:simba", "instance_hypernym", "ex:lion"),
        ("ex:lion", "ex:eats", "ex:cat"),
        ("ex:lion", "has_attribute", "ex:tail"),
        ("ex:cat", "similar", "ex:lion"),
        ("ex:cat", "hypernym", "ex:mammal"),
        ("http://example.org/whole", "hypernym", "ex:mammal"),
    } <= set(picture.edges)
    place = {}
    for mark in parsed(picture.svg).iter(f"{SVG}g"):
        for text in mark.iter(f"{SVG}text"):
            place.setdefault("".join(text.itertext()).strip(), (float(text.get("x", "0")), float(text.get("y", "0"))))
    assert place["mammal"][1] < 0 < place["Simba"][1] and place["ライオン"][1] > 0
    assert place["eats …"][0] > 0 and place["has the visual attribute …"][0] > 0
    assert (picture.node, picture.title, picture.hidden) == ("ex:lion", "lion", 0)


def test_directions_are_kept() -> None:
    words = " | ".join(texts_of(draw(mixed(), "ex:tail")))
    assert "… has the visual attribute tail" in words and "attribute …" not in words
    picture = draw(mixed(), "ex:cat", hops=1)
    assert ("ex:lion", "ex:eats", "ex:cat") in picture.edges and ("ex:cat", "ex:eats", "ex:lion") not in picture.edges
    assert "other kinds of mammal" not in " | ".join(texts_of(picture)), "siblings are two hops away"


def test_tooltips_hold_the_whole_story() -> None:
    root = parsed(draw(mixed(), "ex:lion").svg)
    tips = [t.text or "" for t in root.iter(f"{SVG}title")]
    assert tips[0] == "lion"
    assert any("cat, domestic cat  ·  ex:cat" in t and 'a <feline> & "pet"' in t for t in tips)
    assert any("lion eats space in the id (weight 2.5)" in t for t in tips)


def test_the_legend_names_every_relation_in_its_colour() -> None:
    picture = draw(mixed(), "ex:lion")
    words = texts_of(picture)
    for label in ("is a kind of", "is an instance of", "eats", "has the visual attribute", "is similar to"):
        assert any(w.startswith(f"{label} (") for w in words), label
    assert "prefers-color-scheme: dark" in picture.svg


def test_a_node_alone_and_a_graph_without_a_taxonomy() -> None:
    picture = draw(mixed(), "ex:control")
    assert picture.edges == () and "no edge of this graph leads here" in texts_of(picture)
    flat = graph_of(4, [(0, 1), (2, 0), (0, 3)], relation="related")
    assert len(draw(flat, "t:000").edges) == 3


def test_a_hub_is_cut_and_counted() -> None:
    edges = [(i, 0) for i in range(1, 900)]
    for relation in ("hypernym", "related"):
        picture = draw(graph_of(900, edges, relation=relation), "t:000", top=9)
        assert (len(picture.edges), picture.hidden) == (9, 890)
        assert any("+890 more" in w for w in texts_of(picture))
    parents = draw(graph_of(900, [(0, i) for i in range(1, 900)]), "t:000")
    assert parents.hidden == 899 - 6 and any("+893 more" in w for w in texts_of(parents))


def test_the_weightiest_come_first() -> None:
    weights = np.linspace(0.1, 2, 49)
    graph = graph_of(50, [(0, i) for i in range(1, 50)], relation="related", weights=weights.tolist())
    assert {o for _, _, o in draw(graph, "t:000", top=3, hops=1).edges} == {"t:047", "t:048", "t:049"}


def test_cycles_end() -> None:
    graph = graph_of(4, [(0, 1), (1, 2), (2, 0), (3, 0), (0, 0)])
    for node in ("t:000", "t:001", "t:003"):
        picture = draw(graph, node, hops=6)
        assert set(picture.edges) <= all_triples(graph) and len(picture.edges) >= 3


def test_long_ways_run_upwards() -> None:
    """0 under 1 under 2 under 3, and straight under 3: the row of 3 is the third."""
    graph = graph_of(4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert choose(graph, 0, 3, 12).levels == {0: 0, 1: 1, 2: 2, 3: 3}
    assert len(draw(graph, "t:000", hops=3).edges) == 4


def test_inverse_edges_are_part_of_the_taxonomy() -> None:
    graph = replace(graph_of(3, [(0, 1), (0, 2)], relation="hyponym"), relations=(Relation("hyponym", "has kind", False, "hypernym"),))
    chosen = choose(graph, 0, 2, 12)
    assert len(chosen.below) == 2 and not chosen.left and not chosen.right
    assert set(draw(graph, "t:001").edges) == all_triples(graph)


@pytest.mark.parametrize("node", ["ex:lion", "ex:cat", "ex:tail", "ex:mammal", "ex:control", "ex:müßig/ライオン"])
def test_nothing_overlaps_in_a_small_graph(node: str) -> None:
    assert overlaps(scene_of(mixed(), node)) == []


@given(
    st.lists(st.tuples(st.integers(0, 24), st.integers(0, 24), st.integers(0, 3)), max_size=90, unique=True),
    st.integers(1, 4),
    st.integers(1, 20),
)
@settings(max_examples=60, deadline=None)
def test_nothing_overlaps_whatever_the_graph(edges: list[tuple[int, int, int]], hops: int, top: int) -> None:
    base = graph_of(25, [(s, o) for s, o, _ in sorted(edges)])
    names = [
        Relation("hypernym", "is a kind of"),
        Relation("part", "has part"),
        Relation("related", "is related to", True),
        Relation("x:y", ""),
    ]
    graph = replace(
        base,
        relations=tuple(names),
        relation_sources=("test",) * 4,
        relation=np.asarray([r for _, _, r in sorted(edges)], dtype=np.int64),
        labels=tuple("W" * (i * 3 % 41) + f" {i}" for i in range(25)),
    )
    assert overlaps(scene_of(graph, "t:003", hops, top)) == []
    picture = draw(graph, "t:003", hops=hops, top=top)
    assert set(picture.edges) <= all_triples(graph)
    parsed(picture.svg)


@given(st.lists(st.text(max_size=60), min_size=3, max_size=3))
@settings(max_examples=40, deadline=None)
def test_any_label_is_drawn(labels: list[str]) -> None:
    graph = replace(graph_of(3, [(1, 0), (2, 1)]), labels=tuple(labels), texts=tuple(labels))
    picture = draw(graph, "t:001")
    parsed(picture.svg)
    assert "<script" not in picture.page.lower().replace("&lt;script", "")


def test_markup_in_labels_stays_text(tmp_path: Path) -> None:
    graph = replace(graph_of(2, [(1, 0)]), labels=("<script>alert(1)</script>", "</svg><b>x"), texts=('"><img src=x>', "&amp;"))
    picture = draw(graph, "t:001")
    parsed(picture.svg)
    for name in ("p.svg", "p.html"):
        save_picture(picture, tmp_path / name)
        assert not re.search(r"<(script|img|b>)", (tmp_path / name).read_text(encoding="utf-8"))


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "from kgzsl.testing.mixed import mixed; from kgzsl.graphs.picture import draw; import hashlib;"
        "p = draw(mixed(), 'ex:lion', hops=3); print(hashlib.sha256((p.svg + p.page).encode()).hexdigest())"
    )
    said = {
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("0", "1")
    }
    assert len(said) == 1


def test_out_of_range_and_unknown(tmp_path: Path) -> None:
    graph = mixed()
    for settings_ in ({"hops": 0}, {"hops": 7}, {"top": 0}, {"top": 61}):
        with pytest.raises(InvalidInputError):
            draw(graph, "ex:lion", **settings_)
    with pytest.raises(UnknownNameError, match="ex:zebra"):
        draw(graph, "ex:zebra")
    with pytest.raises(InvalidInputError, match=r"\.svg, \.html or \.png"):
        save_picture(draw(graph, "ex:lion"), tmp_path / "lion.bmp")
    assert not list(tmp_path.iterdir())


def test_nodes_are_found_by_name() -> None:
    graph = mixed()
    assert find_node(graph, "ex:lion") == find_node(graph, "King of Beasts") == find_node(graph, "lions") == "ex:lion"
    assert find_node(graph, "http://example.org/whole") == "http://example.org/whole"
    assert find_node(graph, "LION ") == "ex:lion" and find_node(graph, "ライオン") == "ex:müßig/ライオン"
    for text in ("zebra", "…", "", "ex:zebra", "(((", "a\\Eb", "lion, king"):
        with pytest.raises(UnknownNameError):
            find_node(graph, text)
    with pytest.raises(UnknownNameError, match="has the end of it"):
        find_node(graph, "mountain lion")
    twice = replace(graph, labels=tuple("cat" if i == "ex:tail" else label for i, label in zip(graph.ids, graph.labels, strict=True)))
    with pytest.raises(UnknownNameError, match=r"2 nodes have") as caught:
        find_node(twice, "cat")
    assert "ex:cat" in str(caught.value) and "ex:tail" in str(caught.value) and "feline" in str(caught.value)


def test_widths_clipping_and_wrapping() -> None:
    assert width("iii", 10) < width("mmm", 10) and width("日本", 10) > width("ab", 10) and width("", 10) == 0
    assert clip("a long label", 10, 1000) == "a long label"
    short = clip("a long label", 10, 40)
    assert short.endswith("…") and width(short, 10) <= 40
    lines = wrap("one two three four five six seven", 10, 60, 2)
    assert len(lines) == 2 and lines[-1].endswith("…") and all(width(line, 10) <= 60 for line in lines)
    assert wrap("", 10, 60, 2) == []


@pytest.mark.data
@pytest.mark.parametrize(("node", "hops"), [("n02084071", 2), ("n02129165", 2), ("wn30:n04285008", 3), ("n00007846", 2), ("n02084071", 6)])
def test_nothing_overlaps_in_imagenet(imagenet: KnowledgeGraph, node: str, hops: int) -> None:
    picture = draw(imagenet, node, hops=hops)
    assert set(picture.edges) <= all_triples(imagenet)
    assert overlaps(scene_of(imagenet, picture.node, hops)) == []
    assert max(picture.size) < 2600


@pytest.mark.data
def test_the_dog(imagenet: KnowledgeGraph) -> None:
    picture = draw(imagenet, "n02084071")
    words = texts_of(picture)
    for word in ("dog", "canine", "domestic animal", "carnivore", "hunting dog", "poodle", "other kinds of canine", "wolf", "+6 more"):
        assert any(w.strip().startswith(word) for w in words), word
    assert sum(o == picture.node for _, _, o in picture.edges) == 12
    with pytest.raises(UnknownNameError, match="wn30:n02084071"):
        find_node(imagenet, "dog")
    assert find_node(imagenet, "sports car") == "wn30:n04285008"


def test_without_a_browser_there_is_no_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KGZSL_BROWSER", raising=False)
    with pytest.raises(MissingDataError, match=r"write \.svg"):
        save_picture(draw(mixed(), "ex:lion"), tmp_path / "lion.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser that draws is on the PATH")
def test_a_browser_draws_a_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KGZSL_BROWSER", raising=False)
    image = pytest.importorskip("PIL.Image")
    picture = draw(mixed(), "ex:lion")
    save_picture(picture, tmp_path / "lion.png")
    with image.open(tmp_path / "lion.png") as opened:
        assert opened.size == (2 * picture.size[0], 2 * picture.size[1])
        assert len(opened.convert("RGB").getcolors(1 << 20)) > 50


def test_inferred_hypernyms_are_part_of_the_hierarchy() -> None:
    base = graph_of(3, [(1, 0), (2, 1)], relation="inferred_hypernym")
    graph = replace(base, relations=(Relation("inferred_hypernym", "is inferred to be a kind of", False, "inferred_hyponym"),))
    chosen = choose(graph, 1, 2, 12)
    assert chosen.levels == {1: 0, 0: 1} and [i.node for i in chosen.below] == [2] and not chosen.right
    assert 'class="line t0 dot"' in draw(graph, "t:001").svg
