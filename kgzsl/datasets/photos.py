"""Real photographs that installable packages carry, with classes checked by eye: something to predict on a bare machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kgzsl.errors import MissingDataError
from kgzsl.ids import curies


@dataclass(frozen=True)
class Photo:
    """One photograph.

    Attributes
    ----------
    path : the image file inside its package.
    wnids : classes (CURIEs) that are right for it, the best one first.
    label : the best one in words.
    in_imagenet1k : whether an ImageNet-1k backbone was trained on one of `wnids`; false makes it a zero-shot photo.
    package : the package that carries it.
    note : what is in the picture.
    """

    path: Path
    wnids: tuple[str, ...]
    label: str
    in_imagenet1k: bool
    package: str
    note: str


#: package, file in it, wnids, label, in ImageNet-1k, what one sees. Checked by eye and against WordNet 3.0.
_PHOTOS: tuple[tuple[str, str, tuple[str, ...], str, bool, str], ...] = (
    ("sklearn", "datasets/images/flower.jpg", ("n11960245",), "dahlia", False, "an orange dahlia in front of dark leaves"),
    ("skimage", "data/motorcycle_left.png", ("n03790512",), "motorcycle", False, "a red motorcycle in a garage"),
    ("skimage", "data/rocket.jpg", ("n04099429",), "rocket", False, "a rocket on its launch pad at dusk, between four masts"),
    ("skimage", "data/astronaut.png", ("n09818022",), "astronaut", False, "portrait of an astronaut; a shuttle model in the background"),
    (
        "sklearn",
        "datasets/images/china.jpg",
        ("n04407435", "n04460130"),
        "temple",
        False,
        "the temple tower of the Summer Palace in Beijing",
    ),
    ("skimage", "data/chelsea.png", ("n02123045", "n02121808", "n02121620"), "tabby", True, "the face of a tabby cat"),
    ("skimage", "data/coffee.png", ("n07920052", "n07929519", "n03063073"), "espresso", True, "an espresso in a red cup on a saucer"),
)


def packaged_photos(*, zero_shot_only: bool = False) -> tuple[Photo, ...]:
    """Return the photographs of the packages installed here (scikit-image and scikit-learn carry some).

    Parameters
    ----------
    zero_shot_only : leave out those of ImageNet-1k classes.

    Raises
    ------
    MissingDataError : neither package is installed.
    """
    found = tuple(_installed())
    if not found:
        raise MissingDataError(
            "packaged photographs come with scikit-image or scikit-learn",
            received="neither is installed",
            remedy="pip install 'kgzsl[photos]'",
        )
    return tuple(p for p in found if not (zero_shot_only and p.in_imagenet1k))


def _installed() -> Iterable[Photo]:
    for package, file, wnids, label, known, note in _PHOTOS:
        spec = find_spec(package)  # the package is found, not imported: scikit-learn takes a second to load
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(folder) / file
            if path.is_file():
                yield Photo(path, curies(wnids), label, known, package, note)
                break
