"""A tiny CLIP with random weights in a folder, as `save_pretrained` writes it, with a tokenizer over CLIP's first 514 entries: bytes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np


def byte_vocabulary() -> dict[str, int]:
    """Return CLIP's vocabulary before any merge: every byte, every byte at a word's end, and the two marks."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in shown]
    letters = [*map(chr, shown), *(chr(256 + n) for n in range(len(rest)))]
    entries = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    return {entry: n for n, entry in enumerate(entries)}


def save_clip(folder: Path, seed: int = 0) -> Path:
    """Write model, tokenizer and image processor."""
    import torch
    import transformers

    vocabulary = byte_vocabulary()
    marks = vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]
    text = {"vocab_size": len(vocabulary), "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text |= {"max_position_embeddings": 32, "bos_token_id": marks[0], "eos_token_id": marks[1], "pad_token_id": marks[1]}
    vision = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
    }
    torch.manual_seed(seed)
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24))
    model.save_pretrained(folder)
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    transformers.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@cache
def image_rows(folder: str, files: tuple[Path, ...]) -> np.ndarray:
    """Return the image embeddings of real photographs by this model, `[files, 24]`."""
    from kgzsl.features import extract, make_backbone

    return extract([str(f) for f in files], make_backbone(folder, device="cpu"), batch_size=128).matrix
