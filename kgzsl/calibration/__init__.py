"""Scores → decisions."""

from kgzsl.calibration.stacking import JointScores, choose_gamma, evaluate

__all__ = ["JointScores", "choose_gamma", "evaluate"]
