"""A client of the service, with the standard library alone; what it returns are the dataclasses of `kgzsl.service.schemas`."""

from __future__ import annotations

import base64
import http.client
import json
import os
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import numpy as np

from kgzsl.errors import InvalidInputError, KgzslError
from kgzsl.service import schemas

T = TypeVar("T")
Image = str | os.PathLike[str] | bytes
Candidates = Literal["all", "seen", "unseen"]


class ServiceProblem(KgzslError):
    """The service refused; `status` and `type` are those of its problem (RFC 9457)."""

    def __init__(self, status: int, told: Mapping[str, Any]) -> None:
        self.status, self.type = status, str(told.get("type", "about:blank"))
        super().__init__(str(told.get("detail", f"status {status}")), received=told.get("received"), remedy=told.get("remedy"))


class Client:
    """Speaks with a running `kgzsl serve`; one connection, kept open. Not shared between threads.

    Parameters
    ----------
    url : of the service.
    api_key : where it asks for one.
    timeout : seconds of one request.

    Examples
    --------
    >>> with Client("http://127.0.0.1:8765") as client:  # doctest: +SKIP
    ...     client.add_classes("hidden200", ["electric scooter"])
    ...     client.predict_images("hidden200", ["photo.jpg"], top=3)
    """

    def __init__(self, url: str = "http://127.0.0.1:8765", *, api_key: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidInputError("a service has an http or https address", received=url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._base = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    # ---- the service

    def ready(self) -> bool:
        """Return whether the service is up and has opened its artifacts."""
        try:
            return bool(self._json("GET", "/v1/ready")["status"] == "ready")
        except (OSError, http.client.HTTPException, ServiceProblem):
            return False

    def version(self) -> schemas.Version:
        """Return versions and the digests of the artifacts."""
        return _typed(schemas.Version, self._json("GET", "/v1/version"))

    def reload(self) -> schemas.Reloaded:
        """Have new and changed artifacts opened."""
        return _typed(schemas.Reloaded, self._json("POST", "/v1/reload"))

    # ---- graphs

    def graphs(self) -> list[schemas.Graph]:
        """Return all graphs, broken ones too."""
        return _typed(list[schemas.Graph], self._json("GET", "/v1/graphs"))

    def graph(self, graph: str) -> schemas.Graph:
        """Return what is told of a graph."""
        return _typed(schemas.Graph, self._json("GET", f"/v1/graphs/{_part(graph)}"))

    def search(
        self, graph: str, text: str, *, mode: Literal["prefix", "fuzzy", "meaning"] = "prefix", limit: int = 20
    ) -> list[schemas.Node]:
        """Return nodes by text, best first."""
        return _typed(schemas.Found, self._json("GET", f"/v1/graphs/{_part(graph)}/search", q=text, mode=mode, limit=limit)).nodes

    def node(self, graph: str, identifier: str) -> schemas.Node:
        """Return a node."""
        return _typed(schemas.Node, self._json("GET", f"/v1/graphs/{_part(graph)}/nodes/{_part(identifier)}"))

    def neighbours(self, graph: str, identifier: str, *, limit: int = 50, relation: str | None = None) -> schemas.Neighbours:
        """Return what is around a node."""
        path = f"/v1/graphs/{_part(graph)}/nodes/{_part(identifier)}/neighbours"
        return _typed(schemas.Neighbours, self._json("GET", path, limit=limit, relation=relation))

    def path(self, graph: str, start: str, end: str) -> schemas.Path:
        """Return the shortest way between two nodes."""
        return _typed(schemas.Path, self._json("GET", f"/v1/graphs/{_part(graph)}/path", **_reserved("from", start), to=end))

    def sparql(self, graph: str, query: str, *, limit: int = 1000) -> schemas.Rows:
        """Return the answer to a SPARQL query."""
        return _typed(schemas.Rows, self._json("POST", f"/v1/graphs/{_part(graph)}/sparql", body={"query": query, "limit": limit}))

    def export(self, graph: str, format: str = "ntriples") -> bytes:
        """Return the graph in another tool's format; see `kgzsl graph export`."""
        return self._send("GET", f"/v1/graphs/{_part(graph)}/export", {"format": format})

    # ---- embeddings

    def embeddings(self) -> list[schemas.Embedding]:
        """Return all spaces that classes are embedded in."""
        return _typed(list[schemas.Embedding], self._json("GET", "/v1/embeddings"))

    def embed(self, name: str, classes: Sequence[str]) -> tuple[list[schemas.Vector], np.ndarray]:
        """Return what each id or free name means, and the vectors, float32 `[classes, dim]`."""
        body = {"classes": list(classes), "format": "base64"}
        found = _typed(schemas.Vectors, self._json("POST", f"/v1/embeddings/{_part(name)}", body=body))
        return found.classes, np.frombuffer(base64.b64decode(found.data or ""), dtype="<f4").reshape(-1, found.dim)

    def nearest(self, name: str, identifier: str, *, limit: int = 10) -> list[schemas.Candidate]:
        """Return the classes nearest to an id or a free name."""
        told = self._json("GET", f"/v1/embeddings/{_part(name)}/nearest", limit=limit, **_reserved("class", identifier))
        return _typed(schemas.Nearest, told).nearest

    # ---- bundles

    def bundles(self) -> list[schemas.Bundle]:
        """Return all bundles, broken ones too."""
        return _typed(list[schemas.Bundle], self._json("GET", "/v1/bundles"))

    def bundle(self, bundle: str) -> schemas.Bundle:
        """Return what is told of a bundle."""
        return _typed(schemas.Bundle, self._json("GET", f"/v1/bundles/{_part(bundle)}"))

    def classes(self, bundle: str, text: str = "", *, seen: bool | None = None, limit: int = 100) -> schemas.Classes:
        """Return classes whose names hold a text."""
        told = None if seen is None else str(seen).lower()
        return _typed(schemas.Classes, self._json("GET", f"/v1/bundles/{_part(bundle)}/classes", q=text, seen=told, limit=limit))

    def predict_features(
        self,
        bundle: str,
        rows: np.ndarray | Sequence[Sequence[float]],
        *,
        top: int = 5,
        candidates: Candidates = "all",
        classes: Sequence[str] | None = None,
        explain: bool = False,
    ) -> list[schemas.Prediction]:
        """Return predictions of feature rows `[rows, features]`."""
        path = f"/v1/bundles/{_part(bundle)}/predict/features"
        matrix = np.ascontiguousarray(rows, dtype="<f4")
        if classes is None:
            asked = {"top": top, "candidates": candidates, "explain": str(explain).lower()}
            told = json.loads(self._send("POST", path, asked, matrix.tobytes(), "application/octet-stream"))
        else:
            body = {"rows": matrix.tolist(), "top": top, "candidates": candidates, "classes": list(classes), "explain": explain}
            told = self._json("POST", path, body=body)
        return _typed(schemas.Predictions, told).predictions

    def predict_images(
        self,
        bundle: str,
        images: Sequence[Image],
        *,
        top: int = 5,
        candidates: Candidates = "all",
        classes: Sequence[str] | None = None,
        explain: bool = False,
    ) -> list[schemas.Prediction]:
        """Return predictions of image files, given as paths or as their bytes."""
        asked = {"top": str(top), "candidates": candidates, "explain": str(explain).lower()}
        if classes is not None:
            asked["classes"] = json.dumps(list(classes))
        body, kind = _multipart(images, asked)
        told = json.loads(self._send("POST", f"/v1/bundles/{_part(bundle)}/predict/images", {}, body, kind))
        return _typed(schemas.Predictions, told).predictions

    def add_classes(self, bundle: str, classes: Sequence[str | Mapping[str, str]]) -> list[schemas.AddedClass]:
        """Add classes by name, or as `{"name", "node", "below", "text"}`; see the API's description."""
        entries = [{"name": one} if isinstance(one, str) else dict(one) for one in classes]
        told = self._json("POST", f"/v1/bundles/{_part(bundle)}/classes", body={"classes": entries})
        return _typed(schemas.AddedClasses, told).added

    def added_classes(self, bundle: str) -> list[schemas.AddedClass]:
        """Return the added classes."""
        return _typed(schemas.AddedClasses, self._json("GET", f"/v1/bundles/{_part(bundle)}/classes/added")).added

    def remove_class(self, bundle: str, identifier: str) -> None:
        """Take an added class away."""
        self._send("DELETE", f"/v1/bundles/{_part(bundle)}/classes/added/{_part(identifier)}", {})

    # ---- the wire

    def _json(self, method: str, path: str, *, body: Mapping[str, Any] | None = None, **query: object) -> Any:
        content = json.dumps(body).encode() if body is not None else None
        return json.loads(self._send(method, path, query, content, "application/json"))

    def _send(self, method: str, path: str, query: Mapping[str, Any], body: bytes | None = None, kind: str | None = None) -> bytes:
        """Return the body of the answer; a connection that the service closed meanwhile is opened again, once."""
        given = {k: v for k, v in query.items() if v is not None}
        address = self._base + path + (f"?{urlencode(given)}" if given else "")
        headers = {**self._headers, **({"Content-Type": kind} if body is not None and kind else {})}
        for last in (False, True):
            fresh = self._connection.sock is None
            try:
                self._connection.request(method, address, body, headers)
                answer = self._connection.getresponse()
                content = answer.read()
                break
            except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError):
                self._connection.close()
                if last or fresh:
                    raise
        if answer.status < 400:
            return content
        try:
            told = json.loads(content)
        except ValueError:
            told = {"detail": content[:200].decode("utf-8", "replace")}
        raise ServiceProblem(answer.status, told if isinstance(told, dict) else {})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _reserved(name: str, value: str) -> dict[str, Any]:
    """A parameter whose name is a word of Python."""
    return {name: value}


def _part(text: str) -> str:
    """A name or an id as one part of a path."""
    return quote(text, safe=":")


def _multipart(images: Sequence[Image], asked: Mapping[str, str]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in asked.items()]
    for number, image in enumerate(images):
        content, name = (image, f"image{number}") if isinstance(image, bytes) else (Path(image).read_bytes(), quote(Path(image).name))
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'
        parts.append(f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _typed(kind: type[T] | Any, value: Any) -> Any:
    """Return JSON as the dataclass, or list of dataclasses, that it is; fields of a newer service are passed over."""
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        known = {f.name for f in fields(kind)}
        return typing.cast(Any, kind)(**{k: _typed(hints[k], v) for k, v in value.items() if k in known})
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if value is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return _typed(next(a for a in inner if a is not type(None)), value)
    if origin is list:
        return [_typed(inner[0], v) for v in value]
    if origin is tuple:
        return tuple(value)
    return value
