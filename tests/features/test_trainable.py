"""The trainable backbone: as it came it is the packaged network; its parts are what they say; it comes back from its state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kgzsl.errors import InvalidInputError
from kgzsl.features import make_backbone
from kgzsl.features.images import open_rgb
from kgzsl.features.pixels import decode
from kgzsl.features.trainable import ImageNetwork, TrainedBackbone, normalised
from kgzsl.testing.compositions import few_photographs

pytestmark = pytest.mark.data
SIZE = (96, 72)


@pytest.fixture(scope="module")
def paths():
    return few_photographs(1).paths[:6]


@pytest.fixture(scope="module")
def network(lite0) -> ImageNetwork:
    return ImageNetwork.pretrained("efficientnet-lite0", early=True, colours=True)


def test_untouched_it_is_the_packaged_backbone(network, paths, lite0):
    pixels = torch.from_numpy(decode(paths, (224, 224)))
    with torch.no_grad():
        rows = network(pixels)
    assert rows.shape == (len(paths), network.dim)
    assert torch.allclose(rows[:, slice(*network.parts["last"])], lite0.forward(normalised(pixels)), atol=2e-4)


def test_parts_follow_one_another(network):
    assert network.parts == {"last": (0, 1280), "early": (1280, 1280 + 4 * (16 + 24 + 40 + 112)), "colours": (2048, 2048 + 216)}
    assert ImageNetwork("efficientnet-lite0").dim == 1280


def test_colours_are_shares_of_pixels_that_are_not_paper(network, paths):
    pixels = decode(paths, SIZE)
    with torch.no_grad():
        found = network(torch.from_numpy(pixels))[:, slice(*network.parts["colours"])].numpy()
    for image, row in zip(pixels.astype(int), found, strict=True):
        drawn = image[image.min(-1) < 245]
        steps = (drawn * 6) // 256
        counts = np.bincount(36 * steps[:, 0] + 6 * steps[:, 1] + steps[:, 2], minlength=216)
        assert np.allclose(row, np.sqrt(counts / counts.sum()), atol=1e-6)


def test_the_gradient_reaches_the_first_layer(network, paths):
    trained = ImageNetwork.pretrained("efficientnet-lite0", early=True)
    trained(torch.from_numpy(decode(paths[:2], SIZE))).square().mean().backward()
    without = [name for name, p in trained.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all() or not p.grad.any()]
    assert not without


def test_it_comes_back_from_its_state(network, paths):
    frozen = TrainedBackbone(network, SIZE, "cpu")
    again = TrainedBackbone.of_state(frozen.recipe(), frozen.state, "cpu")
    pixels = decode(paths, SIZE)
    assert again.recipe() == frozen.recipe() and np.array_equal(again.rows_of(pixels), frozen.rows_of(pixels))
    image = frozen.preprocess(open_rgb(paths[0]))[None]
    assert np.allclose(frozen.forward(image).numpy()[0], frozen.rows_of(pixels)[0], atol=1e-4)


def test_other_weights_have_another_recipe(network):
    other = ImageNetwork.pretrained("efficientnet-lite0", early=True, colours=True)
    with torch.no_grad():
        other.body._conv_stem.bias += 1e-3
    assert TrainedBackbone(other, SIZE, "cpu").recipe() != TrainedBackbone(network, SIZE, "cpu").recipe()


def test_foreign_weights_and_names_are_refused(network):
    frozen = TrainedBackbone(network, SIZE, "cpu")
    with pytest.raises(InvalidInputError, match="those of the recipe's network"):
        TrainedBackbone.of_state({**frozen.recipe(), "backbone": "trained:efficientnet-lite2"}, frozen.state, "cpu")
    with pytest.raises(InvalidInputError, match="efficientnet-lite2"):
        ImageNetwork("resnet18")
    with pytest.raises(InvalidInputError, match="32 pixels"):
        TrainedBackbone(network, (16, 96), "cpu")


def test_the_backbone_of_parts_is_the_untouched_network_in_a_portrait_frame(network, paths):
    made = make_backbone("efficientnet-lite0-parts", device="cpu")
    frozen = TrainedBackbone(network, (128, 96), "cpu")
    pixels = decode(paths, (128, 96))
    assert made.dim == network.dim and np.array_equal(made.rows_of(pixels), frozen.rows_of(pixels))
    differing = {k for k, v in made.recipe().items() if frozen.recipe().get(k) != v}
    assert differing == {"backbone"} and made.recipe()["backbone"] == "efficientnet-lite0-parts"
