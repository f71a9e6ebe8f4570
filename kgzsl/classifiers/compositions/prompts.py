"""A CLIP-like model in a folder: word vectors put into a prompt → the frozen text encoder → the space of its images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError, require

#: The published prompt; its last two words are where the vectors of a state and an object go.
PROMPT = "a photo of x x"


class PromptEncoder:
    """The text side of a `transformers` model with CLIP's interface, frozen: vectors of a state and an object → an embedding.

    The model's own code runs from its token embeddings on; only what those give at two places is replaced.

    Parameters
    ----------
    folder : config.json, safetensors weights and the tokenizer's files, as `save_pretrained` writes them.

    Raises
    ------
    MissingDataError : no such folder.
    SourceError : the folder holds no model with texts and images in one space.
    """

    def __init__(self, folder: str | os.PathLike[str], device: torch.device) -> None:
        if not (Path(folder) / "config.json").is_file():
            raise MissingDataError(
                "soft prompts need a CLIP-like model in a local folder",
                received=f"{folder}, which has no config.json" if Path(folder).is_dir() else f"{str(folder)!r}, which is no folder",
                remedy="save one with `model.save_pretrained(FOLDER)` and `tokenizer.save_pretrained(FOLDER)`, and name the folder",
            )
        self.device = device
        self._model, self._tokenizer = _load(Path(folder))
        self._model.to(device)
        self._table: Any = self._model.text_model.get_input_embeddings()
        ids = self._tokens(PROMPT)
        if len(ids) < 4:
            raise SourceError("the tokenizer marks where a text begins and ends", received=f"{len(ids)} tokens for {PROMPT!r}")
        self._prompt = torch.tensor([ids], device=device)

    @property
    def dim(self) -> int:
        """Columns of the images' and the texts' common space."""
        return int(self._model.config.projection_dim)

    @property
    def scale(self) -> float:
        """The model's own factor of cosines."""
        return float(self._model.logit_scale.exp())

    def word_vectors(self, names: Sequence[str]) -> torch.Tensor:
        """Return where learning starts: the mean token vector of each name, `[names, token dim]`."""
        rows = []
        for name in names:
            ids = self._tokens(name.replace(".", " ").replace("_", " ").replace("+", " ").lower())[1:-1]
            if not ids:
                raise InvalidInputError("a name has at least one token", received=repr(name))
            rows.append(self._table.weight[torch.tensor(ids, device=self.device)].mean(0))
        return torch.stack(rows).detach().float()

    def encode(self, states: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        """Return the text embeddings of prompts with these vectors in them, `[pairs, dim]`, differentiable in both `[pairs, token dim]`."""

        def composed(_module: torch.nn.Module, _given: Any, vectors: torch.Tensor) -> torch.Tensor:
            head, tail = vectors[:, :-3], vectors[:, -1:]  # the end of the text stays behind the two
            return torch.cat([head, states[:, None].to(vectors.dtype), objects[:, None].to(vectors.dtype), tail], dim=1)

        handle = self._table.register_forward_hook(composed)
        try:
            prompts = self._prompt.expand(len(states), -1)
            found = self._model.get_text_features(input_ids=prompts, attention_mask=torch.ones_like(prompts))
        finally:
            handle.remove()
        embedded: torch.Tensor = getattr(found, "pooler_output", found)
        return embedded

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text)["input_ids"])


def _load(folder: Path) -> tuple[Any, Any]:
    transformers: Any = require("transformers", "images")
    from safetensors import SafetensorError

    from kgzsl.features.transformers_backbone import quiet

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        with quiet(transformers):
            model = transformers.AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **options)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **options)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise SourceError(
            "the folder must hold a model and a tokenizer that transformers can load without code of its own",
            received=f"{folder}: {str(error)[:300]}",
            remedy="it needs config.json, *.safetensors and the tokenizer's files",
        ) from error
    if not all(hasattr(model, name) for name in ("get_text_features", "text_model", "logit_scale")):
        raise SourceError(
            "a CLIP-like model has texts and images in one space", received=f"{folder}: {type(model).__name__}", remedy="name a CLIP model"
        )
    return model.eval().requires_grad_(False), tokenizer
