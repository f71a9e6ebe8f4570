"""Numbers from predictions. Every metric is checked against a second implementation in the tests."""

from kgzsl.metrics.generalised import area_under_curve, bias_sweep, harmonic_mean
from kgzsl.metrics.ranking import KS, hit_at_k, hits, per_class_mean, rank_bounds

__all__ = ["KS", "area_under_curve", "bias_sweep", "harmonic_mean", "hit_at_k", "hits", "per_class_mean", "rank_bounds"]
