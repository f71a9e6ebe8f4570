"""SGCN: two graph convolutions on the undirected hypernym graph (Kampffmeyer et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.hops import HopEncoder

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class SGCN(HopEncoder):
    """Two layers, row-normalised adjacency with self loops, dropout 0.5 on both inputs."""

    name = "sgcn"
    source = "Kampffmeyer et al., Rethinking Knowledge Graph Propagation for Zero-Shot Learning, CVPR 2019, eq. 2"

    def __init__(self, *, hidden: Sequence[int] = (2048,), dropout: float = 0.5, epochs: int = 3000, **settings: Any) -> None:
        super().__init__(hidden=hidden, epochs=epochs, **settings)
        self.dropout = dropout

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "dropout": self.dropout}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        return undirected(graph, self_loops=True, norm="row")

    def layers(self, view: View) -> list[tuple[sp.csr_matrix, ...]]:
        return [view.adjacency] * (len(self.hidden) + 1)

    def build(self, inputs: int, outputs: int) -> GraphNetwork:
        dims = [inputs, *self.hidden, outputs]
        dropouts = [self.dropout] * (len(dims) - 1)
        return GraphNetwork(dims, dropouts, slope=self.slope, hops=1, directions=1, bias_after=True)
