"""What the service answers, as dataclasses: its OpenAPI description is made of them, and `kgzsl.Client` returns them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Node:
    """A node of a graph; `score` is there where it was searched for."""

    id: str
    label: str
    text: str = ""
    kind: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Edge:
    """An edge, as it is stated."""

    subject: str
    relation: str
    object: str
    weight: float = 1.0


@dataclass(frozen=True)
class Found:
    """Nodes that a search found, best first."""

    nodes: list[Node]


@dataclass(frozen=True)
class Path:
    """A way through the graph; empty where there is none."""

    nodes: list[Node]
    edges: list[Edge]


@dataclass(frozen=True)
class Neighbours:
    """What is around a node; `total` counts its edges, shown or not."""

    node: Node
    nodes: list[Node]
    edges: list[Edge]
    total: int


@dataclass(frozen=True)
class Graph:
    """A graph; all but the first three are null in a list where it is broken."""

    name: str
    status: Literal["ready", "broken"]
    problem: str | None = None
    nodes: int | None = None
    edges: int | None = None
    digest: str | None = None
    relations: dict[str, int] | None = None
    kinds: dict[str, int] | None = None
    sources: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class Rows:
    """Answer to a SPARQL query; see `kgzsl.graphs.query.Answer`."""

    kind: Literal["select", "ask", "construct"]
    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


@dataclass(frozen=True)
class Bundle:
    """A bundle; all but the first three are null in a list where it is broken."""

    name: str
    status: Literal["ready", "broken"]
    problem: str | None = None
    classes: int | None = None
    seen: int | None = None
    backbone: str | None = None
    encoder: str | None = None
    graph: str | None = None
    can_add: bool | None = None
    digest: str | None = None
    features: int | None = None
    gamma: float | None = None
    recipe: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    graph_digest: str | None = None
    classifier: dict[str, Any] | None = None


@dataclass(frozen=True)
class Class:
    """A class of a bundle."""

    id: str
    name: str
    seen: bool
    added: bool = False


@dataclass(frozen=True)
class Classes:
    """Classes of a bundle; `total` counts those that fit, shown or not."""

    classes: list[Class]
    total: int


@dataclass(frozen=True)
class Answer:
    """A predicted class; `confidence` is its share among the candidates."""

    id: str
    name: str
    score: float
    seen: bool
    added: bool
    confidence: float


@dataclass(frozen=True)
class Explanation:
    """Why the first answer was given.

    Attributes
    ----------
    parents, children : labels of what is above and below it.
    carriers : `[name, share]` of the seen classes that carried its score, best first.
    path : from the class to the seen class that carried most.
    """

    parents: list[str]
    children: list[str]
    carriers: list[tuple[str, float]]
    path: Path


@dataclass(frozen=True)
class BackOff:
    """The most specific thing that is likelier than not."""

    id: str
    name: str
    confidence: float


@dataclass(frozen=True)
class Prediction:
    """What one row or image is: explanation and back-off where they were asked for, `problem` where an image could not be read."""

    answers: list[Answer]
    explanation: Explanation | None = None
    backoff: BackOff | None = None
    file: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Predictions:
    """One prediction per row or image, in their order."""

    predictions: list[Prediction]


@dataclass(frozen=True)
class Candidate:
    """A node that a name may mean."""

    id: str
    label: str
    score: float


@dataclass(frozen=True)
class AddedClass:
    """A class that was added; `node` is what it is, or what it is a kind of."""

    id: str
    name: str
    node: str
    relation: Literal["is", "kind of"]
    candidates: list[Candidate] = field(default_factory=list)
    milliseconds: float = 0.0


@dataclass(frozen=True)
class AddedClasses:
    """Added classes, in the order in which they came."""

    added: list[AddedClass]


@dataclass(frozen=True)
class Vector:
    """An embedded class; `candidates` are there where it was a name."""

    id: str
    name: str
    node: str | None = None
    candidates: list[Candidate] = field(default_factory=list)


@dataclass(frozen=True)
class Vectors:
    """Embedded classes: `vectors` as rows of numbers, or `data` as base64 of little-endian float32 rows."""

    classes: list[Vector]
    dim: int
    vectors: list[list[float]] | None = None
    data: str | None = None


@dataclass(frozen=True)
class Embedding:
    """A space that classes are embedded in."""

    name: str
    kind: Literal["text", "weights"]
    dim: int
    classes: int
    of: str


@dataclass(frozen=True)
class Nearest:
    """Classes nearest to one, by cosine, best first; itself aside."""

    id: str
    nearest: list[Candidate]


@dataclass(frozen=True)
class Status:
    """Whether the service lives, or is ready."""

    status: str


@dataclass(frozen=True)
class Version:
    """Versions of the packages and digests of the artifacts."""

    kgzsl: str
    python: str
    packages: dict[str, str]
    artifacts: dict[str, dict[str, str]]
    generation: int


@dataclass(frozen=True)
class Reloaded:
    """What a reload found."""

    graphs: int
    bundles: int
    broken: int
    seconds: float


_CLASSES = {"type": "array", "items": {"type": "string"}}
_CHOICE = {
    "top": {"type": "integer", "minimum": 1, "maximum": 100, "default": 5},
    "candidates": {"type": "string", "enum": ["all", "seen", "unseen"], "default": "all"},
}
#: JSON schemas of the bodies that are read without a model.
BODIES: dict[str, dict[str, Any]] = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "received": {"type": ["string", "null"]},
            "remedy": {"type": ["string", "null"]},
        },
    },
    "Sparql": {
        "type": "object",
        "required": ["query"],
        "properties": {"query": {"type": "string", "maxLength": 10000}, "limit": {"type": "integer", "minimum": 1, "maximum": 1000}},
        "examples": [
            {"query": "SELECT ?node ?label { ?node skos:prefLabel ?label }", "limit": 3},
            {"query": "SELECT (COUNT(*) AS ?edges) { ?kind kgzsl:hypernym ?class }"},
            {"query": "DESCRIBE wn30:n02084071"},
        ],
    },
    "FeatureRows": {
        "type": "object",
        "required": ["rows"],
        "properties": {
            "rows": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "minItems": 1},
            **_CHOICE,
            "classes": {**_CLASSES, "description": "Only these classes may answer"},
            "explain": {"type": "boolean", "default": False},
        },
    },
    "Images": {
        "type": "object",
        "required": ["files"],
        "properties": {
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
            **_CHOICE,
            "classes": {"type": "string", "description": "A JSON list of ids: only these classes may answer"},
            "explain": {"type": "boolean", "default": False},
        },
    },
    "NewClasses": {
        "type": "object",
        "examples": [
            {"classes": [{"name": "electric scooter"}, {"name": "robot dog", "text": "a walking machine with four legs of metal"}]},
            {"classes": [{"node": "wn30:n02084071"}]},
            {"classes": [{"name": "liger", "below": "wn30:n02127808"}]},
        ],
        "required": ["classes"],
        "properties": {
            "classes": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "description": "What it is called"},
                        "node": {"type": "string", "description": "A node of the graph: with a name, the one that the name means"},
                        "below": {"type": "string", "description": "With a name: the node that it is a kind of"},
                        "text": {"type": "string", "description": "With a name: what it looks like, in words"},
                    },
                },
            }
        },
    },
    "ClassesToEmbed": {
        "type": "object",
        "required": ["classes"],
        "properties": {
            "classes": {**_CLASSES, "minItems": 1, "maxItems": 1000},
            "format": {"type": "string", "enum": ["json", "base64", "arrow"], "default": "json"},
        },
        "examples": [
            {"classes": ["wn30:n02084071", "electric scooter"]},
            {"classes": ["wn30:n02084071"], "format": "base64"},
            {"classes": ["red panda"], "format": "arrow"},
        ],
    },
}


def body(name: str, *kinds: str, others: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what says in the description of a route that its body is of the schema `name`."""
    content: dict[str, Any] = {kind: {"schema": {"$ref": f"#/components/schemas/{name}"}} for kind in kinds}
    return {"requestBody": {"required": True, "content": {**content, **(others or {})}}}
