"""OntoZSL's generator: a Wasserstein GAN conditioned on text-aware ontology embeddings, its class means held to the real ones."""

from __future__ import annotations

from typing import Any

from kgzsl.generators.fclswgan import FCLSWGAN


class OntoZSL(FCLSWGAN):
    """OntoZSL: f-CLSWGAN conditioned on embeddings of an ontology's classes, with the pivot of class means.

    What conditions it is made by the encoder `ontozsl` (structure and text, 200 columns); any class embeddings do. Defaults are those
    of the published code for images (hidden 4,096, batches of 4,096, noise of 100 columns, rate 1e-4, β 0.01). The paper's loss has
    the pivot too, λ₂; its weight is that of the published code for relations.

    Parameters
    ----------
    settings : see `FCLSWGAN`.
    """

    name = "ontozsl"
    source = "Geng et al., OntoZSL: Ontology-enhanced Zero-shot Learning, WWW 2021, section 4.2"

    def __init__(
        self,
        *,
        epochs: int = 100,
        batch_size: int = 4096,
        noise: int = 100,
        pivot_weight: float = 3.0,
        embedding_scaling: str = "none",
        **settings: Any,
    ) -> None:
        super().__init__(
            epochs=epochs, batch_size=batch_size, noise=noise, pivot_weight=pivot_weight, embedding_scaling=embedding_scaling, **settings
        )
