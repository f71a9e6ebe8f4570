"""The service's page in a real browser: searched, walked, shown photographs, given new classes; by mouse and by keyboard."""

from __future__ import annotations

import base64
import dataclasses
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from kgzsl.errors import KgzslError

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright drives the browser: pip install 'kgzsl[test]'")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe checks accessibility: pip install 'kgzsl[test]'")
pytest.importorskip("fastapi", reason="the service is what serves the page: pip install 'kgzsl[service]'")

expect = sync_api.expect

WIDE, NARROW = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
#: Left out of the bundles: tabby, which the photograph shows, and tiger cat, which is nearly one.
LEFT_OUT = {"wn30:n02123045", "wn30:n02123159"}
KEY = "a key of sixteen characters or more"
MARKUP = "<img src=x onerror=document.title='taken'>"
#: Drops a file as a person would: the events a browser sends, with a real file in them.
DROP = """([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.querySelector("#drop").dispatchEvent(new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
#: How much of the page jumped since it was opened, without anyone having touched it.
SHIFTED = """() => new Promise((resolve) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach((e) => (sum += e.hadRecentInput ? 0 : e.value)))
    .observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(sum), 200);
})"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory, world: Any) -> Path:
    """A folder to serve: the carnivores, two encoders' bundles without tabby, a broken bundle, and a graph with markup for names."""
    import kgzsl
    from kgzsl.testing.graphs import graph_of

    folder = tmp_path_factory.mktemp("served")
    world.graph.save(folder / "carnivores.kg")
    classes = [i for i in world.weights.ids if i not in LEFT_OUT]
    seen = [i for n, i in enumerate(classes) if n % 4 or i.startswith("wn30:n0212")]
    for name, encoder in (("closed", "graph_gp"), ("nearest", "nearest_text")):
        bundle = kgzsl.fit(world.graph, weights=world.weights.select(seen), classes=classes, encoder=encoder, vectors=world.vectors)
        bundle.save(folder / f"{name}.bundle")
    (folder / "torn.bundle").mkdir()
    (folder / "torn.bundle" / "manifest.json").write_text('{"kind": "bundle"')
    small = graph_of(3, [(1, 0), (2, 0)])
    dataclasses.replace(small, labels=(MARKUP, f"{MARKUP}, other", "plain"), texts=(MARKUP,) * 3).save(folder / "strange.kg")
    return folder


def _start(folder: Path, state: Path, *options: str) -> tuple[subprocess.Popen[bytes], str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "kgzsl", "serve", str(folder), "--port", str(port), "--state", str(state), *options]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    url = f"http://127.0.0.1:{port}/"
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"{url}v1/ready", timeout=5):  # noqa: S310, our own address
                return process, url
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, "the service ended"
            time.sleep(0.1)
    process.kill()
    raise AssertionError("the service is not ready after a minute")


@pytest.fixture(scope="module")
def served(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = _start(artifacts, tmp_path_factory.mktemp("state"))
    yield url
    process.terminate()
    assert process.wait(30) in (0, -15)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from kgzsl.browser import find_browser

    try:
        program = find_browser("page", "skip its tests")
    except KgzslError as error:
        pytest.skip(f"no browser on this machine: {error}")
    with sync_api.sync_playwright() as driver:
        # the sandbox needs rights that containers and root do not have; the page is our own
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


class Visit:
    """A page that is open, and what it did: errors of its scripts, what it asked of whom."""

    def __init__(
        self, browser: Any, url: str, *, hash: str = "", size: dict[str, int] = WIDE, scheme: str = "light", motion: str = "reduce"
    ) -> None:
        self.context = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion=motion)
        self.page = self.context.new_page()
        self.url = url
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url + hash)
        self.page.set_default_timeout(15_000)
        expect.set_options(timeout=15_000)

    def walk(self, identifier: str, graph: str = "carnivores") -> None:
        self.page.goto(f"{self.url}#/{graph}/{identifier}")

    def drop(self, path: Path, kind: str = "image/jpeg") -> None:
        self.page.evaluate(DROP, [path.name, kind, base64.b64encode(path.read_bytes()).decode()])

    def heading(self, text: str) -> None:
        expect(self.page.locator("#node-name")).to_have_text(re.compile(rf"^{re.escape(text)}"))

    def first(self, bundle: str = "closed") -> Any:
        return self.page.locator(f'.card[data-bundle="{bundle}"] .answers li').first


@pytest.fixture
def visit(browser: Any, served: str) -> Iterator[Any]:
    """Opens the page; afterwards nothing may have gone wrong, and nobody else may have been asked."""
    visits: list[Visit] = []

    def opened(url: str = served, **options: Any) -> Visit:
        visits.append(Visit(browser, url, **options))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()
        # the browser itself notes an answer that is a problem; the page shows it
        assert [w for w in one.wrong if not w.startswith("Failed to load resource")] == []
        assert [a for a in one.asked if not a.startswith((one.url, "blob:", "data:"))] == []


@pytest.fixture(scope="module")
def cat() -> Path:
    from kgzsl.datasets import packaged_photos

    return next(p.path for p in packaged_photos() if p.label == "tabby")


def test_a_class_is_searched_by_keyboard(visit: Any) -> None:
    page = visit().page
    page.keyboard.press("/")
    page.keyboard.type("wol")
    options = page.locator("#found li")
    expect(options.first).to_be_visible()
    field = page.get_by_role("combobox", name="Search a class")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", str(options.nth(1).get_attribute("id")))
    name = options.nth(1).locator("b").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator("#node-name")).to_contain_text(name)
    expect(page.locator("#popup")).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search by")).to_be_focused()


def test_what_is_misspelt_is_found_by_spelling(visit: Any) -> None:
    page = visit().page
    page.fill("#search", "polecta")
    expect(page.locator("#search-note")).to_contain_text("Nearest in spelling")
    expect(page.locator("#found li").first).to_contain_text("polecat")
    page.keyboard.press("Escape")
    expect(page.locator("#popup")).to_be_hidden()
    page.fill("#search", "qqqqzzzz")
    expect(page.locator("#search-note")).to_contain_text("Nothing")


def test_the_graph_is_walked_by_keyboard_and_back(visit: Any) -> None:
    one = visit(hash="#/carnivores/wn30:n02121808")
    page = one.page
    one.heading("domestic cat")
    page.locator("#drawing a.focus").focus()
    page.keyboard.press("ArrowUp")
    assert "parent" in page.evaluate("document.activeElement.getAttribute('class')")
    page.keyboard.press("Enter")
    one.heading("cat")
    expect(page.locator("#drawing a.focus")).to_contain_text("cat")
    # who walks keeps the focus: it is on the same class, which stands in the middle now
    assert "focus" in page.evaluate("document.activeElement.getAttribute('class')")
    assert page.evaluate("document.activeElement.getAttribute('aria-current')") == "true"
    page.keyboard.press("ArrowDown")
    assert "child" in page.evaluate("document.activeElement.getAttribute('class')")
    page.keyboard.press("Home")
    assert "focus" in page.evaluate("document.activeElement.getAttribute('class')")
    page.get_by_role("button", name="Back").click()
    one.heading("domestic cat")
    expect(page.get_by_role("button", name="Back")).to_be_disabled()
    page.get_by_role("button", name="Forward").click()
    one.heading("cat")
    page.go_back()
    one.heading("domestic cat")


def test_a_click_walks_and_the_list_says_the_same(visit: Any) -> None:
    one = visit(hash="#/carnivores/wn30:n02114100")  # wolf
    one.heading("wolf")
    drawn = set(one.page.locator("#drawing a.child .name").all_text_contents())
    listed = set(one.page.locator("#around .group", has_text="Kinds of it").locator("a").all_text_contents())
    assert drawn and drawn == listed
    one.page.locator("#drawing a.child", has_text="timber wolf").click()
    one.heading("timber wolf")
    expect(one.page.locator("#drawing a.parent")).to_contain_text("wolf")
    one.page.locator("#around a", has_text="wolf").first.click()
    one.heading("wolf")


def test_the_same_walk_is_drawn_the_same(visit: Any) -> None:
    places = "() => [...document.querySelectorAll('#drawing a')].map((a) => [a.getAttribute('href'), a.style.transform])"
    drawn = []
    for _ in range(2):
        one = visit(hash="#/carnivores/wn30:n02083346")
        one.heading("canine")
        drawn.append(one.page.evaluate(places))
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) > 5


def test_no_two_classes_cover_each_other(visit: Any) -> None:
    boxes = "() => [...document.querySelectorAll('#drawing a rect')].map((r) => r.getBoundingClientRect().toJSON())"
    for size in (WIDE, NARROW):
        one = visit(hash="#/carnivores/wn30:n02084071", size=size)  # dog, with many kinds
        one.heading("dog")
        drawn = one.page.evaluate(boxes)
        frame = one.page.locator("#canvas").bounding_box()
        assert len(drawn) > 5
        for i, a in enumerate(drawn):
            assert a["left"] >= frame["x"] - 1 and a["right"] <= frame["x"] + frame["width"] + 1
            for b in drawn[:i]:
                apart = a["right"] <= b["left"] or b["right"] <= a["left"] or a["bottom"] <= b["top"] or b["bottom"] <= a["top"]
                assert apart, (a, b)


def test_zoom_and_all_in_view(visit: Any) -> None:
    one = visit(hash="#/carnivores/wn30:n02114100")
    one.heading("wolf")
    drawing = one.page.locator("#drawing")
    before = drawing.get_attribute("viewBox")
    one.page.get_by_role("button", name="Zoom in").click()
    assert drawing.get_attribute("viewBox") != before
    one.page.get_by_role("button", name="Show all").click()
    assert drawing.get_attribute("viewBox") == before


def test_a_dropped_photograph_is_named_and_explained(visit: Any, cat: Path) -> None:
    one = visit()
    one.drop(cat, "image/png")
    card = one.page.locator('.card[data-bundle="closed"]')
    expect(card.locator(".answers li")).to_have_count(5)
    expect(one.page.locator("#preview")).to_be_visible()
    expect(card.locator(".badge")).to_have_count(5)
    expect(card.locator(".why summary")).to_contain_text("Why ")
    expect(card.locator(".carriers li").first).to_contain_text("%")
    one.page.locator("#candidates label", has_text="never seen").click()
    expect(card.locator(".badge.unseen")).to_have_count(5)
    one.page.locator("#candidates label", has_text="seen").last.click()
    expect(card.locator(".badge.seen")).to_have_count(5)
    name = card.locator(".answers .name").first.inner_text().split(",")[0]
    card.locator(".answers a.name").first.click()
    one.heading(name)


@pytest.mark.data
def test_a_photograph_of_a_class_outside_imagenet_is_taken_as_its_kin(visit: Any, world: Any) -> None:
    from kgzsl.data import benchmark_path
    from kgzsl.graphs.hierarchy import reachable
    from kgzsl.graphs.views import directed

    photograph = sorted((Path(benchmark_path("caltech101_unseen")) / "images" / "n02124623").glob("*.jpg"))[0]  # a wildcat
    one = visit()
    one.drop(photograph)
    expect(one.first()).to_be_visible()
    expect(one.page.locator("#file-name")).to_contain_text("×")
    href = one.first().locator("a.name").get_attribute("href")
    answer, felines = world.graph.positions([unquote(href.split("/")[-1])]), world.graph.positions(["wn30:n02120997"])
    assert felines[0] in reachable(directed(world.graph), answer).indices


def test_the_graph_walks_to_the_answer_and_marks_the_way(visit: Any, cat: Path) -> None:
    one = visit()
    one.drop(cat, "image/png")
    expect(one.first()).to_be_visible()
    one.heading(one.first().locator(".name").inner_text().split(",")[0])
    stops = one.page.locator(".route a").all_text_contents()
    marked = one.page.locator("#drawing a.marked")
    if len(stops) > 1:
        expect(marked.first).to_be_visible()
        assert {"focus"} <= set(" ".join(str(m.get_attribute("class")) for m in marked.all()).split())


def test_a_photograph_is_chosen_or_pasted(visit: Any, cat: Path) -> None:
    one = visit()
    one.page.set_input_files("#file", cat)
    expect(one.first()).to_be_visible()
    expect(one.page.locator("#file-name")).to_contain_text(cat.name)
    one.page.evaluate(
        """([data]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], "clip.png", { type: "image/png" }));
      window.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, cancelable: true }));
    }""",
        [base64.b64encode(cat.read_bytes()).decode()],
    )
    expect(one.page.locator("#file-name")).to_contain_text("clip.png")


def test_an_added_class_changes_the_prediction_at_once(visit: Any, cat: Path) -> None:
    one = visit()
    page = one.page
    one.drop(cat, "image/png")
    expect(one.first()).to_be_visible()
    page.locator("#candidates label", has_text="never seen").click()
    expect(one.first().locator(".badge.unseen")).to_be_visible()
    before = one.first().locator(".name").inner_text()
    assert "tabby" not in before
    page.get_by_label("Is a class missing?").fill("tabby")
    page.keyboard.press("Enter")
    expect(page.locator("#added li")).to_contain_text("tabby")
    expect(one.first().locator(".badge.added")).to_be_visible()
    expect(one.first()).to_contain_text("tabby")
    expect(one.first().locator(".moved")).to_have_text("new here")
    expect(page.locator(".turned")).to_contain_text(before.split(",")[0])
    expect(one.page.locator(".card .answers li").nth(1).locator(".moved")).to_have_text("▼ was 1")
    expect(page.locator("#adding-hint")).to_contain_text("ms, without training")
    # it is kept: another visitor has it too
    expect(visit().page.locator("#added li")).to_contain_text("tabby")
    page.get_by_role("button", name="Take tabby away").click()
    expect(page.locator("#added li")).to_have_count(0)
    expect(one.first().locator(".name")).to_have_text(before)
    expect(page.get_by_label("Is a class missing?")).to_be_focused()


def test_a_name_is_given_another_meaning(visit: Any) -> None:
    one = visit(hash="#/carnivores/wn30:n02114100")
    one.heading("wolf")
    page = one.page
    page.get_by_label("Is a class missing?").fill("moon dog")
    page.keyboard.press("Enter")
    meaning = page.get_by_label("What moon dog means")
    expect(meaning).to_be_visible()
    expect(page.locator("#added li")).to_contain_text("a kind of")
    before = meaning.input_value()
    other = next(v for o in meaning.locator("option").all() if (v := o.get_attribute("value")) != before)
    meaning.focus()
    meaning.select_option(other)
    expect(meaning).to_be_enabled()
    expect(meaning).to_have_value(other)
    expect(meaning).to_be_focused()
    meaning.select_option(label="wolf · in the graph")  # what the graph shows can be chosen too
    expect(meaning).to_have_value("wn30:n02114100")
    page.get_by_role("button", name="Take moon dog away").click()
    expect(page.locator("#added li")).to_have_count(0)


def test_encoders_are_compared_side_by_side(visit: Any, cat: Path) -> None:
    one = visit()
    one.drop(cat, "image/png")
    expect(one.first()).to_be_visible()
    one.page.locator("#models label", has_text="nearest").click()
    expect(one.first("nearest")).to_be_visible()
    left, right = (one.page.locator(f'.card[data-bundle="{name}"]').bounding_box() for name in ("closed", "nearest"))
    assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
    expect(one.page.locator("#verdict")).to_be_visible()
    expect(one.page.locator("#models input[value='torn']")).to_be_disabled()


def test_problems_say_what_to_do(visit: Any, cat: Path, tmp_path: Path) -> None:
    one = visit()
    text = tmp_path / "notes.txt"
    text.write_text("no picture")
    one.drop(text, "text/plain")
    expect(one.page.locator("#trouble .problem")).to_contain_text("Take a JPEG")
    one.drop(text, "image/jpeg")  # says it is one
    expect(one.page.locator(".card .problem")).to_be_visible()
    expect(one.page.locator("#trouble .problem")).to_have_count(0)
    one.drop(cat, "image/png")
    expect(one.first()).to_be_visible()
    one.page.get_by_label("Is a class missing?").fill("beagle")
    one.page.keyboard.press("Enter")
    expect(one.page.locator("#adding-trouble .problem")).to_contain_text("What to do")
    one.walk("wn30:n99999999")
    expect(one.page.locator("#around .problem")).to_contain_text("wn30:n99999999")


def test_what_the_service_says_is_text(visit: Any) -> None:
    one = visit(hash="#/strange/t:000")
    one.heading(MARKUP)
    assert one.page.locator("img[src='x']").count() == 0
    one.page.fill("#search", "img")
    expect(one.page.locator("#found li").first).to_contain_text("<img")
    assert one.page.title() == f"{MARKUP} · kgzsl"


def test_the_key_is_asked_for(browser: Any, visit: Any, artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "key.txt").write_text(KEY)
    process, url = _start(artifacts / "carnivores.kg", tmp_path / "state", "--api-key-file", str(tmp_path / "key.txt"))
    try:
        page = visit(url=url).page
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#key-wrong")).to_contain_text("not the key")
        page.get_by_label("API key").fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#node-name")).to_contain_text("dog")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.reload()
        expect(page.locator("#node-name")).to_contain_text("dog")  # it was kept in the tab
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_is_accessible_and_fits(visit: Any, cat: Path, size: dict[str, int], scheme: str) -> None:
    one = visit(hash="#/carnivores/wn30:n02083346", size=size, scheme=scheme)
    one.heading("canine")
    one.page.locator("#models label", has_text="nearest").click()
    one.drop(cat, "image/png")
    expect(one.first("closed")).to_be_visible()
    expect(one.first("nearest")).to_be_visible()
    one.page.fill("#search", "wol")
    expect(one.page.locator("#found li").first).to_be_visible()
    one.page.keyboard.press("ArrowDown")
    found = axe.Axe().run(one.page)
    assert found.violations_count == 0, found.generate_report()
    wide = one.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= size["width"], "the page scrolls sideways"


def test_nothing_jumps_while_it_opens(visit: Any) -> None:
    one = visit(hash="#/carnivores/wn30:n02083346")
    one.heading("canine")
    assert one.page.evaluate(SHIFTED) < 0.05


def test_motion_is_left_out_where_it_is_not_wanted(visit: Any) -> None:
    lasts = "() => getComputedStyle(document.querySelector('#drawing a')).transitionDuration"
    still, moving = (visit(hash="#/carnivores/wn30:n02083346", motion=how) for how in ("reduce", "no-preference"))
    for one in (still, moving):
        one.heading("canine")
    assert still.page.evaluate(lasts) == "0s"
    assert moving.page.evaluate(lasts) != "0s"


def test_scripts_and_styles_are_files(served: str) -> None:
    with urllib.request.urlopen(served) as response:  # noqa: S310, our own address
        policy, page = response.headers["content-security-policy"], response.read().decode()
    assert "unsafe" not in policy and "default-src 'none'" in policy
    assert "<style" not in page and "style=" not in page and "<script>" not in page and "onclick" not in page
    assert "http" not in page.replace("http-equiv", "")
