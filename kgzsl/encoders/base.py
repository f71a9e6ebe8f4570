"""What every encoder is: graph view + semantic vectors (+ targets) → class embeddings."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kgzsl.artifacts import atomic_directory, read_manifest, write_manifest
from kgzsl.errors import ArtifactError, IncompatibleError, InvalidInputError, first_five
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Vectors

if TYPE_CHECKING:
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.graphs.views import View


class Encoder(ABC):
    """Graph view and node vectors → class embeddings.

    A subclass states `name`, `source` (its paper), takes its settings as keyword arguments that
    `settings()` returns, and computes only the receptive field of the nodes it is asked for.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    #: Whether a class that comes later costs no training: bundles then keep what adds it (`kgzsl.bundle.Adding`).
    closed_form: ClassVar[bool] = False

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments as JSON values."""

    @abstractmethod
    def view(self, graph: KnowledgeGraph) -> View:
        """Return the view of `graph` that this encoder works on."""

    @abstractmethod
    def fit(self, view: View, vectors: Vectors, targets: ClassifierWeights) -> Self:
        """Learn from the seen classes' classifier weights.

        Parameters
        ----------
        view : from `self.view(graph)`.
        vectors : semantic vectors of all nodes of the view, `[nodes, dim]`.
        targets : classifier weights of the seen classes, `[seen, features + 1]`.

        Raises
        ------
        IncompatibleError : view and vectors name different nodes.
        UnknownNameError : a seen class is not a node of the view.
        """

    @abstractmethod
    def encode(self, view: View, vectors: Vectors, nodes: Sequence[str]) -> ClassEmbeddings:
        """Return the embeddings of `nodes`, `[nodes, features + 1]`; rows equal those of the full forward."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Return what `fit` learned as named arrays."""

    @abstractmethod
    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Take back what `state()` returned; raises InvalidInputError when a name or shape is off."""

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write settings and state as an artifact folder and return its path."""
        from safetensors.numpy import save_file

        with atomic_directory(path, overwrite=overwrite) as folder:
            save_file(dict(self.state()), folder / "state.safetensors")
            write_manifest(folder, "encoder", {"encoder": self.name, "settings": self.settings()})
        return Path(path)


def load_encoder(path: str | os.PathLike[str]) -> Encoder:
    """Read an encoder that `Encoder.save` wrote.

    Raises
    ------
    ArtifactError, DigestMismatchError : the folder is damaged or of another kind.
    UnknownNameError : its encoder is not installed.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from kgzsl.encoders import ENCODERS

    manifest = read_manifest(path, "encoder")
    encoder = ENCODERS.make(manifest["encoder"], manifest["settings"])
    try:
        encoder.load_state(load_file(Path(path) / "state.safetensors"))
    except (OSError, SafetensorError) as error:
        raise ArtifactError("an encoder folder holds state.safetensors", received=f"{path}: {error}") from error
    return encoder


def check_same_nodes(view: View, vectors: Vectors) -> None:
    """Raise IncompatibleError unless `view` and `vectors` name the same nodes in the same order."""
    if view.ids != vectors.ids:
        missing = sorted(set(view.ids) - set(vectors.ids))
        detail = (
            f"{len(missing):,} nodes without a vector: {first_five(missing)}"
            if missing
            else "same nodes in another order, or extra vectors"
        )
        raise IncompatibleError(
            "the vectors must be those of the graph's nodes", received=detail, remedy="embed the texts of this graph again"
        )


def unit_rows(matrix: np.ndarray) -> np.ndarray:
    """Return `matrix` `[rows, dim]` with every row at L2 norm 1.

    Raises
    ------
    InvalidInputError : a row is all zeros, so it has no direction.
    """
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.all(norms > 0):
        raise InvalidInputError("every row needs a direction", received=f"{int((norms == 0).sum())} rows of zeros")
    return matrix / norms
