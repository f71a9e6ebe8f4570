"""Encoders whose layers are graph convolutions over hop matrices (GCNZ, SGCN, DGP)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from kgzsl.devices import resolve_device
from kgzsl.encoders.convolution import GraphNetwork
from kgzsl.encoders.receptive import ReceptiveField, receptive_field
from kgzsl.encoders.regression import WeightRegressionEncoder
from kgzsl.ids import positions

if TYPE_CHECKING:
    from kgzsl.graphs.views import View


class HopEncoder(WeightRegressionEncoder):
    """A `GraphNetwork` on the receptive field of its hop matrices; see `WeightRegressionEncoder` for the settings."""

    @abstractmethod
    def layers(self, view: View) -> list[tuple[sp.csr_matrix, ...]]:
        """Return per layer, first to last, the hop matrices `[nodes, nodes]` that it propagates over."""

    @abstractmethod
    def build(self, inputs: int, outputs: int) -> GraphNetwork:
        """Return the untrained network for `inputs` vector columns and `outputs` weight columns."""

    def field(self, view: View, nodes: Sequence[str]) -> ReceptiveField:
        return receptive_field(self.layers(view), positions(nodes, view.ids, "the graph"), resolve_device(self.device))

    def shape_of(self, state: Mapping[str, np.ndarray]) -> tuple[int, int]:
        first, last = state["layers.0.weight"], state[f"layers.{len(self.hidden)}.weight"]
        return first.shape[0], last.shape[1]
