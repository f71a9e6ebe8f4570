"""Several processes under torchrun end where one process ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kgzsl.encoders import ENCODERS, load_encoder
from kgzsl.encoders.parallel import share

SETTINGS = {"hidden": [16], "epochs": 12, "dropout": 0.0, "validation": 0.1, "device": "cpu"}

_SCRIPT = """
import json, sys
from kgzsl.encoders import ENCODERS
from kgzsl.encoders.parallel import rank
from kgzsl.testing import carnivores, hidden_carnivores

world, seen = carnivores(), hidden_carnivores()[0]
encoder = ENCODERS.make("gcn", json.loads(sys.argv[1]))
encoder.fit(encoder.view(world.graph), world.vectors, world.weights.select(seen), checkpoint=sys.argv[2] + "/checkpoint", every=5)
encoder.save(f"{sys.argv[2]}/encoder-{rank()}")
"""


def _torchrun(folder: Path, settings: dict) -> None:
    (folder / "job.py").write_text(_SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(folder / "job.py")]
    subprocess.run([*command, json.dumps(settings), str(folder)], check=True, capture_output=True, timeout=240)


@pytest.mark.slow
def test_two_processes_train_as_one_and_go_on_from_their_checkpoint(world, halves, tmp_path):
    alone = ENCODERS.make("gcn", SETTINGS)
    view = alone.view(world.graph)
    alone.fit(view, world.vectors, world.weights.select(halves[0]))
    _torchrun(tmp_path, {**SETTINGS, "epochs": 7})
    for number in (0, 1):
        (tmp_path / f"encoder-{number}").rename(tmp_path / f"shorter-{number}")
    _torchrun(tmp_path, SETTINGS)
    first, second = (load_encoder(tmp_path / f"encoder-{number}") for number in (0, 1))
    for name, value in alone.state().items():
        np.testing.assert_array_equal(first.state()[name], second.state()[name])
        np.testing.assert_allclose(first.state()[name], value, atol=1e-4)
    assert not np.array_equal(
        load_encoder(tmp_path / "shorter-0").state()["layers.0.convolution.bias"], alone.state()["layers.0.convolution.bias"]
    )


def test_alone_everything_is_its_own():
    assert share(np.arange(5)).tolist() == [0, 1, 2, 3, 4]
