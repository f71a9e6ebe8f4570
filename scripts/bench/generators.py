"""Training steps and synthesis of f-CLSWGAN at the published sizes, against the straightforward published loop, in one run.

    python scripts/bench/generators.py                             # a round at batches 64 and 4,096; a share of the synthesis
    python scripts/bench/generators.py --batches 64 --synthesise 0
    python scripts/bench/generators.py --batches --classes 10000 --precision bfloat16   # 300 × 10,000 rows in one streamed pass

A round is five steps of the critic and one of the generator, timed step by step (`5 × critic + generator`). Both ways start from the
same parameters, and their losses and gradients on the same rows and noise must agree:

* `here`: this package's step, drawing the batch included;
* `loop`: the way of the published code: rows copied into buffers, features drawn with a graph that is thrown away, real, drawn and
  interpolated rows through the critic one after the other, the penalty by a second backward pass, losses read back at every step,
  noise allocated anew, and an optimiser that goes from parameter to parameter.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from kgzsl.encoders.precision import mixed
from kgzsl.experiments.runner import environment
from kgzsl.generators import Batch, Generator, SeenRows
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.networks import Critic
from kgzsl.generators.training import Player, Schedule, _hold, _optimiser
from kgzsl.matrices import ClassEmbeddings


def main() -> None:
    """Print one JSON record: seconds per step both ways, ratios, largest differences; rows a second and memory of the synthesis."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[64, 4096])
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--semantics", type=int, default=312)
    parser.add_argument("--hidden", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--classes", type=int, default=50, help="classes to draw features of; 0 draws none")
    parser.add_argument("--per-class", type=int, default=300)
    parser.add_argument("--precision", default="float32", help="of this package's way; the loop stays in float32")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    record: dict[str, Any] = {"sizes": [args.dim, args.semantics, args.hidden], "precision": args.precision, "threads": args.threads}
    record["rounds"] = {str(batch): rounds(args, batch) for batch in args.batches}
    if args.classes:
        record["synthesis"] = synthesis(args)
    print(json.dumps({**record, "environment": environment()}, indent=1))


def prepared(args: argparse.Namespace, batch: int) -> tuple[FCLSWGAN, SeenRows]:
    """Return a generator with untrained networks of the given sizes, and as many rows of 150 classes as a batch has, or more."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(max(batch, 600)) % 150
    seen = SeenRows(
        tuple(f"bench:{i}" for i in range(150)),
        torch.rand(len(labels), args.dim, generator=rng),
        labels,
        functional.normalize(torch.rand(150, args.semantics, generator=rng)),
        torch.empty(0, args.semantics),
    )
    generator = FCLSWGAN(hidden=args.hidden, batch_size=batch, precision=args.precision, device="cpu")
    generator.rng, generator.semantics, generator.dim, generator.seen = rng, args.semantics, args.dim, seen.ids
    generator.networks = generator.build(seen)
    return generator, seen


def rounds(args: argparse.Namespace, batch: int) -> dict[str, Any]:
    """Time the steps of both players, here and in the loop."""
    generator, seen = prepared(args, batch)
    loop = Loop(generator, seen)
    here = {player.name: step_of(generator, seen, player) for player in generator.players(seen)}
    differences = loop.differences(generator, seen)
    ways: dict[str, dict[str, Callable[[], None]]] = {"here": here, "loop": {"critic": loop.critic_step, "generator": loop.generator_step}}
    seconds: dict[str, dict[str, list[tuple[float, float]]]] = {way: {"critic": [], "generator": []} for way in ways}
    for repeat in range(args.repeats + 1):  # by turns, so that what else the machine does hits both
        for way, players in ways.items():
            for name, step in players.items():
                taken = timed(step)
                if repeat:
                    seconds[way][name].append(taken)
    best = {w: {n: [min(v[i] for v in values) for i in (0, 1)] for n, values in players.items()} for w, players in seconds.items()}
    full = {way: [5 * players["critic"][i] + players["generator"][i] for i in (0, 1)] for way, players in best.items()}
    return {
        "wall_and_processor_seconds": best,
        "round": full,
        "ratio": full["loop"][0] / full["here"][0],
        "processor_ratio": full["loop"][1] / full["here"][1],
        **differences,
    }


def step_of(generator: Generator, seen: SeenRows, player: Player) -> Callable[[], None]:
    """Return a step of a player as `training` takes it."""
    optimiser = _optimiser(generator.networks, player, Schedule(1, 2, 1e-4, 0.5, 0.0))

    def step() -> None:
        _hold(generator.networks, player)
        with mixed(generator.precision, torch.device("cpu")):
            loss = player.loss(generator.batch(seen), 1)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return step


class Loop:
    """The published loop: WGAN-GP with a critic of concatenated rows."""

    def __init__(self, generator: FCLSWGAN, seen: SeenRows) -> None:
        self.seen, self.batch = seen, generator.schedule.batch_size
        self.generator, critic = clone(generator.networks["generator"]), generator.networks["critic"]
        assert isinstance(critic, Critic) and critic.condition is not None
        first, last = nn.Linear(generator.dim + generator.semantics, generator.hidden), nn.Linear(generator.hidden, 1)
        with torch.no_grad():
            first.weight.copy_(torch.cat([critic.features.weight, critic.condition.weight], dim=1))
            first.bias.copy_(critic.features.bias)
            last.weight.copy_(critic.out.weight)
            last.bias.copy_(critic.out.bias)
        self.critic = nn.Sequential(first, nn.LeakyReLU(0.2), last)
        self.classifier, self.class_weight, self.penalty = generator.networks["classifier"], generator.class_weight, generator.penalty
        how = {"lr": 1e-4, "betas": (0.5, 0.999), "foreach": False, "fused": False}
        self.moves_critic = torch.optim.Adam(self.critic.parameters(), **how)  # type: ignore[arg-type]
        self.moves_generator = torch.optim.Adam(self.generator.parameters(), **how)  # type: ignore[arg-type]
        self.rows, self.embeddings = torch.empty(self.batch, generator.dim), torch.empty(self.batch, generator.semantics)
        self.labels = torch.empty(self.batch, dtype=torch.int64)

    def sample(self) -> None:
        """Copy random rows into the buffers."""
        at = torch.randperm(len(self.seen.labels))[: self.batch]
        self.rows.copy_(self.seen.features[at])
        self.labels.copy_(self.seen.labels[at])
        self.embeddings.copy_(self.seen.embeddings[self.seen.labels[at]])

    def drawn(self, noise: torch.Tensor) -> torch.Tensor:
        """Draw features for the rows in the buffers."""
        fake: torch.Tensor = self.generator(torch.cat([noise, self.embeddings], dim=1))
        return fake

    def critic_losses(self, noise: torch.Tensor, share: torch.Tensor) -> float:
        """Leave the gradient of the critic's loss in its parameters and return the loss."""
        self.critic.zero_grad()
        real = self.critic(torch.cat([self.rows, self.embeddings], dim=1)).mean()
        real.backward(torch.tensor(-1.0))
        fake = self.drawn(noise)
        false = self.critic(torch.cat([fake.detach(), self.embeddings], dim=1)).mean()
        false.backward(torch.tensor(1.0))
        share = share.expand(self.rows.shape)
        between = (share * self.rows + (1 - share) * fake.detach()).requires_grad_(True)
        opinion = self.critic(torch.cat([between, self.embeddings], dim=1))
        (slope,) = torch.autograd.grad(opinion, between, torch.ones(opinion.shape), create_graph=True, retain_graph=True)
        penalty = ((slope.norm(2, dim=1) - 1) ** 2).mean() * self.penalty
        penalty.backward()
        return float(false.item() - real.item() + penalty.item())

    def critic_step(self) -> None:
        """Take a step of the critic."""
        for parameter in self.critic.parameters():
            parameter.requires_grad = True
        self.sample()
        self.critic_losses(torch.randn(self.batch, self.embeddings.shape[1]), torch.rand(self.batch, 1))
        self.moves_critic.step()

    def generator_step(self) -> None:
        """Take a step of the generator."""
        for parameter in self.critic.parameters():
            parameter.requires_grad = False
        self.generator.zero_grad()
        fake = self.drawn(torch.randn(self.batch, self.embeddings.shape[1]))
        loss = -self.critic(torch.cat([fake, self.embeddings], dim=1)).mean()
        loss = loss + self.class_weight * functional.cross_entropy(self.classifier(fake), self.labels)
        loss.backward()
        loss.item()
        self.moves_generator.step()

    def differences(self, generator: FCLSWGAN, seen: SeenRows) -> dict[str, float]:
        """Return how far the critic's loss and gradient are from this package's, on the same rows, noise and points between rows."""
        self.sample()
        state = generator.rng.get_state()
        noise = generator.gaussian(self.batch)
        loss = self.critic_losses(noise, torch.rand(self.batch, 1, generator=generator.rng))
        generator.rng.set_state(state)
        critic = generator.networks["critic"].requires_grad_(True)
        first_layer = self.critic[0]
        assert isinstance(critic, Critic) and critic.condition is not None and isinstance(first_layer, nn.Linear)
        with mixed(generator.precision, torch.device("cpu")):
            ours = generator.critic_loss(Batch(self.rows, self.labels, self.embeddings), 1)
        ours.backward()
        halves = critic.features.weight.grad, critic.condition.weight.grad
        want = first_layer.weight.grad
        assert halves[0] is not None and halves[1] is not None and want is not None
        first = torch.cat([halves[0], halves[1]], dim=1)
        return {
            "relative_difference_of_loss": abs(float(ours.detach()) - loss) / abs(loss),
            "relative_difference_of_gradient": float((first - want).norm() / want.norm()),
        }


def clone(module: nn.Module) -> nn.Module:
    """Return a copy that learns by itself."""
    import copy

    return copy.deepcopy(module)


def timed(step: Callable[[], None]) -> tuple[float, float]:
    """Return wall and processor seconds of a step; the latter say more where others use the machine."""
    started, busy = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - started, time.process_time() - busy


def synthesis(args: argparse.Namespace) -> dict[str, Any]:
    """Draw features of many classes in one streamed pass; memory is what the process held at most, all of it and beyond its start."""
    generator, seen = prepared(args, 2)
    names = tuple(f"bench:{i}" for i in range(max(150, args.classes)))
    rows = np.random.default_rng(0).random((len(names), args.semantics), dtype=np.float32)
    generator.embeddings = ClassEmbeddings(names, rows)
    generator.classes, generator.scaling = names, fitted_scaling(seen)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started, busy, count, total = time.perf_counter(), time.process_time(), 0, 0.0
    for block in generator.synthesise(names[: args.classes], args.per_class):
        count += len(block)
        total += float(block.matrix.sum(dtype=np.float64))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "rows": count,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - busy,
        "peak_mib": after / 1024,
        "peak_beyond_start_mib": (after - before) / 1024,
        "mean": total / (count * args.dim),
    }


def fitted_scaling(seen: SeenRows) -> Any:
    """Return the scaling of the rows."""
    from kgzsl.generators.scaling import ColumnScaling

    return ColumnScaling.of("minmax", seen.features.numpy())


if __name__ == "__main__":
    main()
