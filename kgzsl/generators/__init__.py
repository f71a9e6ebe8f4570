"""Class embeddings + features of seen classes → synthetic features of unseen ones."""

from kgzsl.generators.base import Generator, SeenRows, settings_of
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.training import Batch, Player, Training
from kgzsl.registry import Resolver

GENERATORS: Resolver[Generator] = Resolver(
    "generators",
    Generator,  # type: ignore[type-abstract]
    [FCLSWGAN],
)

__all__ = ["FCLSWGAN", "GENERATORS", "Batch", "Generator", "Player", "SeenRows", "Training", "settings_of"]
