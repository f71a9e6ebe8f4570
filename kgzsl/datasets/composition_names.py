"""`red dress` → the state Red and the object Dresses of a space, or what it could have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kgzsl.errors import InvalidInputError, UnknownNameError

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSpace

_ARTICLES = {"a", "an", "the"}
#: Suggestions of each kind in an error.
_SUGGESTED = 5


def find_composition(text: str, space: CompositionSpace) -> tuple[int, int]:
    """Return the positions of the state and of the object that `text` names, the state first.

    Case, hyphens, underscores, an article and plurals do not matter; every way to part the words in two is tried. A pair of names that
    is written as the space writes them comes before others. `STATE/OBJECT` parts the words as it stands.

    Raises
    ------
    InvalidInputError : fewer than two words, or two readings.
    UnknownNameError : no such state or object; names like those asked for are listed.
    """
    words = [w for w in re.split(r"[\s_+]+", text.replace("/", " / ").strip()) if w]
    if words and words[0].casefold() in _ARTICLES:
        words = words[1:]
    if len([w for w in words if w != "/"]) < 2:
        raise InvalidInputError(
            "a composition is a state and an object", received=repr(text), remedy=f'for example "{space.states[0]} {space.objects[0]}"'
        )
    if words.count("/") == 1 and 0 < words.index("/") < len(words) - 1:
        cut = words.index("/")
        splits = [(words[:cut], words[cut + 1 :])]
    else:
        words = [w for w in words if w != "/"]
        splits = [(words[:cut], words[cut:]) for cut in range(1, len(words))]
    states, objects = _index(space.states), _index(space.objects)
    found = {(s, o) for left, right in splits for s in states.get(_key(left), ()) for o in objects.get(_key(right), ())}
    exact = {(s, o) for s, o in found if f"{space.states[s]} {space.objects[o]}" == " ".join(words)}
    readings = sorted(exact or found)
    if len(readings) > 1:
        named = "; ".join(f"{space.states[s]}/{space.objects[o]}" for s, o in readings)
        raise InvalidInputError("a composition has one reading", received=f"{text!r}: {named}", remedy="write STATE/OBJECT, as above")
    if not readings:
        raise UnknownNameError(
            f"a composition is one of {len(space.states)} states and one of {len(space.objects)} objects, in this order",
            received=_received(text, splits, states, objects),
            remedy=_turned(splits, space, states, objects) or _suggestions(splits, space),
        )
    return readings[0]


def _key(words: Sequence[str]) -> str:
    """Words without case, hyphens and spaces, the last one's plural taken off."""
    text = re.sub(r"[\W_]+", "", "".join(words).casefold())
    for ending, singular in (("ies", "y"), ("sses", "ss"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("s", "")):
        if text.endswith(ending) and len(text) > len(ending) + 1 and not text.endswith("ss" if ending == "s" else "\0"):
            return text[: -len(ending)] + singular
    return text


def _index(names: Sequence[str]) -> dict[str, list[int]]:
    """Key → positions of the names that have it; `dresses` is found by `dress` and by `dresse` alike."""
    found: dict[str, list[int]] = {}
    for at, name in enumerate(names):
        found.setdefault(_key([name]), []).append(at)
    return found


def _received(text: str, splits: Sequence[tuple[list[str], list[str]]], states: dict[str, list[int]], objects: dict[str, list[int]]) -> str:
    for left, right in splits:
        if _key(left) in states:
            return f"{text!r}: {' '.join(left)!r} is a state, but {' '.join(right)!r} is no object"
        if _key(right) in objects:
            return f"{text!r}: {' '.join(right)!r} is an object, but {' '.join(left)!r} is no state"
    return f"{text!r}: neither a state nor an object of it is known"


def _turned(
    splits: Sequence[tuple[list[str], list[str]]], space: CompositionSpace, states: dict[str, list[int]], objects: dict[str, list[int]]
) -> str | None:
    """Say how to write an object that came before its state."""
    for left, right in splits:
        if _key(left) in objects and _key(right) in states:
            return f'the state comes first: "{space.states[states[_key(right)][0]]} {space.objects[objects[_key(left)][0]]}"'
    return None


def _suggestions(splits: Sequence[tuple[list[str], list[str]]], space: CompositionSpace) -> str:
    parts = []
    for kind, names, asked in (
        ("states", space.states, [a for a, _ in splits]),
        ("objects", space.objects, [b for _, b in splits]),
    ):
        near = _near(asked, names)
        parts.append(f"{kind} like it: {', '.join(near)}" if near else f"{kind}: {', '.join(names[:_SUGGESTED])}, …")
    return "; ".join(parts)


def _near(asked: Sequence[Sequence[str]], names: Sequence[str]) -> list[str]:
    """Names that resemble any of the word groups, best first."""
    keys = {_key([name]): name for name in names}
    scored: dict[str, float] = {}
    for words in asked:
        for key in difflib.get_close_matches(_key(words), list(keys), n=_SUGGESTED, cutoff=0.6):
            ratio = difflib.SequenceMatcher(None, _key(words), key).ratio()
            scored[keys[key]] = max(scored.get(keys[key], 0.0), ratio)
    return sorted(scored, key=lambda name: (-scored[name], name))[:_SUGGESTED]
