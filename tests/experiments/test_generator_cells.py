"""Cells of generators: what the schema takes, the shipped ones, and the published benchmark's, whose features are not here."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
import yaml

from kgzsl.datasets import FEATURE_SETS
from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, UnknownNameError
from kgzsl.experiments.cell import Cell, cell_of, load_cell, shipped_cells
from kgzsl.experiments.runner import check_cell, make_plan
from kgzsl.generators import GENERATORS
from kgzsl.tasks.generation import BOUNDS, Use
from kgzsl.workspace import Workspace

CELLS = [cell for cell in map(load_cell, shipped_cells()) if cell.generator is not None]
METHODS = [entry.name for entry in GENERATORS]
#: Conditioned by graphs in which only the classes of Animals with Attributes stand.
OF_GRAPHS = ("kggan", "ontozsl")
PUBLISHED = {f"xlsa17-{name}" for name in ("awa2", "cub", "sun")}


def content(**changes: Any) -> dict[str, Any]:
    made = {
        "name": "local_fclswgan_cub",
        "source": "a test of the schema",
        "task": "feature-zsl",
        "dataset": "cub",
        "generator": {"name": "fclswgan", "settings": {"epochs": 3}, "head": "nearest", "per_class": 10},
        "seeds": [0],
    }
    return {key: value for key, value in (made | changes).items() if value is not None}


def test_a_generator_is_a_cells_method() -> None:
    cell = cell_of(content(), "here")
    assert (cell.method, cell.settings) == ("fclswgan", {"epochs": 3}) and cell.generator is not None
    assert Use.of(cell.generator) == Use("nearest", per_class=10)
    check_cell(cell)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"method": {"name": "eszsl"}}, "method"),
        ({"generator": None}, "method"),
        ({"generator": {"settings": {}}}, "name"),
        ({"generator": {"name": "fclswgan", "heads": "softmax"}}, "heads"),
        ({"generator": {"name": "fclswgan", "per_class": 0}}, "per_class"),
        ({"generator": {"name": "fclswgan", "per_class": 2.5}}, "per_class"),
        ({"generator": {"name": "fclswgan", "patience": -1}}, "patience"),
        ({"generator": {"name": "fclswgan", "head": {"settings": {}}}}, "head"),
        ({"task": "composition-zsl"}, "generator"),
    ],
)
def test_what_the_schema_refuses(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        cell_of(content(**changes), "here")


@pytest.mark.parametrize(
    ("generator", "error", "named"),
    [
        ({"name": "gan"}, UnknownNameError, "fclswgan"),
        ({"name": "eszsl"}, UnknownNameError, "fclswgan"),  # a classifier draws nothing
        ({"name": "fclswgan", "settings": {"hiden": 3}}, InvalidInputError, "hiden"),
        ({"name": "fclswgan", "settings": {"hidden": 0}}, InvalidInputError, "hidden"),
        ({"name": "fclswgan", "head": "svm"}, UnknownNameError, "softmax"),
        ({"name": "fclswgan", "head": {"name": "nearest", "settings": {"k": 3}}}, InvalidInputError, "k"),
        ({"name": "oracle", "settings": {"epochs": 3}}, InvalidInputError, "no settings"),
    ],
)
def test_what_is_refused_before_the_work(generator: dict[str, Any], error: type[KgzslError], named: str) -> None:
    with pytest.raises(error, match=named):
        check_cell(cell_of(content(generator=generator), "here"))


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_names_its_generator_and_takes_its_settings(cell: Cell) -> None:
    check_cell(cell)
    assert cell.method in (*METHODS, *BOUNDS) and len(cell.seeds) >= 3
    assert cell.generator is not None and Use.of(cell.generator).per_class >= 1
    assert re.fullmatch(r"([a-z]+\d{4})_[a-z0-9-]+_[a-z0-9-]+", cell.name)


@pytest.mark.parametrize("dataset", ["cub", "awa1"])
def test_every_generator_and_both_bounds_have_a_cell_on_the_sets_that_are_here(dataset: str) -> None:
    own = {cell.method for cell in CELLS if cell.dataset == dataset}
    assert own >= {*METHODS, *BOUNDS}


class TestPublishedBenchmark:
    cells: ClassVar = [cell for cell in CELLS if cell.dataset in PUBLISHED]

    def test_every_method_has_its_cells(self) -> None:
        have = {(cell.method, cell.dataset) for cell in self.cells}
        assert have == {(m, d) for m in METHODS for d in PUBLISHED if m not in OF_GRAPHS or d == "xlsa17-awa2"}

    @pytest.mark.parametrize("cell", cells, ids=lambda cell: cell.name)
    def test_published_numbers_have_a_source_and_say_whether_they_compare(self, cell: Cell) -> None:
        assert cell.dataset in {e.name for e in FEATURE_SETS}
        assert cell.name.endswith(f"_{cell.dataset}") and cell.published
        for entry in cell.published:
            assert entry["metric"] in {"T1", "U, gzsl argmax", "S, gzsl argmax", "H, gzsl argmax"} and 0 < entry["value"] < 100
            assert re.search(r"(19|20)\d\d|comparisons", entry["source"])
            assert entry["comparable"] or len(entry["why"]) > 10
        values = {entry["metric"][0]: entry["value"] for entry in cell.published}
        if {"U", "S", "H"} <= set(values):  # a slip of the pen would show
            assert values["H"] == pytest.approx(2 * values["U"] * values["S"] / (values["U"] + values["S"]), abs=0.2)  # means over runs

    @pytest.mark.parametrize("cell", cells, ids=lambda cell: cell.name)
    def test_networks_have_their_published_size(self, cell: Cell) -> None:
        assert cell.settings.get("hidden", 4096) == 4096 and "precision" not in cell.settings

    @pytest.mark.parametrize("dataset", sorted(PUBLISHED))
    @pytest.mark.data
    def test_without_the_features_it_is_said_which_file_goes_where(self, dataset: str) -> None:
        cell = next(c for c in self.cells if c.dataset == dataset)
        with pytest.raises(MissingDataError, match=rf"xlsa17/{dataset[7:].upper()}/(res101|att_splits)\.mat"):
            make_plan(cell, Workspace())


def test_cells_are_yaml_without_repeated_keys() -> None:
    from kgzsl.experiments.cell import CELLS as FOLDER

    class Strict(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        keys = [loader.construct_object(key) for key, _ in node.value]  # type: ignore[no-untyped-call]
        assert len(set(keys)) == len(keys), keys
        return loader.construct_mapping(node)

    Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    for cell in CELLS:
        yaml.load((FOLDER / f"{cell.name}.yaml").read_text(encoding="utf-8"), Loader=Strict)  # noqa: S506 - a safe loader's subclass
