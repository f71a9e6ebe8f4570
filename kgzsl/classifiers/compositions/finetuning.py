"""End-to-end training: the image network, the heads and the graph network, by one loss on images (the setting of CGE).

Method
------
1. Feature rows of the network as it came (ImageNet-1k) start the heads (`JointHeads.fit`): heads that begin at random would spoil
   the network's layers before they have learned anything themselves.
2. Every parameter is trained on: AdamW, a smaller step for the network than for the heads, warm-up and a cosine to zero, images
   changed in ways that leave their state alone (flip, shift, erase; no colour jitter).
3. After every epoch the heads are scored on the validation part; the epoch with the best AUC of the bias sweep is kept.

The trained network is a backbone like any other: its features go to any composition classifier.
"""

from __future__ import annotations

import copy
import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from kgzsl.classifiers._descent import check_loss
from kgzsl.classifiers.compositions.base import Knowledge, PairFeatures
from kgzsl.classifiers.compositions.joint_heads import JointHeads
from kgzsl.devices import resolve_device
from kgzsl.encoders.checkpoint import Checkpoint
from kgzsl.encoders.precision import check_precision, mixed
from kgzsl.errors import ArtifactError, InvalidInputError
from kgzsl.features.pixels import Augmentation, decode
from kgzsl.features.trainable import TRAINABLE, ImageNetwork, TrainedBackbone
from kgzsl.progress import track

if TYPE_CHECKING:
    from kgzsl.datasets.composition_set import CompositionSet


@dataclass(frozen=True)
class FineTuning:
    """How an image network is trained on.

    Attributes
    ----------
    backbone : one of `kgzsl.features.trainable.TRAINABLE`.
    height, width : of the frame that images are put in.
    early, colours : what rows hold beside the last map (see `ImageNetwork`).
    epochs : passes over the training images; 0 leaves the network as it came.
    batch_size, learning_rate, head_learning_rate, weight_decay : of AdamW; the rates are those at the top of the schedule.
    warm_up : share of the steps in which the rates rise.
    patience : stop after so many epochs without a better validation AUC; 0 never stops early.
    augmentation : see `kgzsl.features.pixels.Augmentation`.
    precision : `bfloat16` for GPUs. On CPUs measured, training convolutions are 1.5 to 2.7 times slower in it than in float32.
    """

    backbone: str = "efficientnet-lite0"
    height: int = 128
    width: int = 96
    early: bool = True
    colours: bool = True
    epochs: int = 6
    batch_size: int = 32
    learning_rate: float = 1e-4
    head_learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up: float = 0.1
    patience: int = 4
    augmentation: Augmentation = field(default_factory=Augmentation)
    precision: str = "float32"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if self.backbone not in TRAINABLE:
            raise InvalidInputError(
                "a trainable backbone is needed", received=repr(self.backbone), remedy=f"choose from: {', '.join(TRAINABLE)}"
            )
        if self.epochs < 0 or self.batch_size < 1 or self.patience < 0 or min(self.height, self.width) < 32:
            raise InvalidInputError(
                "epochs and patience are at least 0, a batch has an image or more, an image 32 pixels a side",
                received=f"{self.epochs}, {self.patience}, {self.batch_size}, {self.height} × {self.width}",
            )
        rates = (self.learning_rate, self.head_learning_rate)
        if not all(0 < rate < math.inf for rate in rates) or not 0 <= self.weight_decay < math.inf or not 0 <= self.warm_up < 1:
            raise InvalidInputError(
                "learning rates are positive, weight_decay not negative, warm_up in 0…1",
                received=f"{rates}, {self.weight_decay}, {self.warm_up}",
            )

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        return self.height, self.width

    def rate(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at `step` of `steps`: a rise, then half a cosine; needs no state to go on."""
        rising = max(1, round(self.warm_up * steps))
        return min(1.0, (step + 1) / rising) * 0.5 * (1 + math.cos(math.pi * step / steps))


#: By name, for the command line: a laptop's processor and small product photos; a GPU and photographs.
CONFIGURATIONS: Mapping[str, FineTuning] = {
    "small": FineTuning(),
    "large": FineTuning(
        backbone="efficientnet-lite2",
        height=260,
        width=260,
        epochs=30,
        batch_size=128,
        learning_rate=2e-4,
        patience=8,
        precision="bfloat16",
    ),
}


@dataclass(frozen=True)
class FineTuned:
    """What fine-tuning gives.

    Attributes
    ----------
    backbone : frozen, with the weights of the best epoch.
    heads : fitted on its rows.
    history : `loss` of every epoch; `auc` on the validation part before the first epoch and after every one; `best_epoch`.
    """

    backbone: TrainedBackbone
    heads: JointHeads
    history: dict[str, Any]


def fine_tune(
    images: CompositionSet,
    heads: JointHeads,
    knowledge: Knowledge | None,
    tuning: FineTuning | None = None,
    *,
    checkpoint: str | os.PathLike[str] | None = None,
    keep: Path | None = None,
) -> FineTuned:
    """Train an image network with heads on the training part; epochs are chosen on the validation part.

    Parameters
    ----------
    heads : their state, what `fit` learned before, is replaced.
    checkpoint : folder written after every epoch; where it is there already, training goes on from it, on a CPU bit for bit.
    keep : folder in which decoded images are kept for the next run.

    Raises
    ------
    InvalidInputError : images that cannot be read, or no validation part.
    IncompatibleError : the checkpoint is that of other images or settings.
    DivergedError : the loss is not finite.
    """
    tuning = tuning or FineTuning()
    place = resolve_device(tuning.device)
    train, held = images.rows("train"), images.rows("val")
    if not len(train) or not len(held):
        raise InvalidInputError("fine-tuning needs a training and a validation part", received=f"{len(train):,} and {len(held):,} images")
    pixels = {rows is held: decode([images.paths[i] for i in rows], tuning.size, keep=keep) for rows in (train, held)}
    network = ImageNetwork.pretrained(tuning.backbone, early=tuning.early, colours=tuning.colours).to(place)

    def features() -> tuple[TrainedBackbone, PairFeatures]:
        frozen = TrainedBackbone(network, tuning.size, place)
        return frozen, PairFeatures(frozen.rows_of(pixels[True]), images.labels[held])

    frozen, validation = features()
    heads.fit(PairFeatures(frozen.rows_of(pixels[False]), images.labels[train]), images.space, knowledge, validation)
    both = nn.ModuleList([network, heads.modules()])
    generator = torch.Generator(place).manual_seed(tuning.seed)
    optimiser = torch.optim.AdamW(
        [{"params": list(network.parameters())}, {"params": list(heads.modules().parameters())}], weight_decay=tuning.weight_decay
    )
    kept = _checkpoint(checkpoint, images, heads, knowledge, tuning, generator)
    history: dict[str, Any] = {"loss": [], "auc": [heads.choose_alpha(validation)], "best_epoch": 0}
    best = copy.deepcopy(both.state_dict())
    resumed = kept.read(both, optimiser) if kept else None
    if resumed:
        history, best = _checked(resumed[0]), resumed[1]
    labels = torch.from_numpy(images.labels[train])
    for epoch in track(range(len(history["loss"]) + 1, tuning.epochs + 1), "fine-tuning", total=tuning.epochs):
        if tuning.patience and epoch - 1 - history["best_epoch"] >= tuning.patience:
            break
        history["loss"].append(_epoch(network, heads, pixels[False], labels, optimiser, tuning, epoch, generator))
        history["auc"].append(heads.choose_alpha(features()[1]))
        if history["auc"][-1] > history["auc"][history["best_epoch"]]:
            history["best_epoch"], best = epoch, copy.deepcopy(both.state_dict())
        if kept:
            kept.write(both, optimiser, best, history)
    both.load_state_dict(best)
    backbone, validation = features()
    heads.choose_alpha(validation)
    return FineTuned(backbone, heads, history)


def _epoch(
    network: ImageNetwork,
    heads: JointHeads,
    pixels: np.ndarray,
    labels: torch.Tensor,
    optimiser: torch.optim.Optimizer,
    tuning: FineTuning,
    epoch: int,
    generator: torch.Generator,
) -> float:
    """Pass over the training images once and return the mean loss."""
    place = generator.device
    order = torch.randperm(len(labels), generator=generator, device=place).cpu()
    batches = [batch.sort().values for batch in order.split(tuning.batch_size)]
    total, steps = 0.0, tuning.epochs * len(batches)
    for number, batch in enumerate(track(batches, f"epoch {epoch}", total=len(batches))):
        factor = tuning.rate((epoch - 1) * len(batches) + number, steps)
        for group, rate in zip(optimiser.param_groups, (tuning.learning_rate, tuning.head_learning_rate), strict=True):
            group["lr"] = factor * rate
        taken = torch.from_numpy(pixels[batch.numpy()]).to(place)
        optimiser.zero_grad(set_to_none=True)
        with mixed(tuning.precision, place):
            rows = network(tuning.augmentation(taken, generator).contiguous())
            loss = heads.loss(heads.standardised(rows), labels[batch].to(place), generator)
        loss.backward()
        optimiser.step()
        value = loss.item()
        check_loss(value, f"epoch {epoch}, step {number}", "lower the learning rates")
        total += value * len(batch)
    return total / len(labels)


def _checkpoint(
    path: str | os.PathLike[str] | None,
    images: CompositionSet,
    heads: JointHeads,
    knowledge: Knowledge | None,
    tuning: FineTuning,
    generator: torch.Generator,
) -> Checkpoint | None:
    if path is None:
        return None
    known = "" if knowledge is None else hashlib.sha256(knowledge.graph.digest.encode() + knowledge.vectors.matrix.tobytes()).hexdigest()
    decides = {k: v for k, v in asdict(tuning).items() if k not in ("patience", "device")}
    identity = {**decides, "heads": heads.settings(), "images": images.digest, "knowledge": known, "on": generator.device.type}
    return Checkpoint(path, identity, generator, every=1)


def _checked(progress: Mapping[str, Any]) -> dict[str, Any]:
    """Return the history in a checkpoint; raises ArtifactError when it is none."""
    try:
        found: dict[str, Any] = {
            "loss": list(map(float, progress["loss"])),
            "auc": list(map(float, progress["auc"])),
            "best_epoch": int(progress["best_epoch"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError("a checkpoint holds the losses so far", received=repr(error)) from error
    if len(found["auc"]) != len(found["loss"]) + 1 or not 0 <= found["best_epoch"] < len(found["auc"]):
        raise ArtifactError("a checkpoint holds the losses so far", received=str(progress)[:200])
    return found
