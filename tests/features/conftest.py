"""Real photographs and the packaged backbone, or the reason why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from kgzsl.datasets import packaged_photos
from kgzsl.errors import MissingDataError
from kgzsl.features import Backbone, make_backbone


@pytest.fixture(scope="session")
def lite0() -> Backbone:
    try:
        return make_backbone("efficientnet-lite0", device="cpu")
    except MissingDataError as error:
        pytest.skip(str(error))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of photographs, one folder per wnid."""
    try:
        found = packaged_photos()
    except MissingDataError as error:
        pytest.skip(str(error))
    root = tmp_path / "photos"
    for photo in found:
        folder = root / photo.wnids[0].removeprefix("wn30:")
        folder.mkdir(parents=True)
        (folder / photo.path.name).write_bytes(photo.path.read_bytes())
    return root
