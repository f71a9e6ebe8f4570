"""What stands before every request: the size of its body, its key, where it comes from; and what is counted of it."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kgzsl.service.problems import problem
from kgzsl.service.settings import Settings

#: Sent with every answer. The page loads nothing from elsewhere and runs no script but its own.
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}
_RAW_HEADERS = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
#: Served without a key: the page, which asks for it, and what a watchdog looks at.
_OPEN = ("/v1/health", "/v1/ready", "/static/")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Metrics:
    """Counts of one worker, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("kgzsl_requests", "Requests by route and status", ["route", "status"], registry=self.registry)
        buckets = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
        self.seconds = Histogram("kgzsl_request_seconds", "Time of a request", ["route"], buckets=buckets, registry=self.registry)
        self.running = Gauge("kgzsl_requests_running", "Requests being answered", registry=self.registry)
        self.rows = Counter("kgzsl_predicted_rows", "Rows that were predicted", ["bundle"], registry=self.registry)
        self.artifacts = Gauge("kgzsl_artifacts", "Artifacts by kind and status", ["kind", "status"], registry=self.registry)
        self._children: dict[tuple[str, int], tuple[Any, Any]] = {}

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        made = self._children.get((route, status))
        if made is None:
            made = self._children[route, status] = (self.requests.labels(route, str(status)), self.seconds.labels(route))
        made[0].inc()
        made[1].observe(seconds)


class _BodyTooLarge(Exception):
    """The body grew beyond the limit while it was read."""


class Guard:
    """ASGI middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app, self.settings, self.metrics = app, settings, metrics
        self._key = settings.api_key
        self._hosts = {*_LOOPBACK, settings.host} if is_loopback(settings.host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, status, begun = time.perf_counter(), 500, False
        headers = dict(scope["headers"])

        async def told(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message["headers"], *_RAW_HEADERS]
            await send(message)

        self.metrics.running.inc()
        try:
            refused = self._refused(scope, headers)
            if refused is not None:
                return await refused(scope, receive, told)
            await self.app(scope, self._counted(receive), told)
        except _BodyTooLarge:
            if not begun:
                await self._too_large("a body that says no length")(scope, receive, told)
        finally:
            self.metrics.running.dec()
            route = scope.get("route")
            self.metrics.count(getattr(route, "path", "other"), status, time.perf_counter() - started)

    def _refused(self, scope: Scope, headers: dict[bytes, bytes]) -> Any:
        """A problem where the request is refused unread, else None."""
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return problem("invalid", 400, "a length is a number", length.decode("latin-1"))
        if int(length) > self.settings.limits.body:
            return self._too_large(f"{int(length):,} bytes")
        host = headers.get(b"host", b"").decode("latin-1")
        if self._hosts is not None and _name(host) not in self._hosts:
            # a page elsewhere whose name was pointed at this machine
            return problem(
                "host", 403, "a service on this machine is asked by its own name", host, "use http://127.0.0.1, or start it with --host"
            )
        origin = headers.get(b"origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc != host:
            return problem(
                "origin", 403, "pages of other sites cannot use the service", origin, "ask it from its own page, or from a program"
            )
        if self._key is not None and self._needs_key(scope["path"]) and not self._has_key(headers):
            answer = problem(
                "key", 401, "the service asks for its API key", "none, or another one", "send it as `Authorization: Bearer KEY`"
            )
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None

    def _too_large(self, received: str) -> Any:
        return problem("too-large", 413, f"a body has at most {self.settings.limits.body:,} bytes", received, "send less at a time")

    @staticmethod
    def _needs_key(path: str) -> bool:
        return path != "/" and not path.startswith(_OPEN)

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        given = headers.get(b"authorization", b"")
        key = given[7:] if given[:7].lower() == b"bearer " else headers.get(b"x-api-key", b"")
        # digests are compared: equal lengths, whatever was sent
        return hmac.compare_digest(hashlib.sha256(key).hexdigest(), self._key or "")

    def _counted(self, receive: Receive) -> Receive:
        size, limit = 0, self.settings.limits.body

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _BodyTooLarge
            return message

        return counted


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host in _LOOPBACK:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """A Host header without its port."""
    return host.rsplit(":", 1)[0].strip("[]") if host.count(":") == 1 or host.startswith("[") else host
