"""Descriptions of the 1,000 ImageNet classes by a language model (Menon and Vondrick, ICLR 2023, arXiv:2210.07183)."""

from __future__ import annotations

import json

from kgzsl.artifacts import sha256_file
from kgzsl.datasets.imagenet import train_ids
from kgzsl.errors import SourceError
from kgzsl.sources.descriptions import check_descriptions

DESCRIPTION_FILE = "semantics/descriptors_imagenet.json"
#: The file names classes in words; they stand in the order of the 1,000 wnids, which is known of this file only.
SHA256 = "0c478db8b74046ca185488f252c908420bcea585198c7bceb4e42386cc1f7d3a"


def imagenet_descriptions() -> dict[str, tuple[str, ...]]:
    """Return GPT-3's visual descriptors of the 1,000 classes by id ("a freshwater fish", "olive green …").

    Raises
    ------
    MissingDataError : `semantics/descriptors_imagenet.json` is not below `KGZSL_DATA`.
    SourceError : another version of the file.
    """
    from kgzsl.data import benchmark_path

    file = benchmark_path(DESCRIPTION_FILE)
    found = sha256_file(file)
    if found != SHA256:
        raise SourceError(
            "names are matched to classes by their order, which is known of one version of the descriptions",
            received=f"{file} with SHA-256 {found}",
            remedy="get the published file, or write your own as {wnid: [text, …]} for `--descriptions`",
        )
    named = json.loads(file.read_text(encoding="utf-8"))
    return check_descriptions({i: texts for i, texts in zip(train_ids(), named.values(), strict=True) if texts}, str(file))
