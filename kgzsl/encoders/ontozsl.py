"""OntoZSL's text-aware ontology embedding: structure by TransE, text by vectors, joined by projections (Geng et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from kgzsl.devices import resolve_device
from kgzsl.encoders.triples import HEAD, TAIL, Triples, stated_view
from kgzsl.encoders.unsupervised import UnsupervisedEncoder
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import Vectors
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View

#: Added to γ for the range of initial values, and to counts of triples for their weights (RotatE's published code).
_EPSILON, _FIRST_COUNT = 2.0, 3


class OntoZSL(UnsupervisedEncoder):
    """Text-aware ontology embedding: TransE of the triples and node vectors, each projected by tanh; both side by side.

    First, TransE learns the structure from self-adversarial negatives. Then two projections, `s = tanh(W_s x + b)` of
    structural vectors of nodes and of relations and `i = tanh(W_i v + b)` of node vectors, are learned with a hinge: the energy

        E(h, r, t) = ‖hₛ + r − tₛ‖ + ‖hᵢ + r − tₛ‖ + ‖hₛ + r − tᵢ‖ + ‖hᵢ + r − tᵢ‖ + ‖hₛ + hᵢ + r − tₛ − tᵢ‖    (L1)

    of a true triple lies `margin` below that with another tail, and below that with another head. The embedding is `[s, i]`.

    The negatives of a batch of the first stage are drawn once and shared by its triples, so that no vector of a negative is
    gathered twice. Node vectors take part as they are passed in (published: GloVe weighted by TF-IDF).

    Parameters
    ----------
    relations : that make the triples; None takes all of the graph.
    dim, projection : columns of the structural vectors and of each projection.
    structure_steps, structure_batch, structure_learning_rate : of TransE; the rate drops to a tenth half-way.
    negatives, gamma, temperature : of TransE: nodes drawn per batch, the margin γ and the temperature of self-adversarial weights.
    epochs, batch_size, learning_rate, margin : of the projections.
    seed, device : see `UnsupervisedEncoder`.
    """

    name = "ontozsl"
    source = "Geng et al., OntoZSL: Ontology-enhanced Zero-shot Learning, WWW 2021, section 3.2; its published code"
    reads_text = True

    def __init__(
        self,
        *,
        relations: Sequence[str] | None = None,
        dim: int = 100,
        projection: int = 100,
        structure_steps: int = 60_000,
        structure_batch: int = 256,
        structure_learning_rate: float = 5e-5,
        negatives: int = 1024,
        gamma: float = 12.0,
        temperature: float = 1.0,
        epochs: int = 1000,
        batch_size: int = 100,
        learning_rate: float = 1e-3,
        margin: float = 10.0,
        seed: int = 0,
        device: str | torch.device = "auto",
    ) -> None:
        super().__init__(seed=seed, device=device)
        counts = {
            "dim": dim,
            "projection": projection,
            "structure_steps": structure_steps,
            "structure_batch": structure_batch,
            "negatives": negatives,
            "epochs": epochs,
            "batch_size": batch_size,
        }
        reals = {
            "structure_learning_rate": structure_learning_rate,
            "gamma": gamma,
            "temperature": temperature,
            "learning_rate": learning_rate,
            "margin": margin,
        }
        if min(counts.values()) < 1 or min(reals.values()) <= 0:
            wrong = {k: v for k, v in counts.items() if v < 1} | {k: v for k, v in reals.items() if v <= 0}
            raise InvalidInputError("settings are positive, and counts at least 1", received=wrong)
        self.relations = None if relations is None else list(relations)
        self._options: dict[str, Any] = {**counts, **reals}

    def settings(self) -> dict[str, Any]:
        return {"relations": self.relations, **self._options, **super().settings()}

    def view(self, graph: KnowledgeGraph) -> View:
        return stated_view(graph, self.relations)

    def _train(self, view: View, vectors: Vectors) -> np.ndarray:
        o, device = self._options, resolve_device(self.device)
        generator = torch.Generator(device).manual_seed(self.seed)
        triples = Triples.of(view, device)
        structure = self._structure(triples, generator, device)
        texts = torch.from_numpy(vectors.matrix).to(device)
        network = TextAware(o["dim"], vectors.dim, o["projection"]).to(device)
        network.reset(generator)
        optimiser = torch.optim.Adam(network.parameters(), lr=o["learning_rate"])
        for _ in track(range(o["epochs"]), f"{self.name}: text"):
            for batch in triples.batches(o["batch_size"], generator):
                wrong_tail, wrong_head = (triples.corrupted(batch, side, generator) for side in (TAIL, HEAD))
                optimiser.zero_grad(set_to_none=True)
                network.loss(structure, texts, batch, wrong_tail, wrong_head, o["margin"]).backward()
                optimiser.step()
        with torch.no_grad():
            return np.asarray(network(structure.nodes, texts).cpu().numpy())

    def _structure(self, triples: Triples, generator: torch.Generator, device: torch.device) -> Structure:
        """Train TransE; heads and tails are corrupted in turn."""
        o = self._options
        structure = Structure(triples.nodes, triples.relations, o["dim"], o["gamma"]).to(device)
        structure.reset(generator)
        weights, half = rarity(triples), (o["structure_steps"] + 1) // 2
        progress = iter(track(range(o["structure_steps"]), f"{self.name}: structure"))
        for rate, steps in ((1.0, half), (0.1, o["structure_steps"] - half)):
            optimiser = torch.optim.Adam(structure.parameters(), lr=o["structure_learning_rate"] * rate)  # moments start anew
            for step in range(steps):
                next(progress)
                rows = torch.randint(len(triples), (o["structure_batch"],), generator=generator, device=device)
                others = torch.randint(triples.nodes, (o["negatives"],), generator=generator, device=device)
                side = TAIL if step % 2 else HEAD
                batch = triples.all[rows]
                true = triples.known(*(others[None] if place == side else batch[:, place, None] for place in (0, 1, 2)))
                optimiser.zero_grad(set_to_none=True)
                structure.loss(batch, others, side, true, weights[rows], o["temperature"]).backward()
                optimiser.step()
        return structure.requires_grad_(False)


class Structure(nn.Module):
    """TransE: a vector per node and per relation; a triple's score is `γ − ‖h + r − t‖₁`."""

    def __init__(self, nodes: int, relations: int, dim: int, gamma: float) -> None:
        super().__init__()
        self.nodes = nn.Parameter(torch.empty(nodes, dim))
        self.links = nn.Parameter(torch.empty(relations, dim))
        self.gamma = gamma

    def reset(self, generator: torch.Generator) -> None:
        """Draw all values from ±(γ + 2) / dim."""
        for table in (self.nodes, self.links):
            reach = (self.gamma + _EPSILON) / table.shape[1]
            nn.init.uniform_(table, -reach, reach, generator=generator)

    def loss(
        self, batch: torch.Tensor, others: torch.Tensor, side: int, true: torch.Tensor, weights: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """Return the self-adversarial loss (Sun et al., RotatE, 2019, eq. 5-6), weighted over the batch.

        Parameters
        ----------
        batch : `[batch, 3]`; others : nodes put at `side`, `[negatives]`; true : which of them make a true triple,
            `[batch, negatives]`, and so are left out; weights : `[batch]`.
        """
        head, link, tail = self.nodes[batch[:, 0]], self.links[batch[:, 1]], self.nodes[batch[:, 2]]
        positive = self.gamma - (head + link - tail).abs().sum(dim=1)
        anchor = head + link if side == TAIL else tail - link
        negative = (self.gamma - torch.cdist(anchor, self.nodes[others], p=1.0)).masked_fill(true, -torch.inf)
        shares = (negative.detach() * temperature).softmax(dim=1).nan_to_num(0.0)  # where all nodes make true triples, none counts
        against = (shares * logsigmoid(-negative)).sum(dim=1)
        return -(weights * (logsigmoid(positive) + against)).sum() / (2 * weights.sum())


def rarity(triples: Triples) -> torch.Tensor:
    """Return each triple's weight, `1/√(c(h, r) + c(r, t))` with counts that start at 4, `[triples]` (RotatE's published code)."""
    heads = triples.all[:, 0] * triples.relations + triples.all[:, 1]
    tails = triples.all[:, 2] * triples.relations + triples.all[:, 1]
    total = torch.full((len(triples),), 2.0 * _FIRST_COUNT, device=triples.all.device)
    for keys in (heads, tails):
        _, place, count = keys.unique(return_inverse=True, return_counts=True)
        total += count[place]
    return total.rsqrt()


class TextAware(nn.Module):
    """The two projections: of structural vectors (nodes' and relations') and of node vectors."""

    def __init__(self, structure: int, text: int, outputs: int) -> None:
        super().__init__()
        self.structure, self.text = nn.Linear(structure, outputs), nn.Linear(text, outputs)

    def reset(self, generator: torch.Generator) -> None:
        """Draw weights by Glorot's uniform rule and zero the offsets."""
        for layer in (self.structure, self.text):
            nn.init.xavier_uniform_(layer.weight, generator=generator)
            nn.init.zeros_(layer.bias)

    def forward(self, structure: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Return both projections side by side, `[rows, 2 × outputs]`."""
        return torch.cat([torch.tanh(self.structure(structure)), torch.tanh(self.text(text))], dim=1)

    def loss(
        self,
        structure: Structure,
        texts: torch.Tensor,
        batch: torch.Tensor,
        wrong_tail: torch.Tensor,
        wrong_head: torch.Tensor,
        margin: float,
    ) -> torch.Tensor:
        """Return the hinge losses of both corruptions, summed over the batch `[batch, 3]`."""
        link = torch.tanh(self.structure(structure.links[batch[:, 1]]))
        head, tail, other_tail, other_head = (
            self(structure.nodes[at], texts[at]) for at in (batch[:, 0], batch[:, 2], wrong_tail[:, 2], wrong_head[:, 0])
        )
        right = energy(head, link, tail)
        against_tail = torch.relu(margin + right - energy(head, link, other_tail))
        against_head = torch.relu(margin + right - energy(other_head, link, tail))
        return (against_tail + against_head).sum()


def energy(head: torch.Tensor, link: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
    """Return the sum of the five energies, `[rows]`, for `[s, i]` of head and tail and the relation's projection."""
    (hs, hi), (ts, ti) = head.chunk(2, dim=1), tail.chunk(2, dim=1)
    differences = torch.stack([hs - ts, hi - ts, hs - ti, hi - ti, hs + hi - ts - ti])
    return (differences + link).abs().sum(dim=(0, 2))
