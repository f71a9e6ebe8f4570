"""Golden values: what every encoder gives for five animals after two epochs, written down once.

python tests/encoders/golden.py     # writes golden.json anew; look at the difference before you commit it
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kgzsl.encoders import Encoder
from kgzsl.testing import carnivores, hidden_carnivores

FILE = Path(__file__).with_name("golden.json")
#: So few steps that processors which round differently still agree.
FEW = {"epochs": 2, "structure_steps": 2}


def shortened(settings: dict) -> dict:
    """Return the settings of a case with the length of its training cut."""
    return {**settings, **{name: steps for name, steps in FEW.items() if name in settings}}


def cosines(encoder: Encoder) -> list[float]:
    """Fit on the seen carnivores and return the cosines between the first five unseen ones, upper triangle, `[10]`."""
    world, (seen, unseen) = carnivores(), hidden_carnivores()
    view = encoder.view(world.graph)
    encoder.fit(view, world.vectors, world.weights.select(seen))
    rows = encoder.encode(view, world.vectors, unseen[:5]).matrix.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [round(float(v), 5) for v in (rows @ rows.T)[np.triu_indices(5, 1)]]


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from encoders.test_encoders import CASES

    found = {case.name: cosines(case.make(**shortened(case.settings))) for case in sorted(CASES, key=lambda c: c.name)}
    FILE.write_text("{\n" + ",\n".join(f"  {json.dumps(n)}: {json.dumps(v)}" for n, v in found.items()) + "\n}\n")
