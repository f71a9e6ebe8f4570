"""MiniLM from its package: meaning, independence of order, no network, no pickles."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from kgzsl.errors import InvalidInputError, MissingDataError, SourceError
from kgzsl.vectors import TEXT_ENCODERS, MiniLM, SentenceTransformerEncoder

TEXTS = [
    "dog: a domesticated canine",
    "puppy: a young dog",
    "aircraft carrier: a large warship that carries planes",
    "dog: a domesticated canine",
]


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    try:
        return MiniLM(device="cpu")
    except MissingDataError as error:
        pytest.skip(str(error))


def test_vectors_are_unit_length_and_mean_something(minilm: MiniLM) -> None:
    rows = minilm.encode(TEXTS)
    assert rows.shape == (4, 384) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > 0.5 > 0.3 > rows[0] @ rows[2]


def test_equals_sentence_transformers_own_encode(minilm: MiniLM) -> None:
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(minilm._folder), device="cpu", local_files_only=True).encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(minilm.encode(TEXTS), own, atol=2e-6)


def test_order_and_repetition_do_not_change_a_bit(minilm: MiniLM) -> None:
    texts = [f"{word} number {i}: {'a thing ' * (i % 7)}" for i, word in enumerate(["dog", "cat", "ship", "tree"] * 40)]
    first = minilm.encode(texts)
    backwards = minilm.encode(texts[::-1])[::-1]
    assert first.tobytes() == np.ascontiguousarray(backwards).tobytes()
    assert first.tobytes() == minilm.encode(texts).tobytes()


def test_an_empty_text_is_out_of_vocabulary(minilm: MiniLM) -> None:
    with pytest.raises(InvalidInputError, match="1 of 2 texts"):
        minilm.encode(["dog", "  "])
    assert not minilm.encode(["dog", ""], oov="zero")[1].any()


def test_no_texts_is_an_error(minilm: MiniLM) -> None:
    with pytest.raises(InvalidInputError):
        minilm.encode([])


def test_loading_opens_no_socket_and_restores_the_environment(minilm: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert SentenceTransformerEncoder(minilm._folder, device="cpu").encode(["dog"]).shape == (1, 384)
    assert "HF_HUB_OFFLINE" not in os.environ


def test_a_hub_name_needs_the_network_to_be_allowed() -> None:
    with pytest.raises(MissingDataError, match="allow-network"):
        SentenceTransformerEncoder("sentence-transformers/all-MiniLM-L6-v2")


def test_a_folder_without_safetensors_or_with_truncated_ones_is_refused(minilm: MiniLM, tmp_path: Path) -> None:
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled" / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(SourceError, match="safetensors"):
        SentenceTransformerEncoder(tmp_path / "pickled", device="cpu").encode(["dog"])
    copy = tmp_path / "copy"
    shutil.copytree(minilm._folder, copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(SourceError):
        SentenceTransformerEncoder(copy, device="cpu").encode(["dog"])


def test_the_digest_covers_weights_and_tokenizer_but_not_the_readme(minilm: MiniLM, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(minilm._folder, copy)
    before = SentenceTransformerEncoder(copy, device="cpu").digest
    (copy / "README.md").write_text("other", encoding="utf-8")
    assert SentenceTransformerEncoder(copy, device="cpu").digest == before
    (copy / "tokenizer.json").write_text("{}", encoding="utf-8")
    assert SentenceTransformerEncoder(copy, device="cpu").digest != before


def test_the_resolver_names_every_encoder() -> None:
    assert {entry.name for entry in TEXT_ENCODERS} >= {"glove", "minilm-l6-v2", "sentence-transformers"}
    assert all(entry.source and entry.summary for entry in TEXT_ENCODERS)
