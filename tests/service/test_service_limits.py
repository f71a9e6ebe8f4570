"""What a stranger may not do."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx
import pytest
from serving import running

from kgzsl.service.client import ServiceProblem
from kgzsl.service.guard import is_loopback

KEY = "a-long-enough-secret-key"


@pytest.fixture(scope="module")
def guarded(artifacts, tmp_path_factory):
    home = tmp_path_factory.mktemp("guarded")
    (home / "key").write_text(f"{KEY}\n")
    arguments = ["--api-key-file", str(home / "key"), "--max-body", "1", "--state", str(home / "state")]
    with running(str(artifacts), *arguments, log=home / "log") as one:
        yield one


def test_a_key_is_asked_for_and_compared(guarded):
    with guarded.client(api_key=KEY) as client:
        assert client.graphs()
    for key in (None, "", "wrong", KEY[:-1], KEY + "x", "é" * 8):
        headers = {"x-api-key": key.encode()} if key is not None else {}
        answer = httpx.get(f"{guarded.url}/v1/graphs", headers=headers)
        assert (
            answer.status_code == 401
            and answer.json()["type"] == "urn:kgzsl:problem:key"
            and answer.headers["www-authenticate"] == "Bearer"
        )
    assert httpx.get(f"{guarded.url}/v1/health").status_code == 200
    assert httpx.get(f"{guarded.url}/metrics").status_code == 401
    assert KEY not in guarded.log.read_text()


def test_a_body_is_bounded_whether_it_says_its_length_or_not(guarded):
    headers = {"authorization": f"Bearer {KEY}"}
    url = f"{guarded.url}/v1/bundles/carnivores/predict/features"
    assert httpx.post(url, content=b"x" * (2**20 + 1), headers=headers).status_code == 413
    chunks = (b"x" * 65536 for _ in range(32))
    assert httpx.post(url, content=chunks, headers=headers).status_code == 413


def raw(service, request: bytes) -> bytes:
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), 10) as wire:
        wire.sendall(request)
        wire.settimeout(10)
        return wire.recv(65536)


def test_other_names_and_other_sites_are_refused(service):
    assert b" 403 " in raw(service, b"GET /v1/graphs HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    foreign = httpx.get(f"{service.url}/v1/graphs", headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403 and "access-control-allow-origin" not in foreign.headers
    assert httpx.get(f"{service.url}/v1/graphs", headers={"origin": service.url}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/v1/../../etc/passwd", "//etc/passwd"]
)
def test_no_path_leads_out(service, path):
    answer = raw(service, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert b" 404 " in answer.split(b"\r\n")[0] and b"root:" not in answer


@pytest.mark.parametrize("name", ["..", "../carnivores", "%2e%2e", "carnivores/../..", "a" * 5000, "\u202e"])
def test_names_of_bundles_are_no_paths(client, name):
    for ask in (client.bundle, client.graph):
        with pytest.raises(ServiceProblem) as refused:
            ask(name)
        assert refused.value.status in (400, 404)


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ],
)
def test_broken_requests_do_no_harm(service, client, request_):
    assert b" 500 " not in raw(service, request_).split(b"\r\n")[0]
    assert client.ready()


def test_answers_carry_the_headers_that_keep_the_page_to_itself(service):
    answer = httpx.get(f"{service.url}/v1/health")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff" and "server" not in answer.headers


def test_more_than_a_limit_is_refused(client, rows):
    with pytest.raises(ServiceProblem, match="at most 4,096 rows") as refused:
        client.predict_features("carnivores", [[0.0] * 1280] * 4097)
    assert refused.value.status == 413
    with pytest.raises(ServiceProblem, match="at most 100 classes"):
        client.add_classes("carnivores", [f"kind {i} of dog" for i in range(101)])
    with pytest.raises(ServiceProblem):
        client.search("carnivores", "dog", limit=100_000)


def test_metrics_and_version(service, client):
    client.graphs()
    text = httpx.get(f"{service.url}/metrics").text
    assert 'kgzsl_requests_total{route="/v1/graphs",status="200"}' in text and 'kgzsl_artifacts{kind="bundle",status="ready"} 1.0' in text
    version = client.version()
    assert version.kgzsl and len(version.artifacts["bundles"]["carnivores"]) == 64


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("192.0.2.1", False), ("example.org", False)]
)
def test_which_addresses_only_this_machine_reaches(host, own):
    assert is_loopback(host) is own
