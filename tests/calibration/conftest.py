"""Real held-out rows for the calibrations."""

from __future__ import annotations

import pytest

from kgzsl.calibration import HeldOut


@pytest.fixture(scope="session")
def carnivore_scores(world, halves, rows):
    """Real held-out rows: every carnivore's weight vector as a feature, scored by graph_gp without the hidden classes."""
    from kgzsl.tasks.methods import encoder_method

    seen, unseen = halves
    classifier = encoder_method(world, "graph_gp")(seen, seen + unseen)
    return HeldOut(classifier.classes, tuple(seen), classifier.scores(rows.matrix), rows.matrix, labels=rows.labels)
