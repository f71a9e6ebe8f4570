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
#: Images per pass on a CPU: feature maps that stay in the cache.
_CPU_CHUNK = 8


class ImageNetwork(nn.Module):
    """EfficientNet-lite with open layers: bytes in, feature rows out, a gradient all the way.

    The row of an image is the average-pooled last map (1,280 values) and, with `early`, mean and maximum of the maps before each
    halving (from 1/4 of the side on): colour and texture live there, and the last layers of an ImageNet network unlearn them.

    Parameters
    ----------
    name : one of `TRAINABLE`.
    early : rows also hold early maps.
    """

    def __init__(self, name: str, *, early: bool = False) -> None:
        super().__init__()
        if name not in TRAINABLE:
            raise InvalidInputError("a backbone that is trained further is one of those that can be", received=repr(name), remedy=f"choose from: {', '.join(TRAINABLE)}")
        package: Any = require("efficientnet_lite_pytorch", "images")
        with torch.random.fork_rng(devices=[]):  # its layers draw when they are made, only to be replaced
            self.body = package.EfficientNet.from_name(name)
        del self.body._fc
        self.name, self.early = name, early
        blocks = list(self.body._blocks)
        strides = [int(np.max(block._block_args.stride)) for block in blocks]
        #: Blocks whose output is halved next, the first (1/2 of the side) aside.
        self.taps = [i for i in range(1, len(blocks) - 1) if strides[i + 1] == 2] if early else []
        self.dim = 1280 + 2 * sum(int(blocks[i]._block_args.output_filters) for i in self.taps)

    @classmethod
    def pretrained(cls, name: str, *, early: bool = False) -> ImageNetwork:
        """Return the network with its ImageNet-1k weights; raises MissingDataError where their package is not installed."""
        network = cls(name, early=early)
        weights = torch.load(_packaged(name), map_location="cpu", weights_only=True)
        network.body.load_state_dict({k: v for k, v in weights.items() if not k.startswith("_fc.")})
        return network.to(memory_format=torch.channels_last)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Map bytes `[images, height, width, 3]` to rows `[images, dim]`, float32."""
        return self.rows(normalised(pixels))

    def rows(self, maps: torch.Tensor) -> torch.Tensor:
        """Map normalised images `[images, 3, height, width]` to rows `[images, dim]`, float32."""
        body = self.body
        maps = body._swish(body._bn0(body._conv_stem(maps)))
        parts = []
        for number, block in enumerate(body._blocks):
            maps = block(maps)
            if number in self.taps:
                parts += [maps.float().mean((2, 3)), maps.float().amax((2, 3))]
        last = body._swish(body._bn1(body._conv_head(maps))).float().mean((2, 3))
        return torch.cat([last, *parts], dim=1)


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
        self._of, self._early = network.name, network.early
        copied = copy.deepcopy(network).eval().requires_grad_(False)
        _fuse(copied.body)
        self._network = copied.to(device=self.device, memory_format=torch.channels_last)

    @classmethod
    def of_state(cls, recipe: dict[str, Any], state: dict[str, torch.Tensor], device: str | torch.device = "auto") -> TrainedBackbone:
        """Return the backbone that had `recipe`, from its network's `state`; raises InvalidInputError where they do not fit."""
        network = ImageNetwork(str(recipe.get("backbone", "")).removeprefix("trained:"), early=recipe.get("pooling") == _POOLING[True])
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
            "pooling": _POOLING[self._early],
            "dtype": "float32",
        }


_POOLING = {False: "average", True: "average; early maps: average and maximum"}

