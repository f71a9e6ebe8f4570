"""What a service is started with, and the limits that keep a stranger's request from taking it down."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kgzsl.artifacts import MANIFEST
from kgzsl.errors import InvalidInputError
from kgzsl.workspace import cache_root


@dataclass(frozen=True)
class Limits:
    """Bounds of one request.

    Attributes
    ----------
    body : bytes of a request's body.
    pixels : of one image, before it is decoded.
    images, rows : per prediction.
    top : answers per row.
    restrict : classes that a prediction may be restricted to.
    add : classes added by one request; `added` is how many a bundle can hold.
    names : classes of one embedding request.
    text : characters of a search, a name or a query.
    listed : nodes, edges, classes or rows of one answer.
    query_seconds, image_seconds : time of a SPARQL query and of decoding one image; what takes longer is ended.
    waiting : requests that may wait for one bundle's predictions; more are told to come back.
    """

    body: int = 64 * 2**20
    pixels: int = 40_000_000
    images: int = 64
    rows: int = 4096
    top: int = 100
    restrict: int = 30_000
    add: int = 100
    added: int = 5_000
    names: int = 1_000
    text: int = 10_000
    listed: int = 1_000
    query_seconds: float = 10.0
    image_seconds: float = 10.0
    waiting: int = 1_000


@dataclass(frozen=True)
class Settings:
    """How the service is started; travels to its worker processes as JSON.

    Attributes
    ----------
    folders : artifacts (bundles, graphs), or folders that hold some.
    graphs : further graph artifacts.
    host, port : address; loopback unless told otherwise.
    workers : processes that answer.
    state : folder that the workers share: classes added at run time.
    api_key : digest of the key that clients must send, SHA-256 in hex; None asks for none.
    page : whether `/` serves the page.
    """

    folders: tuple[str, ...] = ()
    graphs: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 1
    state: str = field(default_factory=lambda: str(cache_root() / "service"))
    api_key: str | None = None
    page: bool = True
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> str:
        """Return the settings as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Take back what `to_json` returned."""
        values = json.loads(text)
        return cls(
            **{**values, "folders": tuple(values["folders"]), "graphs": tuple(values["graphs"]), "limits": Limits(**values["limits"])}
        )


def artifacts_in(folders: Sequence[str]) -> list[Path]:
    """Return the artifact folders among `folders` and directly inside them, by name; hidden ones aside.

    Raises
    ------
    InvalidInputError : a folder that is not there.
    """
    found: list[Path] = []
    for name in folders:
        folder = Path(name)
        if not folder.is_dir():
            raise InvalidInputError(
                "what is served is an artifact, or a folder that holds some",
                received=str(folder),
                remedy="make one: kgzsl fit, kgzsl graph build",
            )
        if (folder / MANIFEST).is_file() or folder.suffix in (".bundle", ".kg"):
            found.append(folder)
        else:
            found += sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".") and _serves(p))
    return list(dict.fromkeys(found))


def _serves(path: Path) -> bool:
    """Whether a folder is a bundle or a graph, sound or not; what else a folder of results holds is passed over."""
    if path.suffix in (".bundle", ".kg"):
        return True
    try:
        return json.loads((path / MANIFEST).read_text(encoding="utf-8")).get("kind") in ("bundle", "graph")
    except (OSError, ValueError, AttributeError):
        return False
