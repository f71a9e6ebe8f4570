"""Any image model of `transformers`, from a local folder (or the hub, when the caller allows the network)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image

from kgzsl.artifacts import digest, sha256_file
from kgzsl.errors import MissingDataError, SourceError, require
from kgzsl.features.base import Backbone, imagenet_ids
from kgzsl.matrices import ClassifierWeights


class TransformersBackbone(Backbone):
    """Any `transformers` image model in a folder (config.json, preprocessor_config.json, safetensors).

    Features are the model's pooled output; a model with an ImageNet-1k head gives the features its linear head reads,
    so that `classifier()` scores exactly them; a CLIP-like model gives its images' embeddings in the space of texts. Code that comes
    with a model is never run, and pickled weights are never read.
    """

    name = "transformers"
    source = "Wolf et al. 2020, Transformers (huggingface.co/docs/transformers)"

    def __init__(self, model: str, device: str | torch.device = "auto", allow_network: bool = False) -> None:
        """`model` is a folder, or a hub name such as `microsoft/resnet-50` with `allow_network`.

        Raises
        ------
        MissingDataError : no such folder, or a hub name without `allow_network`.
        SourceError : the folder is not an image model with safetensors weights.
        """
        super().__init__(device)
        folder = _folder(model, allow_network)
        self._config = _read_json(folder / "config.json")
        self._weights_sha256 = _weights_digest(folder)
        self._processor, self._model, self._head = _load(folder, self._config)
        self._model = self._model.to(self.device)
        self._label = str(self._config.get("model_type", "unknown"))
        with torch.inference_mode():
            probe = self.preprocess(Image.new("RGB", (64, 48), (90, 120, 150)))
            self._input = list(probe.shape)
            self._dim = int(self.forward(probe[None]).shape[1])

    @property
    def dim(self) -> int:
        """Width of a feature row."""
        return self._dim

    def preprocess(self, image: Image.Image) -> torch.Tensor:
        """Return what the model's own image processor makes of an RGB image, `[3, height, width]`."""
        return cast(torch.Tensor, self._processor(images=image, return_tensors="pt")["pixel_values"][0])

    @torch.inference_mode()
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the pooled features `[images, dim]`, float32 on the CPU."""
        batch = batch.to(self.device)
        pooled = _HeadInput(self._head)(self._model, batch) if self._head is not None else _pooled(self._images(pixel_values=batch))
        return pooled.flatten(1).float().cpu()

    @property
    def _images(self) -> Any:
        """The call that takes images alone: a model of images and texts has one of its own."""
        return getattr(self._model, "get_image_features", self._model)

    def recipe(self) -> dict[str, Any]:
        """Return the feature recipe; the preprocessing is the image processor's own configuration."""
        return {
            "backbone": f"transformers:{self._label}",
            "weights_sha256": self._weights_sha256,
            "config_digest": digest(_architecture(self._config)),
            "orientation": "exif",
            "preprocessor": _preprocessing(self._processor.to_dict()),
            "input": self._input,
            "pooling": self._pooling(),
            "dtype": "float32",
        }

    def _pooling(self) -> str:
        if self._head is not None:
            return "input of the linear head"
        return "image embedding" if hasattr(self._model, "get_image_features") else "pooler output"

    def classifier(self) -> ClassifierWeights:
        """Return the model's ImageNet-1k head `[1000, dim + 1]`; see `Backbone.classifier`."""
        if self._head is None or self._head.out_features != 1000:
            return super().classifier()
        weight = self._head.weight.detach().float().cpu().numpy()
        bias = np.zeros(len(weight), np.float32) if self._head.bias is None else self._head.bias.detach().float().cpu().numpy()
        return ClassifierWeights(ids=imagenet_ids(), matrix=np.concatenate([weight, bias[:, None]], axis=1), meta={"recipe": self.recipe()})


class _HeadInput:
    """Runs a classification model and keeps what enters its linear head."""

    def __init__(self, head: torch.nn.Linear) -> None:
        self._head = head

    def __call__(self, model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []
        handle = self._head.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            model(pixel_values=batch)
        finally:
            handle.remove()
        return kept[0]


def _folder(model: str, allow_network: bool) -> Path:
    folder = Path(model)
    if folder.is_dir():
        return folder
    if not allow_network:
        raise MissingDataError(
            "a transformers backbone is a local folder unless the network is allowed",
            received=repr(model),
            remedy="pass a folder, or `--allow-network` to fetch it from the hub",
        )
    hub: Any = require("huggingface_hub", "images")
    return Path(hub.snapshot_download(model, allow_patterns=["*.json", "*.safetensors"]))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError("a transformers folder holds config.json", received=f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise SourceError("config.json is an object", received=str(path))
    return content


def _weights_digest(folder: Path) -> str:
    """One digest over all weight files; only safetensors are accepted (pickles can run code)."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        others = [p.name for p in folder.iterdir() if p.suffix in (".bin", ".pt", ".pth", ".h5", ".msgpack")]
        raise SourceError(
            "a transformers folder holds its weights as safetensors",
            received=f"{folder}: {', '.join(others) or 'no weights'}",
            remedy="convert them with `model.save_pretrained(folder, safe_serialization=True)`",
        )
    return sha256_file(files[0]) if len(files) == 1 else digest([sha256_file(p) for p in files])


def _architecture(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without what differs between library versions and copies of one model."""
    drop = ("transformers_version", "_name_or_path", "id2label", "label2id", "torch_dtype", "dtype")
    return {k: v for k, v in config.items() if k not in drop}


def _load(folder: Path, config: dict[str, Any]) -> tuple[Any, torch.nn.Module, torch.nn.Linear | None]:
    """Return the image processor, the model in evaluation mode, and its linear head when it classifies."""
    transformers: Any = require("transformers", "images")
    from safetensors import SafetensorError

    classifies = any(str(a).endswith("ForImageClassification") for a in config.get("architectures") or [])
    factory = transformers.AutoModelForImageClassification if classifies else transformers.AutoModel
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet(transformers):
            processor = transformers.AutoImageProcessor.from_pretrained(folder, **options)
            model = factory.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise SourceError(
            "the folder must hold an image model that transformers can load without code of its own",
            received=f"{folder}: {str(error)[:300]}",
            remedy="it needs config.json, preprocessor_config.json and *.safetensors",
        ) from error
    return processor, model.eval().requires_grad_(False), _linear_head(model) if classifies else None


@contextmanager
def quiet(transformers: Any) -> Iterator[None]:
    """Hide the library's own bar, which it draws even into files."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _linear_head(model: torch.nn.Module) -> torch.nn.Linear | None:
    """Return the model's last linear layer with as many outputs as labels, or None when there is none of them."""
    labels = getattr(model.config, "num_labels", None)
    heads = [m for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m.out_features == labels and "classifier" in n]
    return heads[-1] if len(heads) == 1 else None


def _pooled(output: Any) -> torch.Tensor:
    if isinstance(output, torch.Tensor):
        return output  # `get_image_features` before transformers 5
    pooled = getattr(output, "pooler_output", None)
    if pooled is None:
        hidden = output.last_hidden_state
        # tokens [n, t, d] or maps [n, d, h, w]: the mean either way
        pooled = hidden.mean(dim=1) if hidden.ndim == 3 else hidden.mean(dim=(2, 3))
    return cast(torch.Tensor, pooled)


def _preprocessing(settings: dict[str, Any]) -> dict[str, Any]:
    """The image processor's settings as a JSON file would give them back (lists for tuples), so that recipes compare equal.

    The suffix of the processor's class only says which library resizes the image, which another machine may lack.
    """
    drop = ("processor_class", "_processor_class", "device", "return_tensors", "data_format", "disable_grouping")
    kept = {k: v for k, v in settings.items() if k not in drop and _is_json(v)}
    if isinstance(kept.get("image_processor_type"), str):
        kept["image_processor_type"] = kept["image_processor_type"].removesuffix("Fast").removesuffix("Pil")
    return cast(dict[str, Any], json.loads(json.dumps(kept)))


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
