"""Ids at the border; names and their choices."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kgzsl.encoders import ENCODERS, Encoder
from kgzsl.errors import InvalidInputError, UnknownNameError
from kgzsl.ids import curie, curies, read_ids, wnid
from kgzsl.registry import Resolver


def test_wnids_become_curies():
    assert curie("n02084071") == "wn30:n02084071" == curie("wn30:n02084071")
    assert wnid("wn30:n02084071") == "n02084071"
    assert curies(["n02084071", "cn:dog"]) == ("wn30:n02084071", "cn:dog")


@pytest.mark.parametrize("text", ["dog", "", "n123", "n020840711", "wn30:", "a b:c d"])
def test_other_texts_are_no_ids(text):
    with pytest.raises(InvalidInputError, match="CURIE"):
        curie(text)


def test_class_lists(tmp_path):
    file = tmp_path / "classes.txt"
    file.write_text("# mine\nn02084071\n\nwn30:n02121808  # cats\n")
    assert read_ids(str(file)) == ("wn30:n02084071", "wn30:n02121808")
    file.write_text("n02084071\nn02084071\n")
    with pytest.raises(InvalidInputError, match="twice"):
        read_ids(str(file))
    file.write_text("# nothing\n")
    with pytest.raises(InvalidInputError, match="at least one"):
        read_ids(str(file))
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_ids(str(file))
    with pytest.raises(InvalidInputError, match="No such file"):
        read_ids(str(tmp_path / "none.txt"))


def test_unknown_names_list_the_choices():
    with pytest.raises(UnknownNameError, match=r"choose from: .*dgp.*sgcn"):
        ENCODERS.lookup("gnc")


def test_a_taken_name_is_refused():
    class Other(ENCODERS.lookup("sgcn")):  # type: ignore[misc]
        pass

    resolver = Resolver("encoders", Encoder, [ENCODERS.lookup("sgcn")])  # type: ignore[type-abstract]
    with pytest.raises(InvalidInputError, match="sgcn"):
        resolver.register(Other)


def test_every_entry_says_what_it_is_and_where_from():
    for entry in ENCODERS:
        assert len(entry.summary) > 20 and len(entry.source) > 10, entry.name


def test_import_is_light():
    code = (
        "import sys, time; t = time.perf_counter(); import kgzsl; s = time.perf_counter() - t; "
        "heavy = {'torch', 'nltk', 'transformers', 'scipy'} & set(sys.modules); print(s < 0.5, heavy or 'none')"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["True", "none"]
