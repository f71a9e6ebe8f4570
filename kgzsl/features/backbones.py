"""The resolver of backbones and the one way to make one by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgzsl.errors import InvalidInputError
from kgzsl.features.base import Backbone
from kgzsl.features.efficientnet_lite import EfficientNetLite0, EfficientNetLite2
from kgzsl.features.trainable import EfficientNetLite0Parts
from kgzsl.features.transformers_backbone import TransformersBackbone
from kgzsl.registry import Resolver

if TYPE_CHECKING:
    import torch

#: Third parties add theirs through the entry-point group `kgzsl.backbones`.
BACKBONES: Resolver[Backbone] = Resolver(
    "backbones",
    Backbone,  # type: ignore[type-abstract]
    [EfficientNetLite0, EfficientNetLite0Parts, EfficientNetLite2, TransformersBackbone],
)


def make_backbone(name: str, *, device: str | torch.device = "auto", allow_network: bool = False) -> Backbone:
    """Return a backbone by its resolver name, or a transformers one by its folder (or hub name).

    Parameters
    ----------
    name : `efficientnet-lite0`, …, a folder holding a transformers image model, or `transformers:REPO` for a hub name.
    allow_network : permits fetching `REPO` from the hub; without it nothing is fetched.

    Raises
    ------
    UnknownNameError : neither a name nor a folder; the choices are listed.
    """
    model = name.removeprefix("transformers:")
    if model != name or (Path(name) / "config.json").is_file():
        return TransformersBackbone(model, device=device, allow_network=allow_network)
    if name == TransformersBackbone.name:
        raise InvalidInputError(
            "a transformers backbone is named by its folder", received=name, remedy="pass the folder, or transformers:REPO"
        )
    settings: dict[str, Any] = {"device": device}
    return BACKBONES.make(name, settings)
