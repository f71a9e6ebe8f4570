"""What a person types → a state and an object, or what could have been meant."""

from __future__ import annotations

import numpy as np
import pytest

from kgzsl.datasets.composition_names import find_composition
from kgzsl.datasets.composition_set import CompositionSpace
from kgzsl.errors import InvalidInputError, UnknownNameError


def space(states: tuple[str, ...], objects: tuple[str, ...]) -> CompositionSpace:
    return CompositionSpace("x", states, objects, np.zeros((1, 2), np.int64), np.ones(1, bool))


FASHION = space(
    ("Blue", "Grey", "Grey Melange", "Navy Blue", "Red"),
    ("Casual Shoes", "Clutches", "Dresses", "Hair Accessories", "Nightdress", "Shoe Accessories", "Tshirts", "Watches"),
)


@pytest.mark.parametrize(
    ("text", "state", "obj"),
    [
        ("red dress", "Red", "Dresses"),
        ("a RED t-shirt", "Red", "Tshirts"),
        ("navy blue casual shoe", "Navy Blue", "Casual Shoes"),
        ("navy_blue  watch", "Navy Blue", "Watches"),
        ("grey melange clutch", "Grey Melange", "Clutches"),
        ("Blue/Dresses", "Blue", "Dresses"),
        ("red shoe accessory", "Red", "Shoe Accessories"),
    ],
)
def test_case_plurals_hyphens_and_articles_do_not_matter(text, state, obj):
    found = find_composition(text, FASHION)
    assert (FASHION.states[found[0]], FASHION.objects[found[1]]) == (state, obj)


def test_every_name_of_a_space_is_found_as_it_is_written():
    for s, state in enumerate(FASHION.states):
        for o, obj in enumerate(FASHION.objects):
            assert find_composition(f"{state} {obj}", FASHION) == (s, o)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("red drses", "'red' is a state, but 'drses' is no object.*Dresses"),
        ("rde dress", "'dress' is an object, but 'rde' is no state.*Red"),
        ("dress red", 'the state comes first: "Red Dresses"'),
        ("zinc ☃", "neither a state nor an object"),
    ],
)
def test_unknown_names_are_told_with_those_that_are_like_them(text, said):
    with pytest.raises(UnknownNameError, match=f"(?s){said}"):
        find_composition(text, FASHION)


@pytest.mark.parametrize("text", ["", "red", "  a  ", "/", "red/", "/dress"])
def test_a_composition_is_two_names(text):
    with pytest.raises(InvalidInputError, match="a state and an object"):
        find_composition(text, FASHION)


def test_two_readings_are_told_and_a_slash_decides():
    both = space(("navy", "navy blue"), ("blue whale", "whale"))
    with pytest.raises(InvalidInputError, match=r"navy/blue whale; navy blue/whale"):
        find_composition("navy blue whale", both)
    assert find_composition("navy/blue whale", both) == (0, 0) and find_composition("navy blue/whale", both) == (1, 1)


def test_names_that_differ_in_number_alone_are_told_apart_as_written():
    numbers = space(("red",), ("dress", "dresses"))
    assert find_composition("red dress", numbers) == (0, 0) and find_composition("red dresses", numbers) == (0, 1)
