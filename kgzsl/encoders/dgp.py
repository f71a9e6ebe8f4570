"""DGP: dense graph propagation from descendants, then from ancestors (Kampffmeyer et al., 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import scipy.sparse as sp

from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.hops import HopEncoder

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class DGP(HopEncoder):
    """Two phases over all descendants, then all ancestors, each hop distance weighted by a learned softmax."""

    name = "dgp"
    source = "Kampffmeyer et al., Rethinking Knowledge Graph Propagation for Zero-Shot Learning, CVPR 2019, eq. 3-4"

    def __init__(
        self, *, hidden: Sequence[int] = (2048,), dropout: float = 0.5, max_hops: int = 4, epochs: int = 3000, **settings: Any
    ) -> None:
        super().__init__(hidden=hidden, epochs=epochs, **settings)
        self.dropout, self.max_hops = dropout, max_hops

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "dropout": self.dropout, "max_hops": self.max_hops}

    def view(self, graph: KnowledgeGraph) -> View:
        from kgzsl.graphs.views import both_directions

        return both_directions(graph, max_hops=self.max_hops)

    def layers(self, view: View) -> list[tuple[sp.csr_matrix, ...]]:
        """Descendants first, ancestors last, alternating (`H = σ(Dₐ⁻¹Aₐ σ(D_d⁻¹A_d X Θ_d) Θₐ)`)."""
        hops = len(view.adjacency) // 2
        ancestors, descendants = view.adjacency[:hops], view.adjacency[hops:]
        return [(descendants, ancestors)[i % 2] for i in range(len(self.hidden) + 1)]

    def build(self, inputs: int, outputs: int) -> GraphNetwork:
        dims = [inputs, *self.hidden, outputs]
        dropouts = [self.dropout] * (len(dims) - 1)
        return GraphNetwork(dims, dropouts, slope=self.slope, hops=self.max_hops + 1, directions=2, bias_after=False)
