"""Several processes under torchrun train one generator, each on rows of its own, and go on from their checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_generators import few, make

from kgzsl.encoders.parallel import average_gradients, from_first, mean_of
from kgzsl.generators import SeenRows, load_generator

_SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[3])
from small_generators import few, make
from kgzsl.encoders.parallel import rank
from kgzsl.generators import Training, save_generator

generator = make(**json.loads(sys.argv[1])).fit(*few(), training=Training(sys.argv[2] + "/checkpoint", every=2))
save_generator(generator, f"{sys.argv[2]}/generator-{rank()}", overwrite=True)
"""


def _torchrun(folder: Path, settings: dict) -> list:
    (folder / "job.py").write_text(_SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(folder / "job.py")]
    subprocess.run([*command, json.dumps(settings), str(folder), str(Path(__file__).parent)], check=True, capture_output=True, timeout=400)
    return [load_generator(folder / f"generator-{number}", device="cpu") for number in (0, 1)]


@pytest.mark.slow
@pytest.mark.data
def test_two_processes_train_one_generator_and_go_on_from_their_checkpoint(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = _torchrun(tmp_path / "a", {"name": "fclswgan", "epochs": 6})
    _torchrun(tmp_path / "b", {"name": "fclswgan", "epochs": 4})
    resumed, _ = _torchrun(tmp_path / "b", {"name": "fclswgan", "epochs": 6})
    alone = make("fclswgan", epochs=6).fit(*few())
    for name, value in first.networks.state_dict().items():
        np.testing.assert_array_equal(second.networks.state_dict()[name], value, err_msg=name)
        np.testing.assert_array_equal(resumed.networks.state_dict()[name], value, err_msg=name)
    assert first.history == second.history == resumed.history
    assert not torch.equal(first.networks["generator"][0].weight, alone.networks["generator"][0].weight)


@pytest.mark.data
def test_each_process_draws_rows_of_its_own(monkeypatch):
    features, labels, embeddings = few()
    generator = make("fclswgan", epochs=1, batch_size=16).fit(features, labels, embeddings)
    count = len(labels)
    numbers, none = torch.arange(count), torch.zeros(0, 1)
    seen = SeenRows(generator.seen, numbers.float()[:, None], torch.zeros_like(numbers), torch.ones(1, 1), none)
    found = []
    for number in range(3):
        monkeypatch.setenv("WORLD_SIZE", "3")
        monkeypatch.setenv("RANK", str(number))
        drawn = torch.cat([generator.batch(seen).features for _ in range(200)]).long()
        assert len(generator.batch(seen).features) == 16 // 3
        found.append(set(drawn.flatten().tolist()))
    assert sorted(row for rows in found for row in rows) == list(range(count))


def test_alone_nothing_is_averaged():
    weight = torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), 3.0)
    average_gradients([weight])
    from_first(weight.data)
    assert weight.grad.tolist() == [3.0, 3.0] and weight.tolist() == [1.0, 1.0] and mean_of(torch.tensor(2.5)) == 2.5
