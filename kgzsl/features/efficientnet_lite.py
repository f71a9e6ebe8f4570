"""EfficientNet-lite: small ImageNet-1k networks whose weights an installable package carries."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from PIL import Image

from kgzsl.artifacts import sha256_file
from kgzsl.errors import MissingDataError, SourceError, require
from kgzsl.features.base import LOAD_LOCK, Backbone, imagenet_ids
from kgzsl.matrices import ClassifierWeights

#: Centre crop as a fraction of the shorter side (tensorflow/tpu, models/official/efficientnet/preprocessing.py, CROP_FRACTION).
CROP_FRACTION = 0.875
#: The lite networks take (pixel − 127) / 128 (the same repository, efficientnet_lite_builder.py).
MEAN, STD = 127.0, 128.0
#: Images per pass on a CPU: feature maps that stay in the cache make it 1.7 times as fast as 32 at once.
CPU_CHUNK = 4


class _EfficientNetLite(Backbone):
    """Shared by the sizes; each subclass states its name and input size."""

    source = "Liu 2020, EfficientNet-Lite (github.com/tensorflow/tpu); Tan & Le 2019, arXiv:1905.11946"
    size: ClassVar[int]

    def __init__(self, device: str | torch.device = "auto", weights: str | None = None) -> None:
        """`weights` is a `.pth` state dict; None takes the packaged one."""
        super().__init__(device)
        path = Path(weights) if weights else _packaged(self.name)
        self._weights_sha256 = sha256_file(path)
        with LOAD_LOCK:
            self._model, self._fc = _load(self.name, path, self._weights_sha256, self.device)

    @property
    def dim(self) -> int:
        """Width of a feature row (1,280 for every size)."""
        return int(self._fc.shape[1]) - 1

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Crop the centre square (0.875 of the shorter side), resize it (bicubic), normalise: `[3, size, size]`.

        This is the authors' evaluation preprocessing: crop first, then resize, integer offsets rounded up.
        """
        padding = round(self.size * (1 / CROP_FRACTION - 1))
        side = max(1, int(self.size / (self.size + padding) * min(image.size)))
        left, top = ((edge - side + 1) // 2 for edge in image.size)
        square = image.crop((left, top, left + side, top + side))
        if side != self.size:
            square = square.resize((self.size, self.size), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(square, dtype=np.float32).copy())
        return ((pixels - MEAN) / STD).permute(2, 0, 1)

    @torch.inference_mode()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the average-pooled last feature map `[images, 1280]`, float32 on the CPU."""
        batch = batch.to(self.device).contiguous(memory_format=torch.channels_last)
        chunks = batch.split(CPU_CHUNK) if self.device.type == "cpu" else [batch]
        maps = [self._model.extract_features(chunk).mean(dim=(2, 3)) for chunk in chunks]  # type: ignore[operator]
        return cast(torch.Tensor, torch.cat(maps).float().cpu())

    def recipe(self) -> dict[str, Any]:
        """Return the feature recipe (see `Backbone.recipe`)."""
        return {
            "backbone": self.name,
            "weights_sha256": self._weights_sha256,
            "orientation": "exif",
            "crop": f"centre square, {CROP_FRACTION} of the shorter side",
            "resize": [self.size, self.size],
            "interpolation": "bicubic",
            "mean": [MEAN] * 3,
            "std": [STD] * 3,
            "pooling": "average",
            "dtype": "float32",
        }

    def classifier(self) -> ClassifierWeights:
        """Return the ImageNet-1k classifier `[1000, 1281]` with the feature recipe in its meta."""
        return ClassifierWeights(ids=imagenet_ids(), matrix=self._fc.copy(), meta={"recipe": self.recipe()})


class EfficientNetLite0(_EfficientNetLite):
    """EfficientNet-lite0, ImageNet-1k, 224 px, 1,280 features, 75.1 % top-1 as published."""

    name = "efficientnet-lite0"
    size = 224


class EfficientNetLite2(_EfficientNetLite):
    """EfficientNet-lite2, ImageNet-1k, 260 px, 1,280 features, 77.6 % top-1 as published."""

    name = "efficientnet-lite2"
    size = 260


def _packaged(name: str) -> Path:
    from kgzsl.data import locate

    folder = Path(locate(name))
    found = [folder] if folder.is_file() else sorted(folder.rglob("*.pth"))
    if not found:
        raise MissingDataError("the backbone's weights are a .pth file", received=f"none in {folder}", remedy=f"kgzsl data fetch {name}")
    return found[0]


@functools.lru_cache(maxsize=2)
def _load(name: str, path: Path, sha256: str, device: torch.device) -> tuple[torch.nn.Module, np.ndarray]:
    """Return the network, in evaluation mode on `device`, and its head `[1000, 1281]`.

    `sha256` is part of the cache key, so that a replaced file is read again; `device` is, because a module moves in place.
    """
    package: Any = require("efficientnet_lite_pytorch", "images")
    model = package.EfficientNet.from_name(name)
    try:
        # weights_only: tensors and nothing else are read from the zip, so that a foreign file cannot run code
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise SourceError(
            f"the weights must be a state dict of {name}", received=f"{path}: {str(error)[:200]}", remedy=f"kgzsl data fetch {name}"
        ) from error
    head = np.concatenate([model._fc.weight.detach().numpy(), model._fc.bias.detach().numpy()[:, None]], axis=1)
    model = model.eval().requires_grad_(False)
    _fuse(model)
    return model.to(device=device, memory_format=torch.channels_last), head


#: Each convolution and the batch normalisation that follows it, by their names in the package.
_PAIRS = (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
_BLOCK_PAIRS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


def _fuse(model: Any) -> None:
    """Fold every batch normalisation into its convolution: half the time on a CPU, features equal to 1e-5."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module, pairs in [(model, _PAIRS), *((block, _BLOCK_PAIRS) for block in model._blocks)]:
        for convolution, norm in pairs:
            if hasattr(module, convolution):
                setattr(module, convolution, fuse_conv_bn_eval(getattr(module, convolution), getattr(module, norm)))
                setattr(module, norm, torch.nn.Identity())
