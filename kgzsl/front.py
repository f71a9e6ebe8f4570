"""The Python front door: the command line's verbs as functions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.bundle import Adding, Bundle, carriers_by_cosine, carriers_from_influence, neighbour_labels
from kgzsl.classifiers import WeightRegression, regression_classifier
from kgzsl.encoders import ENCODERS, Encoder
from kgzsl.errors import InvalidInputError, UnknownNameError, first_five
from kgzsl.ids import check_unique, curies
from kgzsl.matrices import ClassEmbeddings, ClassifierWeights, Features, Vectors, check_has_recipe, check_same_recipe

if TYPE_CHECKING:
    from kgzsl.encoders.memory import MemoryEstimate
    from kgzsl.encoders.regression import WeightRegressionEncoder
    from kgzsl.graphs.graph import KnowledgeGraph
    from kgzsl.tasks.methods import Scoring


def _check_in_graph(graph: KnowledgeGraph, targets: ClassifierWeights, wanted: Sequence[str]) -> None:
    """Fail before fitting: every seen class and every class asked for is a node."""
    known = set(graph.ids)
    outside = [i for i in targets.ids if i not in known]
    if outside:
        raise UnknownNameError(
            f"every seen class must be among the {len(known):,} nodes of the graph",
            received=f"{len(outside):,} of {len(targets):,} are not: {first_five(outside)}",
            remedy="take another graph, or name the seen classes to learn from (`--seen FILE`; in Python: weights.select(ids))",
        )
    graph.positions(wanted)


def _fit_encoder(
    graph: KnowledgeGraph,
    encoder: str | Encoder,
    targets: ClassifierWeights,
    vectors: Vectors | None,
    settings: Mapping[str, Any] | None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> tuple[Encoder, Any, Vectors]:
    from kgzsl.vectors import embed_texts

    fitted = ENCODERS.make(encoder, settings) if isinstance(encoder, str) else encoder
    vectors = vectors if vectors is not None else embed_texts(graph)
    view = fitted.view(graph)
    if checkpoint is None:
        fitted.fit(view, vectors, targets)
    else:
        _trained(fitted).fit(view, vectors, targets, checkpoint=checkpoint)
    return fitted, view, vectors


def _trained(encoder: Encoder) -> WeightRegressionEncoder:
    """Return the encoder when it is one that trains step by step; others raise InvalidInputError."""
    from kgzsl.encoders.regression import WeightRegressionEncoder

    if not isinstance(encoder, WeightRegressionEncoder):
        raise InvalidInputError(
            "checkpoints and memory estimates are those of encoders that train step by step",
            received=f"`{encoder.name}`, which does not",
            remedy="leave them out, or choose a trained encoder, for example sgcn or trgcn",
        )
    return encoder


def memory(
    graph: KnowledgeGraph,
    *,
    weights: ClassifierWeights,
    encoder: str | Encoder,
    vectors: Vectors,
    settings: Mapping[str, Any] | None = None,
) -> MemoryEstimate:
    """Return how much memory `fit` will take for training the encoder, without training it.

    Raises
    ------
    InvalidInputError : the encoder does not train step by step.
    UnknownNameError : a seen class is not in the graph.
    """
    _check_in_graph(graph, weights, ())
    made = _trained(ENCODERS.make(encoder, settings) if isinstance(encoder, str) else encoder)
    return made.memory(made.view(graph), vectors, weights)


def embed(
    graph: KnowledgeGraph,
    *,
    classes: Sequence[str],
    targets: ClassifierWeights,
    encoder: str | Encoder = "graph_gp",
    vectors: Vectors | None = None,
    settings: Mapping[str, Any] | None = None,
) -> ClassEmbeddings:
    """Return the embeddings of `classes`, `[classes, features + 1]`, from an encoder fitted on `targets`.

    Parameters
    ----------
    classes : node ids (CURIEs or bare wnids).
    targets : classifier weights of the seen classes, `[seen, features + 1]`.
    encoder : a name from `kgzsl list encoders`, or an encoder.
    vectors : semantic vectors of the graph's nodes; None embeds their texts with the packaged MiniLM.
    settings : the encoder's settings, when it is given by name.

    Raises
    ------
    UnknownNameError : an id is not in the graph, or no such encoder.
    InvalidInputError : no class, or a class twice.
    """
    wanted = curies(classes)
    check_unique(wanted, "the classes to embed")
    _check_in_graph(graph, targets, wanted)
    fitted, view, vectors = _fit_encoder(graph, encoder, targets, vectors, settings)
    return fitted.encode(view, vectors, wanted)


def fit(
    graph: KnowledgeGraph,
    *,
    weights: ClassifierWeights,
    classes: Sequence[str],
    encoder: str | Encoder = "graph_gp",
    vectors: Vectors | None = None,
    settings: Mapping[str, Any] | None = None,
    calibrate: Features | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    classifier: str = WeightRegression.name,
    classifier_settings: Mapping[str, Any] | None = None,
) -> Bundle:
    """Return a bundle that predicts the seen classes of `weights` and all of `classes`.

    Parameters
    ----------
    weights : classifier weights of the seen classes with their feature recipe, `[seen, features + 1]`.
    classes : ids of the classes to predict; the seen classes are added.
    calibrate : features of **seen** classes' images, to choose γ; None leaves γ at 0.
    checkpoint : folder that keeps the state of a trained encoder's training; where it is there already, training goes on from it.
    classifier, classifier_settings : what scores images by the predicted weights, `weight_regression` or `refined_regression`.

    Raises
    ------
    UnknownNameError : an id is not in the graph.
    InvalidInputError : no class, a class twice, or weights without their feature recipe.
    IncompatibleError : `calibrate` comes from another backbone.
    """
    wanted = curies(classes)
    check_unique(wanted, "the classes to predict")
    _check_in_graph(graph, weights, wanted)
    check_has_recipe(weights)
    head = regression_classifier(classifier, classifier_settings)
    axis = tuple(dict.fromkeys([*weights.ids, *wanted]))
    if checkpoint is not None:
        _trained(ENCODERS.make(encoder, settings) if isinstance(encoder, str) else encoder)  # before the work, not after it
    from kgzsl.tasks.methods import Scoring

    gamma, selected_on = _gamma(graph, weights, encoder, vectors, settings, calibrate, Scoring(classifier, classifier_settings or {}), seed)
    fitted, view, vectors = _fit_encoder(graph, encoder, weights, vectors, settings, checkpoint)
    embeddings = fitted.encode(view, vectors, axis)
    head.fit(weights, embeddings)
    seen = np.isin(np.array(axis), np.array(weights.ids))
    where = np.flatnonzero(seen)
    influence = getattr(fitted, "influence", None)
    if influence is not None:
        carriers, shares = carriers_from_influence(influence(view, vectors, axis), where)
    else:
        carriers, shares = carriers_by_cosine(head.weights.matrix, where)
    parents, children = neighbour_labels(graph, axis)
    meta = {**embeddings.meta, "graph": graph.digest, "gamma_selected_on": selected_on}
    if classifier != WeightRegression.name:
        meta["classifier"] = {"name": classifier, "settings": head.settings()}
    names = tuple(graph.labels[p] for p in graph.positions(axis))
    adding = Adding(fitted.name, fitted.settings(), fitted.state(), vectors.matrix, dict(vectors.meta)) if fitted.closed_form else None
    return Bundle(head.weights, names, seen, gamma, carriers, shares, parents, children, meta, adding)


def _gamma(
    graph: KnowledgeGraph,
    weights: ClassifierWeights,
    encoder: str | Encoder,
    vectors: Vectors | None,
    settings: Mapping[str, Any] | None,
    calibrate: Features | None,
    scored_by: Scoring,
    seed: int,
) -> tuple[float, str]:
    """Choose γ on images of seen classes, a fifth of the classes treated as unseen."""
    if calibrate is None:
        return 0.0, "nothing: γ is 0"
    from kgzsl.tasks.image import calibration_split, gamma_from_seen
    from kgzsl.tasks.methods import Knowledge, encoder_method
    from kgzsl.vectors import embed_texts

    check_same_recipe(calibrate.meta.get("recipe", {}), weights.meta["recipe"])
    knowledge = Knowledge(graph, vectors if vectors is not None else embed_texts(graph), weights)
    name = encoder if isinstance(encoder, str) else encoder.name
    method = encoder_method(knowledge, name, settings if isinstance(encoder, str) else encoder.settings(), scored_by)
    images = calibrate.of_classes(weights.ids)
    chosen = gamma_from_seen(method, images, calibration_split(images, weights.ids, seed=seed))
    return chosen, f"{len(images)} images of {len(set(images.labels))} seen classes, a fifth of them treated as unseen"
