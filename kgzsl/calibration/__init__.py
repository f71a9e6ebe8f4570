"""Scores → decisions."""

from kgzsl.calibration.backoff import BackOff
from kgzsl.calibration.base import Answers, Calibration, HeldOut, ScoredRows
from kgzsl.calibration.boundary import Boundary
from kgzsl.calibration.chils import CHiLS, SubclassSets
from kgzsl.calibration.cosmo import COSMO
from kgzsl.calibration.loki import Loki
from kgzsl.calibration.stacking import CalibratedStacking, JointScores, choose_gamma, evaluate
from kgzsl.calibration.temperature import Temperature, TemperatureBias, softmax
from kgzsl.registry import Resolver

CALIBRATIONS: Resolver[Calibration] = Resolver(
    "calibrations",
    Calibration,  # type: ignore[type-abstract]
    [BackOff, Boundary, CalibratedStacking, CHiLS, COSMO, Loki, Temperature, TemperatureBias],
)

__all__ = [
    "CALIBRATIONS",
    "COSMO",
    "Answers",
    "BackOff",
    "Boundary",
    "CHiLS",
    "CalibratedStacking",
    "Calibration",
    "HeldOut",
    "JointScores",
    "Loki",
    "ScoredRows",
    "SubclassSets",
    "Temperature",
    "TemperatureBias",
    "choose_gamma",
    "evaluate",
    "softmax",
]
