"""Workspace: the artifacts that several commands share, each built once and found again by digest."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kgzsl.artifacts import digest
from kgzsl.errors import ArtifactError

if TYPE_CHECKING:
    from kgzsl.datasets import ImageSet
    from kgzsl.features import Backbone
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.matrices import ClassifierWeights, Features, Vectors


def cache_root() -> Path:
    """Return the folder for downloaded data and derived artifacts: `KGZSL_CACHE`, else `~/.cache/kgzsl`."""
    given = os.environ.get("KGZSL_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kgzsl"


@dataclass
class Workspace:
    """Builds what is missing and loads what is there.

    Parameters
    ----------
    root : folder of the artifacts; by default `artifacts/` in the cache folder.
    """

    root: Path = field(default_factory=lambda: cache_root() / "artifacts")

    def graph(self, recipe: str = "imagenet") -> KnowledgeGraph:
        """Return the graph of a shipped recipe or a recipe file; built anew when the recipe has changed."""
        from kgzsl import __version__
        from kgzsl.graphs.compile import compile_graph
        from kgzsl.graphs.graph import KnowledgeGraph
        from kgzsl.graphs.recipe import load_recipe

        loaded = load_recipe(recipe)
        key = digest({"recipe": loaded.content, "version": __version__})[:12]
        path = self.root / f"{loaded.name}-{key}.kg"
        if not path.exists():
            try:
                return compile_graph(recipe, out=path)
            except ArtifactError:
                if not path.exists():  # else another process built the same graph meanwhile
                    raise
        return KnowledgeGraph.load(path)

    def vectors(
        self, graph: KnowledgeGraph, encoder: str = "minilm-l6-v2", descriptions: Mapping[str, Sequence[str]] | None = None
    ) -> Vectors:
        """Return the semantic vectors of all nodes, `[nodes, dim]`, cached by digest of texts and model.

        With `descriptions`, `{id: texts}`, those of the described nodes stand beside them (see `kgzsl.vectors.join`).
        """
        from kgzsl.vectors import embed_descriptions, embed_texts, join

        texts = embed_texts(graph, encoder)
        return texts if descriptions is None else join(texts, embed_descriptions(graph, descriptions, encoder))

    def weights(self, backbone: Backbone) -> ClassifierWeights:
        """Return a backbone's own classifier weights, `[classes, features + 1]`."""
        return backbone.classifier()

    def features(self, images: ImageSet, backbone: Backbone) -> Features:
        """Return the features of an image set, `[images, dim]`, extracted once per set and recipe."""
        from kgzsl.features import extract
        from kgzsl.matrices import Features

        key = digest({"images": images.digest, "recipe": backbone.recipe()})[:12]
        path = self.root / f"{images.name}-{backbone.name}-{key}.features"
        if path.exists():
            try:
                return Features.load(path)
            except ArtifactError as error:
                raise ArtifactError(error.rule, received=error.received, remedy=f"delete {path}; it is extracted again") from error
        return extract(list(images.paths), backbone, labels=list(images.labels), out=path)
