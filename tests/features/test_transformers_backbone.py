"""The loading of any transformers image model, shown on tiny ones with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kgzsl.datasets import train_ids
from kgzsl.errors import IncompatibleError, InvalidInputError, MissingDataError, SourceError
from kgzsl.features import extract, make_backbone
from kgzsl.matrices import check_same_recipe

transformers = pytest.importorskip("transformers")


def save_resnet(folder: Path, labels: int, seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=labels, out_features=["stage2"]
    )
    transformers.ResNetForImageClassification(config).save_pretrained(folder)
    transformers.ConvNextImageProcessor(size={"shortest_edge": 64}).save_pretrained(folder)
    return folder


def save_vit(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, image_size=32, patch_size=8
    )
    transformers.ViTModel(config).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def picture() -> Image.Image:
    return Image.effect_mandelbrot((90, 70), (-2, -1.2, 1, 1.2), 60).convert("RGB")


def test_the_head_scores_the_features_exactly(tmp_path: Path, picture: Image.Image) -> None:
    try:
        train_ids()
    except MissingDataError as error:
        pytest.skip(str(error))
    folder = save_resnet(tmp_path / "resnet", 1000)
    backbone = make_backbone(str(folder), device="cpu")
    batch = torch.stack([backbone.preprocess(picture), backbone.preprocess(picture.rotate(90))])
    head = backbone.classifier()
    own = transformers.ResNetForImageClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        expected = own(pixel_values=batch).logits.numpy()
    np.testing.assert_allclose(backbone.forward(batch).numpy() @ head.weight.T + head.bias, expected, atol=1e-5)
    assert head.matrix.shape == (1000, 17) and head.meta["recipe"] == json.loads(json.dumps(backbone.recipe()))


def test_a_model_without_an_imagenet_head_gives_features_but_no_classifier(tmp_path: Path, picture: Image.Image) -> None:
    vit = make_backbone(str(save_vit(tmp_path / "vit")), device="cpu")
    assert vit.dim == 16 and vit.forward(vit.preprocess(picture)[None]).shape == (1, 16)
    with pytest.raises(InvalidInputError, match="ImageNet-1k head"):
        vit.classifier()
    few = make_backbone(str(save_resnet(tmp_path / "few", 10)), device="cpu")
    with pytest.raises(InvalidInputError, match="ImageNet-1k head"):
        few.classifier()


def test_other_weights_are_another_recipe(tmp_path: Path) -> None:
    one = make_backbone(str(save_resnet(tmp_path / "one", 1000, seed=1)), device="cpu").recipe()
    two = make_backbone(str(save_resnet(tmp_path / "two", 1000, seed=2)), device="cpu").recipe()
    again = make_backbone(str(save_resnet(tmp_path / "again", 1000, seed=1)), device="cpu").recipe()
    assert one == again  # the folder's name is not part of it
    with pytest.raises(IncompatibleError, match="weights_sha256"):
        check_same_recipe(one, two)


def test_extraction_takes_any_backbone(tmp_path: Path, photos: Path) -> None:
    features = extract(photos, make_backbone(str(save_vit(tmp_path / "vit")), device="cpu"), labels="from-folders")
    assert features.dim == 16 and len(features) == len(features.labels) == len(list(photos.rglob("*.*")))


def test_the_bare_name_says_that_a_folder_is_needed() -> None:
    with pytest.raises(InvalidInputError, match="folder"):
        make_backbone("transformers")


def test_a_hub_name_needs_the_network_to_be_allowed() -> None:
    with pytest.raises(MissingDataError, match="allow-network"):
        make_backbone("transformers:microsoft/resnet-50", device="cpu")


def test_pickled_weights_foreign_folders_and_code_are_refused(tmp_path: Path) -> None:
    folder = save_vit(tmp_path / "vit")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(SourceError, match=r"safetensors"):
        make_backbone(str(folder), device="cpu")
    (folder / "pytorch_model.bin").rename(folder / "model.safetensors")
    (folder / "evil.py").write_text("raise SystemExit('code of the model ran')", encoding="utf-8")
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(SourceError):
        make_backbone(str(folder), device="cpu")
    (folder / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(SourceError):
        make_backbone(str(folder), device="cpu")
