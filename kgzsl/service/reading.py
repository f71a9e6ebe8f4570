"""Uploaded images → feature rows: decoded in a child process, several at a time through the network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from kgzsl.errors import InvalidInputError, MissingDataError
from kgzsl.matrices import check_same_recipe
from kgzsl.service.batching import Batcher
from kgzsl.service.helper import Helper
from kgzsl.service.problems import TooSlowError
from kgzsl.service.settings import Limits
from kgzsl.service.store import ServedBundle

#: Images that go through the network at once.
BATCH_IMAGES = 16


class Reader:
    """Reads images for one backbone.

    Raises
    ------
    MissingDataError : the backbone is a transformers model, whose folder the bundle does not know.
    """

    def __init__(self, served: ServedBundle, limits: Limits) -> None:
        self._recipe = served.bundle.recipe
        self._name = str(self._recipe.get("backbone"))
        if self._name.startswith("transformers:"):
            raise MissingDataError(
                "images are read by the backbones that packages carry", received=self._name, remedy="send feature rows to predict/features"
            )
        self._lock = threading.Lock()
        self._helper = Helper("image", {"backbone": self._name, "pixels": limits.pixels}, limits.image_seconds, "decoding an image")
        self._batcher: Batcher[np.ndarray, np.ndarray] = Batcher(self._forward, lambda _: 1, BATCH_IMAGES, limits.waiting, "images")

    @cached_property
    def _backbone(self) -> Any:
        from kgzsl.features import make_backbone

        made = make_backbone(self._name)
        check_same_recipe(made.recipe(), self._recipe)
        return made

    def warm(self) -> None:
        """Load the network here and in the child, before somebody waits for it."""
        with self._lock:
            _ = self._backbone
        self._helper.start()

    async def read(self, data: bytes, threads: Any) -> np.ndarray | str:
        """Return the feature row `[features]` of an image file, or what is wrong with it."""
        loop = asyncio.get_running_loop()
        try:
            decoded = await loop.run_in_executor(threads, self._helper.ask, data)
        except (InvalidInputError, TooSlowError) as error:
            return str(error.received)
        return await self._batcher.ask(np.frombuffer(decoded, dtype="<f4"))

    def _forward(self, batch: Sequence[np.ndarray]) -> list[np.ndarray]:
        import torch

        with self._lock:
            backbone = self._backbone
        side = round((batch[0].size / 3) ** 0.5)
        return list(backbone.forward(torch.from_numpy(np.stack(batch).reshape(len(batch), 3, side, -1))).numpy())

    def close(self) -> None:
        """End the child and the thread."""
        self._helper.close()
        self._batcher.close()
