"""GCNZ: six graph convolutions on the undirected hypernym graph (Wang, Ye and Gupta, 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.hops import HopEncoder

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class GCNZ(HopEncoder):
    """Six layers, symmetrically normalised adjacency with self loops, no dropout."""

    name = "gcnz"
    source = "Wang, Ye, Gupta, Zero-shot Recognition via Semantic Embeddings and Knowledge Graphs, CVPR 2018, eq. 1-2"

    def __init__(
        self, *, hidden: Sequence[int] = (2048, 2048, 1024, 1024, 512), dropout: float = 0.0, epochs: int = 300, **settings: Any
    ) -> None:
        super().__init__(hidden=hidden, epochs=epochs, **settings)
        self.dropout = dropout

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "dropout": self.dropout}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import undirected

        return undirected(graph, self_loops=True, norm="symmetric")

    def layers(self, view: View) -> list[tuple[sp.csr_matrix, ...]]:
        return [view.adjacency] * (len(self.hidden) + 1)

    def build(self, inputs: int, outputs: int) -> GraphNetwork:
        dims = [inputs, *self.hidden, outputs]
        return GraphNetwork(dims, [self.dropout] * (len(dims) - 1), slope=self.slope, hops=1, directions=1, bias_after=True)
