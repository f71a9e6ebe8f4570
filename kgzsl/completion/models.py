"""Models of completion by name, unseen relations among them, and the bounds beside them."""

from __future__ import annotations

from kgzsl.completion.base import CompletionModel
from kgzsl.completion.bounds import Chance, Degree
from kgzsl.completion.closed_form import ClosedForm
from kgzsl.completion.familiarity import Familiarity
from kgzsl.completion.links import ComplExLinks, DistMultLinks, RotatELinks, TransELinks
from kgzsl.completion.neighbourhood import Neighbourhood
from kgzsl.completion.ontozsl_kgc import OntoZSLCompletion
from kgzsl.completion.pair_evidence import PairEvidence
from kgzsl.completion.projection import Projection
from kgzsl.completion.text_entities import TextEntities
from kgzsl.registry import Resolver

#: Third parties add theirs through the entry-point group `kgzsl.completion-models`.
COMPLETION_MODELS: Resolver[CompletionModel] = Resolver(
    "completion-models",
    CompletionModel,  # type: ignore[type-abstract]
    [
        Chance,
        ClosedForm,
        ComplExLinks,
        Degree,
        DistMultLinks,
        Familiarity,
        Neighbourhood,
        OntoZSLCompletion,
        PairEvidence,
        Projection,
        RotatELinks,
        TextEntities,
        TransELinks,
    ],
)
