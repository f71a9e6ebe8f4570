"""Benchmarks on disk: splits with digests, images with class ids."""

from kgzsl.datasets.base import ImageSet, Split
from kgzsl.datasets.caltech import caltech101_hop_sets, caltech101_unseen
from kgzsl.datasets.descriptions import imagenet_descriptions
from kgzsl.datasets.imagenet import HOP_COUNTS, all_ids, holdout_folds, hop_sets, hop_split, image_folder, make_folds, samples, train_ids
from kgzsl.datasets.photos import Photo, packaged_photos

__all__ = [
    "HOP_COUNTS",
    "ImageSet",
    "Photo",
    "Split",
    "all_ids",
    "caltech101_hop_sets",
    "caltech101_unseen",
    "holdout_folds",
    "hop_sets",
    "hop_split",
    "image_folder",
    "imagenet_descriptions",
    "make_folds",
    "packaged_photos",
    "samples",
    "train_ids",
]
