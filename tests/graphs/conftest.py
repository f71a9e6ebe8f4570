"""The ImageNet graph, built once from the real WordNet."""

from __future__ import annotations

import pytest

from kgzsl.graphs import KnowledgeGraph, compile_graph


@pytest.fixture(scope="session")
def imagenet() -> KnowledgeGraph:
    return compile_graph("imagenet")


@pytest.fixture(scope="session")
def birds() -> KnowledgeGraph:
    return compile_graph("birds")
