"""Images → feature rows, with the recipe that made them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgzsl.features.backbones import BACKBONES as BACKBONES
    from kgzsl.features.backbones import make_backbone as make_backbone
    from kgzsl.features.base import Backbone as Backbone
    from kgzsl.features.extraction import extract as extract

#: Public name → the module that holds it; loaded on use, because torch and Pillow take seconds to import.
_HOMES = {"BACKBONES": "backbones", "make_backbone": "backbones", "Backbone": "base", "extract": "extraction"}
__all__ = ["BACKBONES", "Backbone", "extract", "make_backbone"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
