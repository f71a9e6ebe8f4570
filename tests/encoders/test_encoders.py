"""Every registered encoder passes the behaviour template; the meta test fails when one has no case."""

from __future__ import annotations

import inspect
import json
import sys
from importlib.util import find_spec
from typing import ClassVar

import pytest
from encoders.cases import EncoderCase
from encoders.golden import FILE

from kgzsl.encoders import ENCODERS

SMALL = {"hidden": [32], "epochs": 60, "device": "cpu"}
SETS = {"hidden": [48], "neighbours": [12, 8], "epochs": 40, "learning_rate": 5e-3, "device": "cpu"}
GP = {"steps": 4}
DEEP = {"hidden": [32, 32, 24], "epochs": 60, "learning_rate": 5e-3, "device": "cpu"}


class TestSGCN(EncoderCase):
    name = "sgcn"
    settings = SMALL


class TestDGP(EncoderCase):
    name = "dgp"
    settings = SMALL


class TestGCNZ(EncoderCase):
    name = "gcnz"
    settings = DEEP


class TestGCN(EncoderCase):
    name = "gcn"
    settings = SETS


class TestGAT(EncoderCase):
    name = "gat"
    settings: ClassVar = {**SETS, "attention_dropout": 0.2}


class TestLSTM(EncoderCase):
    name = "lstm"
    settings: ClassVar = {**SETS, "neighbours": [6, 4], "epochs": 20}


class TestTrGCN(EncoderCase):
    name = "trgcn"
    settings: ClassVar = {**SETS, "epochs": 25}


class TestRGCN(EncoderCase):
    name = "rgcn"
    settings: ClassVar = {**SETS, "bases": 2}


class TestCompGCN(EncoderCase):
    name = "compgcn"
    settings = SETS


class TestGCNII(EncoderCase):
    name = "gcnii"
    settings: ClassVar = {"hidden": [48], "depth": 4, "epochs": 60, "learning_rate": 5e-3, "device": "cpu"}


class TestGraphGP(EncoderCase):
    name = "graph_gp"
    settings = GP


class TestEnsemble(EncoderCase):
    name = "ensemble"
    settings: ClassVar = {
        "members": [{"name": "graph_gp", "settings": GP}, {"name": "sgcn", "settings": SMALL}],
        "groups": 3,
        "rounds": 1,
    }


class TestNearestText(EncoderCase):
    name = "nearest_text"


class TestStructuralBias(EncoderCase):
    name = "structural_bias"


needs_pykeen = pytest.mark.skipif(find_spec("pykeen") is None, reason="PyKEEN (the extra `kge`) is not installed")


class TestKGGAN(EncoderCase):
    name = "kggan"
    settings: ClassVar = {"views": [["hypernym"]], "hidden": 32, "latent": 16, "epochs": 60, "device": "cpu"}


class TestOntoZSL(EncoderCase):
    name = "ontozsl"
    settings: ClassVar = {
        "dim": 24,
        "projection": 24,
        "structure_steps": 150,
        "structure_batch": 128,
        "structure_learning_rate": 4e-2,
        "negatives": 32,
        "epochs": 15,
        "batch_size": 50,
        "learning_rate": 1e-2,
        "device": "cpu",
    }


class TestRandomWalk(EncoderCase):
    name = "random_walk"
    settings: ClassVar = {"dim": 48, "device": "cpu"}


@needs_pykeen
class TestTransE(EncoderCase):
    name = "transe"
    settings: ClassVar = {
        "dim": 24,
        "epochs": 60,
        "batch_size": 128,
        "negatives": 4,
        "margin": 4.0,
        "optimiser": "adam",
        "learning_rate": 5e-2,
        "device": "cpu",
    }


@needs_pykeen
class TestRotatE(EncoderCase):
    name = "rotate"
    settings: ClassVar = {"dim": 16, "epochs": 30, "batch_size": 64, "negatives": 16, "learning_rate": 5e-2, "device": "cpu"}


@needs_pykeen
class TestComplEx(EncoderCase):
    name = "complex"
    settings: ClassVar = {"dim": 16, "epochs": 30, "batch_size": 64, "negatives": 4, "device": "cpu"}


CASES = [c for _, c in inspect.getmembers(sys.modules[__name__], inspect.isclass) if issubclass(c, EncoderCase) and c is not EncoderCase]


def test_no_encoder_is_without_a_case_and_golden_values():
    assert {c.name for c in CASES} == {entry.name for entry in ENCODERS}
    assert set(json.loads(FILE.read_text())) == {c.name for c in CASES}
