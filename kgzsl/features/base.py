"""What a backbone is: an image in, a feature row out, and the recipe that says exactly how."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from kgzsl.devices import resolve_device
from kgzsl.errors import InvalidInputError
from kgzsl.matrices import ClassifierWeights

if TYPE_CHECKING:
    import torch
    from PIL import Image


class Backbone(ABC):
    """A frozen image network with its own preprocessing.

    Parameters
    ----------
    device : `auto`, `cpu`, `cuda` or `mps` (see `kgzsl.devices.resolve_device`).

    Attributes
    ----------
    name : the name in the resolver.
    source : the paper or model card.
    dim : width of a feature row.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, device: str | torch.device = "auto") -> None:
        self.device = resolve_device(device)

    @property
    @abstractmethod
    def dim(self) -> int:
        """Width of a feature row."""

    @abstractmethod
    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return the network's input `[3, height, width]`, float32 on the CPU, for an RGB image."""

    @abstractmethod
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the features `[images, dim]`, float32 on the CPU, of a preprocessed batch `[images, 3, height, width]`."""

    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """Return how features are made, as JSON: backbone, weights digest, resize, crop, mean/std, dtype.

        Two feature matrices may be compared, or scored by the same classifier, only when their recipes are equal.
        """

    def classifier(self) -> ClassifierWeights:
        """Return the network's own ImageNet-1k classifier `[1000, dim + 1]` (last column: bias), rows in sorted wnid order.

        Raises
        ------
        InvalidInputError : the network has no ImageNet-1k classifier.
        """
        raise InvalidInputError(
            "classifier weights need a backbone with an ImageNet-1k head",
            received=self.name,
            remedy="use `efficientnet-lite0`, or a transformers folder of a 1,000-class ImageForImageClassification model",
        )


def imagenet_ids() -> tuple[str, ...]:
    """Return the CURIEs of the 1,000 ImageNet classes in sorted wnid order, the order of every ImageNet-1k head.

    Raises
    ------
    MissingDataError : the packaged class list is not installed.
    """
    from kgzsl.datasets.imagenet import train_ids

    return train_ids()


#: Weights are read once per process and device even when threads ask together.
LOAD_LOCK = threading.Lock()
