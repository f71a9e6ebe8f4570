"""KG-GAN's class embeddings: a variational graph auto-encoder for each of two views of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import sparse
from torch import nn

from kgzsl.devices import resolve_device
from kgzsl.encoders.sparse import SparseOperator, propagate
from kgzsl.encoders.training import Schedule, train
from kgzsl.encoders.unsupervised import UnsupervisedEncoder
from kgzsl.errors import InvalidInputError, require
from kgzsl.matrices import Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Relations of the first view; all others are the second one.
HIERARCHY = ("hypernym", "instance_hypernym")


class VariationalEncoder(nn.Module):
    """Two graph convolutions: `μ, log σ = Â relu(Â X W₀) W₁` (Kipf and Welling 2016, section 2).

    Parameters
    ----------
    inputs, hidden, latent : columns of X, of the hidden layer and of μ.
    """

    def __init__(self, inputs: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.empty(inputs, hidden))
        self.mean = nn.Parameter(torch.empty(hidden, latent))
        self.deviation = nn.Parameter(torch.empty(hidden, latent))

    def reset(self, generator: torch.Generator) -> None:
        """Draw all weights by Glorot's uniform rule."""
        for weight in (self.first, self.mean, self.deviation):
            nn.init.xavier_uniform_(weight, generator=generator)

    def forward(self, propagated: torch.Tensor, operator: SparseOperator) -> tuple[torch.Tensor, torch.Tensor]:
        """Map `Â X` `[nodes, inputs]`, which no weight changes, to μ and log σ, `[nodes, latent]` each."""
        hidden = torch.relu(propagated @ self.first)
        mean, deviation = propagate(operator, hidden @ torch.cat([self.mean, self.deviation], dim=1)).chunk(2, dim=1)
        return mean, deviation


class KGGAN(UnsupervisedEncoder):
    """Two views, the class hierarchy and all other relations, each a variational graph auto-encoder; means side by side.

    Node vectors, at length 1, are the input features. Every view is trained by itself: the inner products of sampled codes tell
    edges from as many node pairs drawn anew in each epoch (no matrix of all pairs is made), plus the divergence from the unit
    normal over the number of nodes. PyTorch Geometric's `VGAE` states both terms.

    Parameters
    ----------
    views : relations of each view. None takes the hierarchy (hypernym, instance_hypernym) and all other relations; a graph without
        one of them is refused. One list makes one view.
    hidden, latent : columns of the hidden layer and of each view's code.
    epochs, learning_rate : full-batch steps of Adam, for each view.
    seed, device : see `UnsupervisedEncoder`.
    """

    name = "kggan"
    source = (
        "Geng et al., Adversarial Zero-shot Learning via Knowledge Graphs (KG-GAN); Kipf, Welling, Variational Graph Auto-Encoders, 2016"
    )
    reads_text = True

    def __init__(
        self,
        *,
        views: Sequence[Sequence[str]] | None = None,
        hidden: int = 150,
        latent: int = 50,
        epochs: int = 1500,
        learning_rate: float = 0.01,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        super().__init__(seed=seed, device=device)
        if hidden < 1 or latent < 1:
            raise InvalidInputError("hidden and latent have at least one column", received=f"{hidden} and {latent}")
        if views is not None and (not views or any(isinstance(group, str) or not group for group in views)):
            raise InvalidInputError("views is a list of lists of relations", received=views, remedy="e.g. views: [[hypernym]]")
        self.views = None if views is None else [list(group) for group in views]
        self.hidden, self.latent = hidden, latent
        self.schedule = Schedule(epochs, learning_rate, weight_decay=0.0)

    def settings(self) -> dict[str, Any]:
        return {
            "views": self.views,
            "hidden": self.hidden,
            "latent": self.latent,
            "epochs": self.schedule.epochs,
            "learning_rate": self.schedule.learning_rate,
            **super().settings(),
        }

    def view(self, graph: KnowledgeGraph) -> View:
        """Return one symmetrically normalised matrix with self-loops per view.

        Raises
        ------
        InvalidInputError : by default, when the graph has no hierarchy or nothing beside it.
        UnknownNameError : the graph has no such relation.
        """
        from kgzsl.graphs.views import View, undirected

        groups = self.views if self.views is not None else _two_views([r.id for r in graph.relations])
        parts = [undirected(graph, group, self_loops=True, norm="symmetric") for group in groups]
        return View(graph.ids, tuple(p.adjacency[0] for p in parts), " | ".join(p.name for p in parts), graph.digest)

    def _train(self, view: View, vectors: Vectors) -> np.ndarray:
        rows = vectors.matrix / np.maximum(np.linalg.norm(vectors.matrix, axis=1, keepdims=True), 1e-12)
        return np.concatenate([self._means(rows, matrix, number) for number, matrix in enumerate(view.adjacency)], axis=1)

    def _means(self, rows: np.ndarray, matrix: sparse.csr_matrix, number: int) -> np.ndarray:
        """μ of one view after training, `[nodes, latent]`."""
        require("torch_geometric", "graphs")
        from torch_geometric.nn import VGAE

        device = resolve_device(self.device)
        generator = torch.Generator(device).manual_seed(self.seed + number)
        operator = SparseOperator.from_scipy([matrix], device)
        propagated = torch.from_numpy(np.asarray(matrix @ rows, dtype=np.float32)).to(device)
        network = VariationalEncoder(rows.shape[1], self.hidden, self.latent).to(device)
        network.reset(generator)
        model, pairs = VGAE(network), NodePairs(matrix, device)

        def loss() -> torch.Tensor:
            mean, deviation = network(propagated, operator)
            return variational_loss(model, mean, deviation, pairs, generator)

        train(network, loss, None, self.schedule, f"{self.name}: view {number + 1}")
        with torch.no_grad():
            return np.asarray(network(propagated, operator)[0].cpu().numpy())


class NodePairs:
    """The edges of a view as unordered pairs, and pairs without an edge.

    Attributes
    ----------
    edges : int64 `[2, edges]`, the smaller position first.
    """

    def __init__(self, matrix: sparse.csr_matrix, device: torch.device) -> None:
        upper = sparse.triu(matrix, k=1).tocoo()
        if not upper.nnz:
            raise InvalidInputError("a view has at least one edge between two nodes", received="none")
        self.nodes = matrix.shape[0]
        keys = np.unique(upper.row.astype(np.int64) * self.nodes + upper.col)
        self._keys = torch.from_numpy(keys).to(device)
        self.edges = torch.from_numpy(np.stack(np.divmod(keys, self.nodes))).to(device)

    def without_edge(self, generator: torch.Generator) -> torch.Tensor:
        """Return as many random pairs of two nodes as there are edges, less those that are edges, `[2, pairs]`."""
        drawn = torch.randint(self.nodes, self.edges.shape, generator=generator, device=self.edges.device)
        low, high = drawn.amin(dim=0), drawn.amax(dim=0)
        keys = low * self.nodes + high
        at = torch.searchsorted(self._keys, keys).clamp(max=len(self._keys) - 1)
        return drawn[:, (low < high) & (self._keys[at] != keys)]


def variational_loss(model: Any, mean: torch.Tensor, deviation: torch.Tensor, pairs: NodePairs, generator: torch.Generator) -> torch.Tensor:
    """Return reconstruction plus divergence over the number of nodes, of one draw of the codes.

    Parameters
    ----------
    model : PyTorch Geometric's `VGAE`, for its two terms.
    mean, deviation : μ and log σ, `[nodes, latent]`.
    """
    deviation = deviation.clamp(max=10.0)  # as in PyTorch Geometric
    noise = torch.empty_like(mean).normal_(generator=generator)
    codes = mean + noise * deviation.exp()
    reconstruction: torch.Tensor = model.recon_loss(codes, pairs.edges, pairs.without_edge(generator))
    divergence: torch.Tensor = model.kl_loss(mean, deviation)
    return reconstruction + divergence / len(mean)


def _two_views(names: Sequence[str]) -> list[list[str]]:
    hierarchy = [n for n in names if n in HIERARCHY]
    others = [n for n in names if n not in HIERARCHY]
    if not hierarchy or not others:
        raise InvalidInputError(
            "kggan takes two views: the class hierarchy, and attributes, parts or other relations",
            received=f"a graph with the relations {', '.join(names) or '(none)'}",
            remedy="compile a graph with both (recipes `imagenet-parts`, `kzsl-awa`), or name the views: `views: [[hypernym]]` makes one",
        )
    return [hierarchy, others]
