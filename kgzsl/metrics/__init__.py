"""Numbers from predictions. Every metric is checked against a second implementation in the tests."""

from kgzsl.metrics.bootstrap import Interval, harmonic_interval, mean_interval
from kgzsl.metrics.generalised import area_under_curve, bias_sweep, harmonic_mean
from kgzsl.metrics.hierarchical import back_off_metrics, correct_sets, hierarchical_distance, hierarchical_precision
from kgzsl.metrics.probability import brier_score, expected_calibration_error, negative_log_likelihood
from kgzsl.metrics.ranking import KS, hit_at_k, hits, per_class_mean, rank_bounds

__all__ = [
    "KS",
    "Interval",
    "area_under_curve",
    "back_off_metrics",
    "bias_sweep",
    "brier_score",
    "correct_sets",
    "expected_calibration_error",
    "harmonic_interval",
    "harmonic_mean",
    "hierarchical_distance",
    "hierarchical_precision",
    "hit_at_k",
    "hits",
    "mean_interval",
    "negative_log_likelihood",
    "per_class_mean",
    "rank_bounds",
]
