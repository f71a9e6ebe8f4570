"""Knowledge-graph completion: what a model is, link models, and answers that axioms derive."""

from kgzsl.completion.axioms import Axiom, AxiomAnswers, Explanation, combined
from kgzsl.completion.base import CompletionModel, TrainingFacts

__all__ = ["Axiom", "AxiomAnswers", "CompletionModel", "Explanation", "TrainingFacts", "combined"]
