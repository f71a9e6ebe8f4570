"""Class–attribute tables become the edges that an independent reading of the same files gives."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgzsl.errors import InvalidInputError, KgzslError, MissingDataError, SourceError
from kgzsl.sources import Statements, readers
from kgzsl.sources.attribute_tables import attribute_id, attribute_label
from kgzsl.sources.class_names import awa_ids, cub_ids


def read(path: Path, **setting: Any) -> Statements:
    return readers.make("attributes", setting).read(path)


def edges(found: Statements, relation: str) -> dict[tuple[str, str], float]:
    names, ids = [r.id for r in found.relations], found.ids.to_pylist()
    if relation not in names:
        return {}
    here = found.relation == names.index(relation)
    return {
        (ids[s], ids[o]): float(w)
        for s, o, w in zip(found.subject[here].tolist(), found.object[here].tolist(), found.weight[here].tolist(), strict=True)
    }


def data() -> Path:
    return Path(os.environ["KGZSL_DATA"])


def numbered(path: Path) -> list[str]:
    return [line.split(maxsplit=1)[1].strip() for line in path.read_text().splitlines() if line.strip()]


# ---- the published tables


@pytest.mark.data
def test_the_overall_mean_of_awa_gives_the_authors_binary_matrix() -> None:
    binary = pd.read_csv(data() / "awa1/predicate-matrix-binary.txt", sep=r"\s+", header=None).to_numpy()
    value = pd.read_csv(data() / "awa1/predicate-matrix-continuous.txt", sep=r"\s+", header=None).to_numpy()
    classes, names = numbered(data() / "awa1/classes.txt"), numbered(data() / "awa1/predicates.txt")
    expected = {(f"awa:{classes[i]}", f"awa:{names[j]}"): value[i, j] / 100 for i, j in zip(*np.nonzero(binary), strict=True)}
    found = read(data() / "awa1", layout="awa", threshold="overall_mean")
    assert len(expected) == 1_562
    assert edges(found, "has_attribute") == pytest.approx(expected, abs=1e-6)
    assert found.dropped == {"no answer in the table": 4, "below the threshold": 50 * 85 - 1_562 - 4}
    assert set(edges(read(data() / "awa1", layout="awa", table="binary", threshold=1), "has_attribute")) == set(expected)


@pytest.mark.data
def test_awa_classes_have_the_ids_of_the_dataset_and_lack_what_they_do_not_have() -> None:
    found = read(
        data() / "awa1",
        layout="awa",
        table="binary",
        threshold=1,
        lacks_below=1,
        groups="../kzsl/AwA/attribute_group.json",
        spelling={"quadrupedal": "quadrapedal"},
    )
    kinds = dict(zip(found.ids.to_pylist(), found.kinds.to_pylist(), strict=True))
    assert [i for i, k in kinds.items() if k == "concept"] == list(awa_ids(numbered(data() / "awa1/classes.txt")))
    has, lacks, groups = (edges(found, r) for r in ("has_attribute", "lacks_attribute", "hypernym"))
    assert len(has) == 1_562 and len(lacks) == 2_688 and not set(has) & set(lacks) and not found.dropped
    published = json.loads((data() / "kzsl/AwA/attribute_group.json").read_text())
    squeeze = lambda text: re.sub(r"[^a-z]", "", text.replace("quadrupedal", "quadrapedal"))  # noqa: E731
    assert {(squeeze(a[4:]), g[4:]) for a, g in groups} == {(squeeze(m), g) for g, members in published.items() for m in members}
    assert len(groups) == 85 and "attribute_group.json" in found.info.files
    assert {kinds[g] for _, g in groups} == {"attribute"}


@pytest.mark.data
def test_cub_at_the_mean_of_every_attribute() -> None:
    value = pd.read_csv(data() / "cub/class_attribute_labels_continuous.txt", sep=r"\s+", header=None)
    names, classes = numbered(data() / "cub/attributes.txt"), cub_ids(numbered(data() / "cub/classes.txt"))
    above = (value >= value.mean()) & (value > 0)
    expected = {(classes[i], attribute_id("cub", names[j])): value.iat[i, j] / 100 for i, j in zip(*np.nonzero(above), strict=True)}
    found = read(data() / "cub", layout="cub", threshold="mean")
    assert len(expected) == int(above.to_numpy().sum()) == 17_747
    assert edges(found, "has_attribute") == pytest.approx(expected, abs=1e-6)
    groups = edges(found, "hypernym")
    assert groups == {(attribute_id("cub", n), f"cub:{n.split('::')[0]}"): 1.0 for n in names} and len({g for _, g in groups}) == 28
    assert found.dropped == {"below the threshold": 200 * 312 - 17_747} and found.prefixes == {"cub": "https://w3id.org/kgzsl/cub#"}
    assert all(re.fullmatch(r"cub:[\w.-]+", i) for i in found.ids.to_pylist()[200:])


@pytest.mark.data
def test_cub_by_a_number_with_what_classes_lack() -> None:
    value = pd.read_csv(data() / "cub/class_attribute_labels_continuous.txt", sep=r"\s+", header=None).to_numpy()
    found = read(data() / "cub", layout="cub", threshold=50, lacks_below=1)
    assert (len(edges(found, "has_attribute")), len(edges(found, "lacks_attribute"))) == ((value >= 50).sum(), (value < 1).sum())
    assert found.dropped == {"below the threshold": int(((value >= 1) & (value < 50)).sum())}
    assert min(edges(found, "lacks_attribute").values()) > 0.99 and min(edges(found, "has_attribute").values()) >= 0.5


@pytest.mark.data
def test_the_mat_file_of_awa2_says_what_awa1_says() -> None:
    mat, names = data() / "xlsa17/AWA2_att_splits.mat", "../awa1/predicates.txt"
    raw = read(mat, layout="mat", prefix="awa", table="original_att", scale=100, missing=-1, threshold="overall_mean", names=names)
    text = read(data() / "awa1", layout="awa", threshold="overall_mean")
    assert edges(raw, "has_attribute") == pytest.approx(edges(text, "has_attribute"), abs=1e-4)
    unit = read(mat, layout="mat", prefix="awa", threshold="mean", missing="negative", names=names)
    assert unit.dropped["no answer in the table"] == 4 and 0 < max(edges(unit, "has_attribute").values()) < 1
    with pytest.raises(
        SourceError, match=r"not negative\n  received: AWA2_att_splits.mat, predicates.txt: class 1 \(awa:antelope\), attribute 1"
    ):
        read(mat, layout="mat", prefix="awa", threshold="mean", names=names)


@pytest.mark.data
@pytest.mark.parametrize(("name", "shape"), [("SUN", (717, 102)), ("APY", (32, 64))])
def test_mat_files_without_names_number_their_attributes(name: str, shape: tuple[int, int]) -> None:
    from scipy.io import loadmat

    file = data() / f"xlsa17/{name}_att_splits.mat"
    value = loadmat(file)["original_att"].T
    found = read(file, layout="mat", prefix=name.lower(), table="original_att", threshold=0.5)
    assert value.shape == shape and len(found.ids) == sum(shape) and len(edges(found, "has_attribute")) == (value >= 0.5).sum()
    assert found.ids[-1].as_py() == f"{name.lower()}:attribute_{shape[1]:03}"


# ---- ids and labels


def test_names_of_attributes_become_curies_and_words() -> None:
    assert attribute_id("cub", "has_bill_shape::curved_(up_or_down)") == "cub:has_bill_shape.curved_up_or_down"
    assert attribute_id("cub", "has_size::large_(16_-_32_in)") == "cub:has_size.large_16-32_in"
    assert attribute_id("cub", "has_wing_shape::rounded-wings") == "cub:has_wing_shape.rounded-wings"
    assert attribute_id("x", "wn30:n04960277") == attribute_id("x", "n04960277") == "wn30:n04960277"
    assert attribute_label("has_bill_shape::curved_(up_or_down)") == "bill shape: curved (up or down)"
    with pytest.raises(SourceError, match="letters or digits"):
        attribute_id("x", "::")


# ---- tables of one's own

TABLE = "animal,black,n04960277,shape::long\nn02084071,1,0,0.5\nold cat,0.2,1,0\n"


def test_a_csv_table(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("﻿" + TABLE, encoding="utf-8")
    found = read(tmp_path / "t.csv", layout="csv", prefix="my", threshold=0.5, lacks_below=0.3)
    assert edges(found, "has_attribute") == {
        ("wn30:n02084071", "my:black"): 1.0,
        ("wn30:n02084071", "my:shape.long"): 0.5,
        ("my:old_cat", "wn30:n04960277"): 1.0,
    }
    assert edges(found, "lacks_attribute") == pytest.approx(
        {("wn30:n02084071", "wn30:n04960277"): 1.0, ("my:old_cat", "my:black"): 0.8, ("my:old_cat", "my:shape.long"): 1.0}
    )
    assert edges(found, "hypernym") == {("my:shape.long", "my:shape"): 1.0}
    assert found.labels.to_pylist() == ["n02084071", "old cat", "black", "n04960277", "shape: long", "shape"]
    (tmp_path / "t.tsv").write_text(TABLE.replace(",", "\t"), encoding="utf-8")
    again = read(tmp_path / "t.tsv", layout="csv", prefix="my", threshold=0.5, lacks_below=0.3, separator="\t")
    assert edges(again, "has_attribute") == edges(found, "has_attribute")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("class\na\n", "line 1: 'class'"),
        ("class,x\n", "a header and no row"),
        ("class,x,x\na,1,1\n", "line 1: x"),
        ("class,,y\na,1,1\n", "line 1"),
        ("class,x,y\na,1,1\nb,1\n", "Row #3: Expected 3 columns"),
        ("class,x,y\na,1,1\nb,1,one\n", "Row #3"),
        ("class,x,y\na,1,1\nb,1,\n", "row 3, column 'y': nothing"),
        ("class,x,y\na,1,1\nb,nan,1\n", "row 3, column 'x': NaN"),
        ("class,x,y\na,1,1\nb,inf,1\n", "row 3, column 'x': NaN or infinite"),
        ("class,x,y\na,1,1\nb,1,-0.5\n", r"class 2 \(my:b\), attribute 2 \(my:y\): -0.5"),
        ("class,x,y\na,1,1\nb,1,7\n", r"class 2 \(my:b\), attribute 2 \(my:y\): 7"),
        ("class,x,y\na,1,1\n ,1,1\n", "row 3"),
        ("class,x,y\na,1,1\na,1,1\n", r"t\.csv: a \(1, 2\)"),
        ("class,x y,x_y\na,1,1\n", r"my:x_y \(1, 2\)"),
        ("class,x\na b,1\na_b,1\n", r"my:a_b \(1, 2\)"),
        ("class,a,y\na,1,1\n", "my:a"),
        ("class,x\na,0\n", "the largest value is 0"),
        ("<!DOCTYPE html>\n<html><body>not found</body></html>\n", "line 1"),
    ],
)
def test_a_malformed_csv_table_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=said):
        read(tmp_path / "t.csv", layout="csv", prefix="my", threshold=0.5)


def awa(folder: Path, **files: str) -> Path:
    for name, text in {
        "classes": "1 ox\n2 rat\n",
        "predicates": "1 big\n2 grey\n3 horns\n",
        "predicate-matrix-continuous": "90 10 80\n0 95 -1\n",
        **files,
    }.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("predicate-matrix-continuous", "90 10 80\n0 95\n", "line 2: 2"),
        ("predicate-matrix-continuous", "90 10\n0 95\n", "2 columns for 3 attributes"),
        ("predicate-matrix-continuous", "90 10 80\n", "1 rows for 2 classes"),
        ("predicate-matrix-continuous", "90 10 80\n0 x 1\n", "line 2, column 2: 'x'"),
        ("predicate-matrix-continuous", "90 10 80\n0 nan 1\n", "line 2, column 2: 'nan'"),
        ("predicate-matrix-continuous", "90 10 80\n0 -3 1\n", r"class 2 \(awa:rat\), attribute 2 \(awa:grey\): -3"),
        ("predicate-matrix-continuous", "90 10 800\n0 3 1\n", r"class 1 \(awa:ox\), attribute 3 \(awa:horns\): 800"),
        ("predicate-matrix-continuous", "\n\n", "not empty"),
        ("classes", "1 ox\n3 rat\n", "line 2: '3 rat'"),
        ("classes", "1 ox\n2 ox\n", r"classes\.txt: ox \(1, 2\)"),
        ("classes", "1 ox\n2 grey rat\n", r"classes\.txt|grey rat"),
        ("predicates", "1 big\n2 big\n3 horns\n", r"awa:big \(1, 2\)"),
        ("predicates", "1 big\n2 ox\n3 horns\n", "awa:ox"),
    ],
)
def test_a_malformed_awa_folder_is_refused_with_its_place(tmp_path: Path, file: str, text: str, said: str) -> None:
    assert edges(read(awa(tmp_path), layout="awa", threshold=50), "has_attribute")
    with pytest.raises(SourceError, match=said):
        read(awa(tmp_path, **{file: text}), layout="awa", threshold=50)


MATLAB = {"att": np.array([[0.5, 0], [1, 0.25]]), "allclasses_names": np.array([["ox"], ["rat"]], dtype=object)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"att": np.array([[0.5, 0, 1], [1, 0.25, 1]])}, "3 rows for 2 classes"),
        ({"att": np.array([[0.5, np.nan], [1, 0]])}, "row 1, column 2: nan"),
        ({"att": np.array([[0.5, -1], [1, 0]])}, r"class 2 \(t:rat\), attribute 1 \(t:attribute_001\): -1"),
        ({"att": np.zeros((2, 2, 2))}, "3 axes"),
        ({"att": np.array([[1j, 0], [1, 0]])}, "real numbers"),
        ({"att": "text"}, "real numbers"),
        ({"allclasses_names": np.array([["ox"], ["ox"]], dtype=object)}, r"ox \(1, 2\)"),
        ({"allclasses_names": np.array([[["ox", "cow"]], [["rat"]]], dtype=object)}, "rows for|one name per cell"),
        ({"allclasses_names": None}, "`allclasses_names`"),
    ],
)
def test_a_malformed_mat_file_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "t.mat", MATLAB)
    assert len(read(tmp_path / "t.mat", layout="mat", prefix="t", threshold=0.5).subject) == 2
    savemat(tmp_path / "t.mat", {k: v for k, v in {**MATLAB, **change}.items() if v is not None})
    with pytest.raises(SourceError, match=said):
        read(tmp_path / "t.mat", layout="mat", prefix="t", threshold=0.5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), value=st.integers(0, 255), end=st.booleans(), packed=st.booleans())
def test_a_damaged_mat_file_is_read_or_refused(tmp_path: Path, place: int, value: int, end: bool, packed: bool) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "t.mat", MATLAB, do_compression=packed)
    raw = bytearray((tmp_path / "t.mat").read_bytes())
    place %= len(raw)
    raw[place] = value
    (tmp_path / "t.mat").write_bytes(raw[:place] if end else raw)
    with contextlib.suppress(KgzslError):
        assert len(read(tmp_path / "t.mat", layout="mat", prefix="t", threshold=0.5).ids) >= 4


def test_what_is_no_table_at_all(tmp_path: Path) -> None:
    for layout, prefix in (("awa", None), ("cub", None), ("mat", "x"), ("csv", "x")):
        with pytest.raises(MissingDataError):
            read(tmp_path / "nowhere", layout=layout, prefix=prefix, threshold=0)
    (tmp_path / "t.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(200, b"x"))
    with pytest.raises(SourceError, match="is a MATLAB file"):
        read(tmp_path / "t.mat", layout="mat", prefix="x", threshold=0)
    (awa(tmp_path) / "classes.txt").write_bytes(b"1 \xff\n")
    with pytest.raises(SourceError, match="UTF-8"):
        read(tmp_path, layout="awa", threshold=0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "JSON object"),
        ("{", "JSON object"),
        ('{"size": "big"}', "JSON object"),
        ('{"size": ["large"]}', "'large' of 'size' is no attribute"),
        ('{"size": ["big"], "look": ["big"]}', "'big' of 'look' is in two"),
        ('{"ox": ["big"]}', "awa:ox"),
        ("[" * 100_000, "JSON object"),
    ],
)
def test_malformed_groups_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (awa(tmp_path) / "g.json").write_text(content)
    with pytest.raises(SourceError, match=said):
        read(tmp_path, layout="awa", threshold=50, groups="g.json")
    with pytest.raises(MissingDataError):
        read(tmp_path, layout="awa", threshold=50, groups="other.json")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"layout": "sun", "threshold": 1}, "choose from: awa, cub, mat, csv"),
        ({"layout": "awa", "threshold": 1, "table": "att"}, "choose from: continuous, binary"),
        ({"layout": "awa", "threshold": 1, "prefix": "x"}, "its own prefix"),
        ({"layout": "csv", "threshold": 1}, "needs the prefix"),
        ({"layout": "csv", "threshold": 1, "prefix": "a b"}, "a prefix is a letter"),
        ({"layout": "awa", "threshold": "median"}, "mean, overall_mean"),
        ({"layout": "awa", "threshold": float("nan")}, "finite number"),
        ({"layout": "awa", "threshold": True}, "finite number"),
        ({"layout": "awa", "threshold": 10, "lacks_below": 20}, "not above threshold"),
        ({"layout": "awa", "threshold": 10, "scale": 0}, "above 0"),
        ({"layout": "awa", "threshold": 10, "missing": "none"}, "negative or"),
        ({"layout": "csv", "threshold": 10, "prefix": "x", "separator": ", "}, "one character"),
    ],
)
def test_wrong_settings_are_refused(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        readers.make("attributes", setting)


# ---- generated tables

VALUES = st.one_of(st.just(-1.0), st.floats(0, 1, width=16), st.sampled_from([0.0, 0.5, 1.0]))
FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FAST
@given(
    rows=st.lists(st.lists(VALUES, min_size=3, max_size=3), min_size=1, max_size=5),
    threshold=st.one_of(st.sampled_from(["mean", "overall_mean"]), st.floats(0.5, 1)),
    lacks=st.one_of(st.none(), st.floats(0, 0.5)),
)
def test_a_generated_table_agrees_with_a_slow_loop(
    tmp_path: Path, rows: list[list[float]], threshold: float | str, lacks: float | None
) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["class", "p", "q", "r"], *([f"c{i}", *map(repr, row)] for i, row in enumerate(rows))])
    has, lack, unknown = {}, {}, 0
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            answers = [r[j] for r in rows if r[j] != -1]
            least = {
                "mean": np.sum(answers) / max(len(answers), 1),
                "overall_mean": np.mean(np.array(rows)),
            }.get(threshold, threshold)  # type: ignore[call-overload]
            if value == -1:
                unknown += 1
            elif value > 0 and value >= least:
                has[f"t:c{i}", f"t:{'pqr'[j]}"] = value
            elif lacks is not None and value < lacks:
                lack[f"t:c{i}", f"t:{'pqr'[j]}"] = 1 - value
    setting = {"layout": "csv", "prefix": "t", "threshold": threshold, "lacks_below": lacks, "missing": -1}
    if not has and not lack:
        with pytest.raises(SourceError, match="at least one edge"):
            read(tmp_path / "t.csv", **setting)
        return
    found = read(tmp_path / "t.csv", **setting)
    assert edges(found, "has_attribute") == pytest.approx(has, abs=1e-6)
    assert edges(found, "lacks_attribute") == pytest.approx(lack, abs=1e-6)
    assert found.dropped.get("no answer in the table", 0) == unknown
    assert found.dropped.get("below the threshold", 0) == 3 * len(rows) - unknown - len(has) - len(lack)


@FAST
@given(raw=st.one_of(st.binary(max_size=200), st.text(alphabet='ab,1.\n\r"- \x00é\u2028', max_size=200).map(lambda t: t.encode())))
def test_no_bytes_break_the_reader(tmp_path: Path, raw: bytes) -> None:
    for layout, prefix, names in (
        ("csv", "t", ["t.csv"]),
        ("awa", None, ["classes.txt", "predicates.txt", "predicate-matrix-continuous.txt"]),
        ("mat", "t", ["t.mat"]),
    ):
        for name in names:
            (awa(tmp_path) / name).write_bytes(raw)
            try:
                found = read(tmp_path if layout == "awa" else tmp_path / name, layout=layout, prefix=prefix, threshold=0)
            except KgzslError:
                continue
            assert len(found.subject) and all(re.fullmatch(r"[A-Za-z][\w.-]*:\S+", i) for i in found.ids.to_pylist())
