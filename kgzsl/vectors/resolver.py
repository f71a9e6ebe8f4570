"""The resolver of text encoders."""

from __future__ import annotations

from pathlib import Path

from kgzsl.errors import InvalidInputError
from kgzsl.registry import Resolver
from kgzsl.vectors.base import TextEncoder
from kgzsl.vectors.glove import GloVe
from kgzsl.vectors.sentence import MiniLM, SentenceTransformerEncoder

#: Third parties add theirs through the entry-point group `kgzsl.text-encoders`.
TEXT_ENCODERS: Resolver[TextEncoder] = Resolver(
    "text-encoders",
    TextEncoder,  # type: ignore[type-abstract]
    [GloVe, SentenceTransformerEncoder, MiniLM],
)


def make_text_encoder(name: str) -> TextEncoder:
    """Return a text encoder by its resolver name, or for a sentence-transformers folder or a file of word vectors.

    Raises
    ------
    UnknownNameError : none of these; the names are listed.
    MissingDataError : its model is not on this machine.
    """
    if name == SentenceTransformerEncoder.name:
        raise InvalidInputError("a sentence-transformers encoder is named by its folder", received=name, remedy="pass the folder")
    # names win over files of the same name in the working folder
    if name not in {entry.name for entry in TEXT_ENCODERS}:
        if Path(name).is_dir():
            return SentenceTransformerEncoder(name)
        if Path(name).is_file():
            return GloVe(name)
    return TEXT_ENCODERS.make(name)
