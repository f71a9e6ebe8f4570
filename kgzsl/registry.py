"""One resolver per noun, on class-resolver; entry points add third parties' classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from class_resolver import ClassResolver

from kgzsl.errors import InvalidInputError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """What `kgzsl list` prints for one name."""

    name: str
    summary: str
    source: str


def parameters(cls: type) -> set[str]:
    """Return the names that a class's constructor takes, following `**settings` up to its bases."""
    names: set[str] = set()
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        found = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        names |= {p.name for p in found if p.kind is not p.VAR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in found):
            break
    return names


class Resolver(Generic[T]):
    """Names → classes of one noun.

    Every class states `name`, `source` (the paper) and a docstring whose first line is the summary.
    Entry points of the group `kgzsl.<noun>` are added on first use.
    """

    def __init__(self, noun: str, base: type[T], classes: Iterable[type[T]]) -> None:
        self.noun = noun
        self._resolver: ClassResolver[T] = ClassResolver(base=base, synonym_attribute=None)
        self._names: dict[str, type[T]] = {}
        self._loaded = False
        for cls in classes:
            self.register(cls)

    def register(self, cls: type[T]) -> type[T]:
        """Add a class under its `name`; a name taken by another class raises InvalidInputError."""
        name: str = getattr(cls, "name", "")
        if not name or (name in self._names and self._names[name] is not cls):
            raise InvalidInputError(f"every one of {self.noun} has a name of its own", received=f"{cls!r} named {name!r}")
        self._names[name] = cls
        self._resolver.register(cls, synonyms=[name], raise_on_conflict=False)
        return cls

    def _load_entry_points(self) -> None:
        if not self._loaded:
            self._loaded = True
            for point in entry_points(group=f"kgzsl.{self.noun}"):
                self.register(point.load())

    def lookup(self, name: str) -> type[T]:
        """Return the class called `name`; an unknown one raises UnknownNameError with the choices."""
        self._load_entry_points()
        if name not in self._names:
            raise UnknownNameError(
                f"a known name of {self.noun} is needed", received=repr(name), remedy=f"choose from: {', '.join(sorted(self._names))}"
            )
        return self._resolver.lookup(name)

    def make(self, name: str, settings: Mapping[str, Any] | None = None) -> T:
        """Return an instance; settings that its constructor does not take raise InvalidInputError."""
        cls = self.lookup(name)
        known = parameters(cls)
        unknown = sorted(set(settings or {}) - known)
        if unknown:
            raise InvalidInputError(
                f"settings of `{name}` must be parameters it has",
                received=", ".join(unknown),
                remedy=f"it takes: {', '.join(sorted(known))}",
            )
        return cls(**(settings or {}))

    def __iter__(self) -> Iterator[Entry]:
        self._load_entry_points()
        for name, cls in sorted(self._names.items()):
            yield Entry(name, (cls.__doc__ or "").strip().split("\n")[0], getattr(cls, "source", ""))
