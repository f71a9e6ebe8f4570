"""KG-GAN's generator: a Wasserstein GAN conditioned on embeddings of two views of a knowledge graph."""

from __future__ import annotations

from typing import Any

from kgzsl.generators.fclswgan import FCLSWGAN


class KGGAN(FCLSWGAN):
    """KG-GAN: f-CLSWGAN conditioned on embeddings of the graph's class view and attribute view, side by side.

    What conditions it is made by the encoder `kggan`; any class embeddings do. The columns of the two views differ in size, so that
    each row is brought to length 1 after the mean of the seen classes is taken off. Beyond f-CLSWGAN the means of drawn rows are held
    to the real class means: with a weight above 1, the steepest slope of the critic, they cannot be held apart. 0 leaves that out.

    Parameters
    ----------
    settings : see `FCLSWGAN`.
    """

    name = "kggan"
    source = "Geng et al., Generative Adversarial Zero-shot Learning via Knowledge Graphs, 2020, arXiv:2004.03109, section 3"

    def __init__(self, *, pivot_weight: float = 3.0, embedding_scaling: str = "centre_l2", **settings: Any) -> None:
        super().__init__(pivot_weight=pivot_weight, embedding_scaling=embedding_scaling, **settings)
