"""The aggregator encoders one node at a time, in plain Python over the graph's edges, in double precision.

Written from the papers' equations and from nothing else here, slow on purpose: tests compare outputs with it. Nothing else uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np

#: One row per call: the representation of node u that enters a layer.
Lookup = Callable[[int], np.ndarray]
#: Neighbours u of node v with their edge type r, `(u, r)`, in layer l: called with (l, v).
Neighbours = Callable[[int, int], Sequence[tuple[int, int]]]


def unit(row: np.ndarray) -> np.ndarray:
    """Return `row / ‖row‖`, zeros as they are."""
    norm = math.sqrt(float(row @ row))
    return row / norm if norm > 0 else row


def leaky(row: np.ndarray, slope: float = 0.2) -> np.ndarray:
    """Return LeakyReLU of every value."""
    return np.where(row > 0, row, slope * row)


def softmax(values: Sequence[float]) -> list[float]:
    """Return `exp(v) / Σ exp(v)`."""
    top = max(values)
    parts = [math.exp(v - top) for v in values]
    return [p / sum(parts) for p in parts]


def rows_of(name: str, state: Mapping[str, np.ndarray], vectors: np.ndarray, neighbours: Neighbours, **options: object) -> Lookup:
    """Return the function that computes one node's output of the network `state`.

    Parameters
    ----------
    name : of the encoder.
    vectors : of all nodes, `[nodes, dim]`.
    options : `composition` (compgcn), `pool` (trgcn), `order` (lstm: node → its places in reading order), `alpha`, `lam` and `weight`
        (gcnii: (v, u) → P̃_vu).
    """
    state = {key: np.asarray(value, dtype=np.float64) for key, value in state.items()}
    if name == "gcnii":
        return _gcnii(state, vectors, neighbours, options)
    depth = len({key.split(".")[1] for key in state if key.startswith("layers.")})
    relations = _relation_vectors(state, depth) if name == "compgcn" else []

    @cache
    def row(layer: int, node: int) -> np.ndarray:
        if layer == 0:
            return unit(vectors[node].astype(np.float64))
        part = {key.split(".", 2)[2]: value for key, value in state.items() if key.startswith(f"layers.{layer - 1}.")}
        if relations:
            part["z"] = relations[layer - 1]
        out = _LAYERS[name](part, node, neighbours(layer - 1, node), lambda u: row(layer - 1, u), options)
        return unit(out if layer == depth else leaky(out))

    return lambda node: row(depth, node)


def _gcn(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    total = h(v).copy()
    for u, _ in near:
        total += h(u)
    return (total / (len(near) + 1)) @ p["convolution.weight"] + p["convolution.bias"]


def _gat(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    weight, left, right = p["convolution.lin.weight"], p["convolution.att_dst"].ravel(), p["convolution.att_src"].ravel()
    every = [v, *(u for u, _ in near)]
    scores = [float(leaky(np.array(left @ (weight @ h(v)) + right @ (weight @ h(u))))) for u in every]
    return sum(a * (weight @ h(u)) for a, u in zip(softmax(scores), every, strict=True)) + p["convolution.bias"]


def _lstm(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    order = options["order"]
    width = p["combine.weight"].shape[1]
    hidden, cell = np.zeros(width), np.zeros(width)
    for u in order(v, [v, *(u for u, _ in near)]):  # type: ignore[operator]
        gates = p["lstm.weight_ih_l0"] @ h(u) + p["lstm.bias_ih_l0"] + p["lstm.weight_hh_l0"] @ hidden + p["lstm.bias_hh_l0"]
        enter, forget, new, leave = np.split(gates, 4)
        cell = _sigmoid(forget) * cell + _sigmoid(enter) * np.tanh(new)
        hidden = _sigmoid(leave) * np.tanh(cell)
    return p["combine.weight"] @ hidden + p["combine.bias"]


def _trgcn(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    every = [v, *(u for u, _ in near)]
    fed = []
    for u in every:
        between = np.maximum(p["widen.weight"] @ h(u) + p["widen.bias"], 0)
        fed.append(_layer_norm(h(u) + p["narrow.weight"] @ between + p["narrow.bias"], p["norm_nodes.weight"], p["norm_nodes.bias"]))
    triples = [np.split(p["project.weight"] @ f + p["project.bias"], 3) for f in fed]
    places = []
    for f, (query, _, _) in zip(fed, triples, strict=True):
        shares = softmax([float(query @ key) / math.sqrt(len(f)) for _, key, _ in triples])
        attended = sum(share * value for share, (_, _, value) in zip(shares, triples, strict=True))
        places.append(_layer_norm(f + p["back.weight"] @ attended + p["back.bias"], p["norm_pairs.weight"], p["norm_pairs.bias"]))
    pooled = np.max(places, axis=0) if options.get("pool") == "max" else np.mean(places, axis=0)
    return p["combine.weight"] @ pooled + p["combine.bias"]


def _rgcn(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    out = h(v) @ p["convolution.root"] + p["convolution.bias"]
    for r in {r for _, r in near}:
        matrix = sum(a * basis for a, basis in zip(p["convolution.comp"][r], p["convolution.weight"], strict=True))
        same = [u for u, kind in near if kind == r]
        for u in same:
            out = out + h(u) @ matrix / len(same)
    return out


def _compgcn(p: Mapping[str, np.ndarray], v: int, near: Sequence[tuple[int, int]], h: Lookup, options: Mapping[str, object]) -> np.ndarray:
    kind = str(options["composition"])
    out = _compose(kind, h(v), p["loop"][0]) @ p["directions"][2]
    for direction in (0, 1):
        same = [(u, r) for u, r in near if r % 2 == direction]
        for u, r in same:
            out = out + _compose(kind, h(u), p["z"][r]) @ p["directions"][direction] / len(same)
    return out / 3 + p["bias"]


def _compose(kind: str, h: np.ndarray, z: np.ndarray) -> np.ndarray:
    if kind == "sub":
        return h - z
    if kind == "mult":
        return h * z
    return np.array([sum(h[i] * z[(k + i) % len(z)] for i in range(len(z))) for k in range(len(z))])


def _relation_vectors(state: Mapping[str, np.ndarray], depth: int) -> list[np.ndarray]:
    z = [state["first.shares"] @ state["first.vectors"] if "first.shares" in state else state["first.vectors"]]
    for layer in range(depth - 1):
        z.append(z[-1] @ state[f"layers.{layer}.relations"])
    return z


def _gcnii(state: Mapping[str, np.ndarray], vectors: np.ndarray, neighbours: Neighbours, options: Mapping[str, object]) -> Lookup:
    alpha, lam, weight = float(options["alpha"]), float(options["lam"]), options["weight"]  # type: ignore[arg-type]
    depth = len({key.split(".")[1] for key in state if key.startswith("layers.")})

    @cache
    def row(layer: int, v: int) -> np.ndarray:
        if layer == 0:
            return np.maximum(state["first.weight"] @ unit(vectors[v].astype(np.float64)) + state["first.bias"], 0)
        beta = math.log(lam / layer + 1)
        mean = sum(weight(v, u) * row(layer - 1, u) for u in [v, *(u for u, _ in neighbours(layer - 1, v))])  # type: ignore[operator]
        mixed = (1 - alpha) * mean + alpha * row(0, v)
        return np.maximum((1 - beta) * mixed + beta * (mixed @ state[f"layers.{layer - 1}.weight"]), 0)

    return lambda v: unit(state["last.weight"] @ row(depth, v) + state["last.bias"])


def _layer_norm(row: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    return (row - row.mean()) / math.sqrt(((row - row.mean()) ** 2).mean() + 1e-5) * weight + bias


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


_LAYERS = {"gcn": _gcn, "gat": _gat, "lstm": _lstm, "trgcn": _trgcn, "rgcn": _rgcn, "compgcn": _compgcn}
