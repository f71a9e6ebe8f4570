"""Graphs over HTTP, against the graph itself."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import pytest

from kgzsl.graphs import link
from kgzsl.graphs.export import export_graph
from kgzsl.graphs.views import hop_distance
from kgzsl.service.client import ServiceProblem
from kgzsl.service.linking import Linker
from kgzsl.service.search import SearchIndex, plain


def test_graphs_are_listed_and_described(client, world):
    (graph,) = client.graphs()
    assert (graph.name, graph.status, graph.nodes, graph.digest) == ("carnivores", "ready", len(world.graph), world.graph.digest)
    assert client.graph("carnivores").relations == {"hypernym": len(world.graph.subject)}


def test_prefix_search_finds_what_a_scan_finds(client, world):
    for query in ("dog", "wolf", "ur", "Alaskan b", "bear"):
        key = plain(query)
        begins = {
            i
            for i, label in zip(world.graph.ids, world.graph.labels, strict=True)
            if any(f" {plain(lemma)}".find(f" {key}") >= 0 for lemma in label.split(", "))
        }
        assert {n.id for n in client.search("carnivores", query, limit=1000)} == begins, query
    best = client.search("carnivores", "bear", limit=3)
    assert best[0].label.startswith("bear") and best[0].score == 1.0


def test_fuzzy_search_forgives_letters(client):
    assert client.search("carnivores", "chihuaua", mode="fuzzy", limit=1)[0].label == "Chihuahua"
    assert client.search("carnivores", "rottwieler", mode="fuzzy", limit=1)[0].label == "Rottweiler"


def test_search_by_meaning(client):
    found = client.search("carnivores", "a big striped cat of Asia", mode="meaning", limit=5)
    assert any("tiger" in n.label for n in found)


@pytest.mark.parametrize("query", ["", " ", "%%%", "\x00", "日本", "a" * 500])
@pytest.mark.parametrize("mode", ["prefix", "fuzzy", "meaning"])
def test_strange_searches_are_answered(client, query, mode):
    assert isinstance(client.search("carnivores", query, mode=mode), list)


def test_index_of_the_graph_is_not_confused_by_limits(world):
    index = SearchIndex(world.graph)
    assert [n for n, _ in index.prefix("dog", 5)] == [n for n, _ in index.prefix("dog", 50)][:5]


def test_linker_links_as_the_library_does(world):
    names = ["black bear", "bears", "Siamese cats", "electric fox", "nothing at all", "Great Dane's", "tabby"]
    linker = Linker(world.graph)
    assert tuple(linker.link(n) for n in names) == link(names, world.graph)


def test_nodes_and_neighbours(client, world):
    for identifier in world.graph.ids[::60]:
        around = client.neighbours("carnivores", identifier, limit=1000)
        assert around.node == client.node("carnivores", identifier)
        told = {("out", e.relation, e.object) if e.subject == identifier else ("in", e.relation, e.subject) for e in around.edges}
        assert told == set(world.graph.neighbours(identifier)) and around.total == len(around.edges)
    assert len(client.neighbours("carnivores", "wn30:n02083346", limit=2).edges) == 2


def test_paths_are_shortest(client, world):
    start = "wn30:n02123045"
    hops = dict(zip(world.graph.ids, hop_distance(world.graph, [start]).tolist(), strict=True))
    for end in world.graph.ids[::40]:
        path = client.path("carnivores", start, end)
        assert len(path.edges) == hops[end] and path.nodes[0].id == start and path.nodes[-1].id == end
        for a, b, edge in zip(path.nodes, path.nodes[1:], path.edges, strict=False):
            assert {a.id, b.id} == {edge.subject, edge.object}


def test_sparql_reads_and_nothing_else(client, world):
    found = client.sparql("carnivores", "SELECT (COUNT(*) AS ?n) { ?s kgzsl:hypernym ?o }")
    assert found.rows == [[len(world.graph.subject)]]
    assert client.sparql("carnivores", "SELECT * { ?s ?p ?o }", limit=3).truncated
    for query in ("DELETE WHERE { ?s ?p ?o }", "SELECT * { SERVICE <http://example.org> { ?s ?p ?o } }", "nonsense"):
        with pytest.raises(ServiceProblem) as refused:
            client.sparql("carnivores", query)
        assert refused.value.status == 400


def test_a_query_that_takes_too_long_is_ended_and_the_next_one_answered(client):
    with pytest.raises(ServiceProblem, match="at most 2 seconds") as slow:
        client.sparql("carnivores", "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }")
    assert slow.value.status == 422
    assert client.sparql("carnivores", "ASK {}").rows == [[True]]


def test_export_is_the_library_s(client, world, tmp_path):
    written = export_graph(world.graph, tmp_path / "g.nt").path
    assert client.export("carnivores", "ntriples") == written.read_bytes()


def test_unknown_things_are_typed_problems(service):
    parts = urlsplit(service.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port)
    for path in ("/v1/graphs/none", "/v1/graphs/carnivores/nodes/wn30:n99999999", "/v1/nothing", "/v1/graphs/carnivores/search"):
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert answer.headers["content-type"] == "application/problem+json" and told["status"] == answer.status in (404, 422)
        assert told["detail"] and told["remedy"] and told["type"].startswith("urn:kgzsl:problem:")
