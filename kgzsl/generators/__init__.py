"""Class embeddings + features of seen classes → synthetic features of unseen ones."""

from kgzsl.generators.base import Generator, SeenRows, settings_of
from kgzsl.generators.cadavae import CADAVAE
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.fvaegan import FVAEGAN
from kgzsl.generators.gdan import GDAN
from kgzsl.generators.tfvaegan import TFVAEGAN
from kgzsl.generators.training import Batch, Player, Training
from kgzsl.registry import Resolver

GENERATORS: Resolver[Generator] = Resolver(
    "generators",
    Generator,  # type: ignore[type-abstract]
    [FCLSWGAN, CADAVAE, FVAEGAN, TFVAEGAN, GDAN],
)

__all__ = [
    "CADAVAE",
    "FCLSWGAN",
    "FVAEGAN",
    "GDAN",
    "GENERATORS",
    "TFVAEGAN",
    "Batch",
    "Generator",
    "Player",
    "SeenRows",
    "Training",
    "settings_of",
]
