"""A backbone that is trained further, and the frozen one that it becomes afterwards."""

from __future__ import annotations

import copy
import hashlib
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image
from torch import nn

from kgzsl.errors import InvalidInputError, require
from kgzsl.features.base import Backbone
from kgzsl.features.efficientnet_lite import MEAN, STD, EfficientNetLite0, EfficientNetLite2, _fuse, _packaged
from kgzsl.features.pixels import PAPER, framed

#: Networks that can be trained further.
TRAINABLE = (EfficientNetLite0.name, EfficientNetLite2.name)
#: Columns of the average-pooled last map, and colours of a histogram.
LAST, COLOURS = 1280, 6**3
#: Images per pass on a CPU: feature maps that stay in the cache.
_CPU_CHUNK = 8


class ImageNetwork(nn.Module):
    """EfficientNet-lite with open layers: bytes in, feature rows out, a gradient all the way.

    The row of an image is the average-pooled last map, 1,280 values; then, as asked for, statistics of early maps and a histogram of
    colours. The last layers of a network that was trained to name objects whatever their colour hardly tell colours apart.

    Parameters
    ----------
    name : one of `TRAINABLE`.
    early : rows also hold mean, maximum, minimum and standard deviation of the maps before each halving, from 1/2 of the side on.
    colours : rows also hold the square roots of the shares of 216 colours (6 steps of red, green and blue) among the pixels that are
        not paper-white. No gradient passes there.
    """

    def __init__(self, name: str, *, early: bool = False, colours: bool = False) -> None:
        super().__init__()
        if name not in TRAINABLE:
            raise InvalidInputError(
                "a backbone that is trained further is one of those that can be",
                received=repr(name),
                remedy=f"choose from: {', '.join(TRAINABLE)}",
            )
        package: Any = require("efficientnet_lite_pytorch", "images")
        with torch.random.fork_rng(devices=[]):  # its layers draw when they are made, only to be replaced
            self.body = package.EfficientNet.from_name(name)
        del self.body._fc
        # Batch normalisation is folded into the convolutions. Statistics of small batches of product photographs are far from those that
        # the ImageNet weights expect: training with them halved the validation AUC in the first epoch, and took half as long again.
        _fuse(self.body.eval())
        self.requires_grad_(True)
        self.name, self.early, self.colours = name, early, colours
        blocks = list(self.body._blocks)
        strides = [int(np.max(block._block_args.stride)) for block in blocks]
        #: Blocks whose output is halved next.
        self.taps = [i for i in range(len(blocks) - 1) if strides[i + 1] == 2] if early else []
        widths = [int(blocks[i]._block_args.output_filters) for i in self.taps]
        #: Columns of each part of a row, `(first, end)`.
        self.parts = {"last": (0, LAST), "early": (LAST, LAST + 4 * sum(widths))}
        self.parts["colours"] = (self.parts["early"][1], self.parts["early"][1] + (COLOURS if colours else 0))
        self.dim = self.parts["colours"][1]

    @classmethod
    def pretrained(cls, name: str, *, early: bool = False, colours: bool = False) -> ImageNetwork:
        """Return the network with its ImageNet-1k weights; raises MissingDataError where their package is not installed."""
        network = cls(name, early=early, colours=colours)
        weights = torch.load(_packaged(name), map_location="cpu", weights_only=True)
        package: Any = require("efficientnet_lite_pytorch", "images")
        with torch.random.fork_rng(devices=[]):
            body = package.EfficientNet.from_name(name)
        body.load_state_dict(weights)
        _fuse(body.eval())
        network.body.load_state_dict({k: v for k, v in body.state_dict().items() if not k.startswith("_fc.")})
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map bytes `[images, height, width, 3]` to rows `[images, dim]`, float32."""
        return self.rows(normalised(pixels))

    def rows(self, maps: torch.Tensor) -> torch.Tensor:
        """Map normalised images `[images, 3, height, width]` to rows `[images, dim]`, float32."""
        body, parts = self.body, []
        found = _colours(maps) if self.colours else None
        maps = body._swish(body._bn0(body._conv_stem(maps)))
        for number, block in enumerate(body._blocks):
            maps = block(maps)
            if number in self.taps:
                flat = maps.float().flatten(2)
                # a channel that is constant over an image has no deviation, and the root no gradient at 0
                parts += [flat.mean(2), flat.amax(2), flat.amin(2), (flat.var(2, correction=0) + 1e-6).sqrt()]
        last = body._swish(body._bn1(body._conv_head(maps))).float().mean((2, 3))
        return torch.cat([last, *parts, *([] if found is None else [found])], dim=1)


@torch.no_grad()
def _colours(maps: torch.Tensor) -> torch.Tensor:
    """Return the roots of the shares of colours in normalised images `[images, 3, height, width]`, `[images, 216]`."""
    pixels = (maps.float() * STD + MEAN).round().clamp(0, 255)
    steps = (pixels / (256 / 6)).long()
    code = (36 * steps[:, 0] + 6 * steps[:, 1] + steps[:, 2]).flatten(1)
    drawn = (pixels.amin(1) < PAPER - 10).flatten(1).float()
    one_hot_sums = torch.zeros(len(maps), COLOURS, device=maps.device).scatter_add_(1, code, drawn)
    return (one_hot_sums / one_hot_sums.sum(1, keepdim=True).clamp(min=1)).sqrt()


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """Map bytes `[images, height, width, 3]` to `[images, 3, height, width]` as the lite networks take them, channels last."""
    return ((pixels.float() - MEAN) / STD).permute(0, 3, 1, 2)


def state_digest(state: dict[str, torch.Tensor]) -> str:
    """Return the hex SHA-256 of names and values."""
    hasher = hashlib.sha256()
    for name in sorted(state):
        hasher.update(name.encode())
        hasher.update(np.ascontiguousarray(state[name].cpu().numpy()).tobytes())
    return hasher.hexdigest()


class TrainedBackbone(Backbone):
    """The frozen backbone made of an `ImageNetwork`, fine-tuned or not.

    Parameters
    ----------
    network : it is copied.
    size : `(height, width)` of the frame in which images are put.
    """

    name: ClassVar[str] = "trained"
    source: ClassVar[str] = "Naeem et al., Learning Graph Embeddings for Compositional Zero-shot Learning, CVPR 2021, section 3.3"

    def __init__(self, network: ImageNetwork, size: tuple[int, int], device: str | torch.device = "auto") -> None:
        super().__init__(device)
        self.size = (int(size[0]), int(size[1]))
        if min(self.size) < 32:
            raise InvalidInputError("an image's frame has 32 pixels a side or more", received=self.size)
        self.state = {k: v.detach().cpu().clone() for k, v in network.state_dict().items()}
        self.parts, self._of = network.parts, network.name
        copied = copy.deepcopy(network).eval().requires_grad_(False)
        self._network = copied.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def of_state(cls, recipe: dict[str, Any], state: dict[str, torch.Tensor], device: str | torch.device = "auto") -> TrainedBackbone:
        """Return the backbone that had `recipe`, from its network's `state`; raises InvalidInputError where they do not fit."""
        parts = recipe.get("parts", [])
        name = str(recipe.get("backbone", "")).removeprefix("trained:")
        network = ImageNetwork(name, early="early" in parts, colours="colours" in parts)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise InvalidInputError("the weights must be those of the recipe's network", received=str(error)[:300]) from error
        return cls(network, tuple(recipe["resize"]), device)

    @property
    def dim(self) -> int:
        """Width of a feature row."""
        return int(self._network.dim)

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Put the whole image in the frame and normalise it: `[3, height, width]`."""
        return normalised(torch.from_numpy(framed(image, self.size).copy())[None])[0]

    @torch.inference_mode()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the rows `[images, dim]`, float32 on the CPU."""
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        chunks = batch.split(_CPU_CHUNK) if self.device.type == "cpu" else [batch]
        return cast(torch.Tensor, torch.cat([self._network.rows(chunk) for chunk in chunks]).float().cpu())

    def rows_of(self, pixels: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the rows `[images, dim]` of decoded images, uint8 `[images, height, width, 3]` (see `pixels.decode`)."""
        parts = [self.forward(normalised(torch.from_numpy(pixels[i : i + batch_size].copy()))) for i in range(0, len(pixels), batch_size)]
        return torch.cat(parts).numpy()

    def recipe(self) -> dict[str, Any]:
        """Return the feature recipe (see `Backbone.recipe`)."""
        return {
            "backbone": f"trained:{self._of}",
            "weights_sha256": state_digest(self.state),
            "orientation": "exif",
            "crop": f"none: the whole image on {PAPER}",
            "resize": list(self.size),
            "interpolation": "bicubic",
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "pooling": "average",
            "parts": [part for part, (first, end) in self.parts.items() if end > first],
            "dtype": "float32",
        }


class EfficientNetLite0Parts(TrainedBackbone):
    """EfficientNet-lite0 with its early maps and a histogram of colours, ImageNet-1k, portrait frame of 128 × 96 px, 2,264 features.

    For pictures in which colour or texture matters as much as what is shown: on product photographs the early maps and the histogram
    raise the accuracy of colours on validation images from 33 to 48 %.

    Parameters
    ----------
    height, width : of the frame.
    """

    name = "efficientnet-lite0-parts"
    source = "Liu 2020, EfficientNet-Lite (github.com/tensorflow/tpu); the parts: this package"

    def __init__(self, device: str | torch.device = "auto", height: int = 128, width: int = 96) -> None:
        super().__init__(ImageNetwork.pretrained(EfficientNetLite0.name, early=True, colours=True), (height, width), device)

    def recipe(self) -> dict[str, Any]:
        """Return the feature recipe (see `Backbone.recipe`)."""
        return {**super().recipe(), "backbone": self.name}
