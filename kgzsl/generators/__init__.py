"""Class embeddings + features of seen classes → synthetic features of unseen ones."""

from kgzsl.generators.base import Generator, SeenRows, settings_of
from kgzsl.generators.cadavae import CADAVAE
from kgzsl.generators.cizsl import CIZSL
from kgzsl.generators.fclswgan import FCLSWGAN
from kgzsl.generators.fvaegan import FVAEGAN
from kgzsl.generators.gdan import GDAN
from kgzsl.generators.kggan import KGGAN
from kgzsl.generators.lsrgan import LsrGAN
from kgzsl.generators.ontozsl import OntoZSL
from kgzsl.generators.saved import load_generator, save_generator
from kgzsl.generators.tfvaegan import TFVAEGAN
from kgzsl.generators.training import Batch, Player, Training
from kgzsl.registry import Resolver

GENERATORS: Resolver[Generator] = Resolver(
    "generators",
    Generator,  # type: ignore[type-abstract]
    [FCLSWGAN, KGGAN, OntoZSL, CADAVAE, FVAEGAN, TFVAEGAN, GDAN, LsrGAN, CIZSL],
)

__all__ = [
    "CADAVAE",
    "CIZSL",
    "FCLSWGAN",
    "FVAEGAN",
    "GDAN",
    "GENERATORS",
    "KGGAN",
    "TFVAEGAN",
    "Batch",
    "Generator",
    "LsrGAN",
    "OntoZSL",
    "Player",
    "SeenRows",
    "Training",
    "load_generator",
    "save_generator",
    "settings_of",
]
