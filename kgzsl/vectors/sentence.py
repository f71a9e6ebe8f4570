"""Sentence vectors from a sentence-transformers folder, offline."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kgzsl.artifacts import digest, sha256_file
from kgzsl.devices import resolve_device
from kgzsl.errors import MissingDataError, SourceError, require
from kgzsl.progress import track
from kgzsl.vectors.base import TextEncoder

if TYPE_CHECKING:
    import torch

#: Tokens (padding included) per forward pass: short texts go in large batches, long ones in small.
TOKENS_PER_BATCH = 8_192
#: Files that vectors do not depend on.
_NO_MODEL = {".md", ".gitattributes", ".onnx", ".bin", ".h5", ".msgpack", ".py"}


class SentenceTransformerEncoder(TextEncoder):
    """Any sentence-transformers model in a folder, rows scaled to unit length."""

    name = "sentence-transformers"
    source = "Reimers & Gurevych 2019, arXiv:1908.10084"

    def __init__(self, model: str | os.PathLike[str], device: str | torch.device = "auto", allow_network: bool = False) -> None:
        """`model` is a folder, or a hub name with `allow_network`.

        Raises
        ------
        MissingDataError : no such folder, or a hub name without `allow_network`.
        """
        self._folder = _folder(model, allow_network)
        self._device = resolve_device(device)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the folder's model files (weights, tokenizer, configurations)."""
        files = sorted(p for p in self._folder.rglob("*") if p.is_file() and _is_model_file(p, self._folder))
        return digest([[p.relative_to(self._folder).as_posix(), sha256_file(p)] for p in files])

    def meta(self) -> dict[str, Any]:
        """Return the model and how sentences are encoded."""
        return {"encoder": self.name, "model": self._model_name(), "model_digest": self.digest, "normalised": True, "dtype": "float32"}

    def _model_name(self) -> str:
        return self._folder.name

    @functools.cached_property
    def _model(self) -> Any:
        package: Any = require("sentence_transformers", "text")
        from safetensors import SafetensorError

        _refuse_pickles(self._folder)
        try:
            with _offline():
                model = package.SentenceTransformer(
                    str(self._folder), device=str(self._device), local_files_only=True, trust_remote_code=False
                )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
            raise SourceError(
                "a sentence encoder is a sentence-transformers folder (modules.json, tokenizer, safetensors)",
                received=f"{self._folder}: {str(error)[:300]}",
            ) from error
        return model.eval().requires_grad_(False)

    def _encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        import torch

        found = np.array([bool(t.strip()) for t in texts])
        distinct = sorted({text for text in texts if text.strip()})
        rows = np.zeros((len(distinct), self._dim()), dtype=np.float32)
        batches = list(self._batches(distinct)) if distinct else []
        with torch.inference_mode():
            for batch in track(batches, f"texts ({self.name})", total=len(batches)):
                rows[batch] = self._forward([distinct[i] for i in batch])
        place = {text: i for i, text in enumerate(distinct)}
        matrix = np.zeros((len(texts), rows.shape[1]), dtype=np.float32)
        matrix[found] = rows[[place[text] for text in texts if text.strip()]]
        return matrix, found

    def _dim(self) -> int:
        method = getattr(self._model, "get_embedding_dimension", None) or self._model.get_sentence_embedding_dimension
        return int(method())

    def _forward(self, texts: list[str]) -> np.ndarray:
        import torch

        prepare = getattr(self._model, "preprocess", None) or self._model.tokenize
        inputs = {k: v.to(self._device) if isinstance(v, torch.Tensor) else v for k, v in prepare(texts).items()}
        out = torch.nn.functional.normalize(self._model(inputs)["sentence_embedding"].float(), dim=1)
        return np.asarray(out.cpu().numpy())

    def _batches(self, texts: list[str]) -> Iterator[list[int]]:
        """Yield places of `texts` in batches of about `TOKENS_PER_BATCH`, by token length and then by text.

        The batches depend only on the set of texts, so that results repeat bit for bit whatever their order.
        """
        limit = int(self._model.max_seq_length or 512)
        encoded = self._model.tokenizer(texts, truncation=True, max_length=limit, padding=False)["input_ids"]
        order = sorted(range(len(texts)), key=lambda i: (len(encoded[i]), texts[i]))
        batch: list[int] = []
        for i in order:
            if batch and (len(batch) + 1) * len(encoded[i]) > TOKENS_PER_BATCH:
                yield batch
                batch = []
            batch.append(i)
        yield batch


class MiniLM(SentenceTransformerEncoder):
    """The packaged all-MiniLM-L6-v2, 384-d, unit length."""

    name = "minilm-l6-v2"
    source = "Wang et al. 2020, arXiv:2002.10957; sentence-transformers/all-MiniLM-L6-v2"

    def __init__(self, device: str | torch.device = "auto") -> None:
        """The model's folder is found by `kgzsl.data.locate`; MissingDataError says how to get it."""
        from kgzsl.data import locate

        super().__init__(locate("minilm-l6-v2"), device)

    def _model_name(self) -> str:
        return "all-MiniLM-L6-v2"


def _is_model_file(path: Path, root: Path) -> bool:
    relative = path.relative_to(root)
    return not any(p.startswith(".") for p in relative.parts) and path.suffix not in _NO_MODEL and path.name != "data_config.json"


def _folder(model: str | os.PathLike[str], allow_network: bool) -> Path:
    folder = Path(model)
    if folder.is_dir():
        return folder
    if not allow_network:
        raise MissingDataError(
            "a sentence encoder is a local folder unless the network is allowed",
            received=repr(str(model)),
            remedy="pass a folder, use the packaged `minilm-l6-v2`, or `--allow-network` to fetch it from the hub",
        )
    hub: Any = require("huggingface_hub", "text")
    return Path(hub.snapshot_download(str(model), allow_patterns=["*.json", "*.txt", "*.model", "*.safetensors"]))


def _refuse_pickles(folder: Path) -> None:
    if not any(folder.rglob("*.safetensors")):
        raise SourceError(
            "a sentence encoder's weights are safetensors",
            received=f"none in {folder}",
            remedy="convert them with `save_pretrained(folder)`",
        )


@contextmanager
def _offline() -> Iterator[None]:
    """Set HF_HUB_OFFLINE, and the library's copy of it, while a model loads: no look-up leaves the machine.

    The library's own progress bar, which it draws even into files, is hidden as well.
    """
    import huggingface_hub.constants as constants
    from transformers.utils import logging

    before, copy, bars = os.environ.get("HF_HUB_OFFLINE"), constants.HF_HUB_OFFLINE, logging.is_progress_bar_enabled()
    os.environ["HF_HUB_OFFLINE"], constants.HF_HUB_OFFLINE = "1", True
    logging.disable_progress_bar()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = copy
        if bars:
            logging.enable_progress_bar()
        if before is None:
            os.environ.pop("HF_HUB_OFFLINE", None)
        else:
            os.environ["HF_HUB_OFFLINE"] = before
