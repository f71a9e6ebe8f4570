"""Benchmarks on disk: splits with digests, images with class ids, feature rows with class semantics, sentences."""

from kgzsl.datasets.awa import Awa1
from kgzsl.datasets.base import ImageSet, Split
from kgzsl.datasets.caltech import caltech101_hop_sets, caltech101_unseen
from kgzsl.datasets.class_links import ClassLinks, class_links, links_of
from kgzsl.datasets.completion import COMPLETION_SETS, list_completion_sets, read_completion_set, read_relation_schema
from kgzsl.datasets.completion_set import CandidateLists, CompletionSet, Triples, UnseenEntities, UnseenRelations
from kgzsl.datasets.composition_set import CompositionSet, CompositionSpace
from kgzsl.datasets.compositions import COMPOSITION_SETS, list_composition_sets, read_composition_set
from kgzsl.datasets.cub import Cub
from kgzsl.datasets.descriptions import imagenet_descriptions
from kgzsl.datasets.feature_set import FeatureSet, check_same_features
from kgzsl.datasets.imagenet import HOP_COUNTS, all_ids, holdout_folds, hop_sets, hop_split, image_folder, make_folds, samples, train_ids
from kgzsl.datasets.kzsl import KZSL_COUNTS, kzsl_names, kzsl_split
from kgzsl.datasets.mat_splits import MatSplits, read_splits
from kgzsl.datasets.own import OwnFolder
from kgzsl.datasets.photos import Photo, packaged_photos
from kgzsl.datasets.readers import FeatureSetReader
from kgzsl.datasets.resolver import FEATURE_SETS, list_feature_sets, read_feature_set
from kgzsl.datasets.snips import SNIPS_COUNTS, Snips, TextSet, read_snips

__all__ = [
    "COMPLETION_SETS",
    "COMPOSITION_SETS",
    "FEATURE_SETS",
    "HOP_COUNTS",
    "KZSL_COUNTS",
    "SNIPS_COUNTS",
    "Awa1",
    "CandidateLists",
    "ClassLinks",
    "CompletionSet",
    "CompositionSet",
    "CompositionSpace",
    "Cub",
    "FeatureSet",
    "FeatureSetReader",
    "ImageSet",
    "MatSplits",
    "OwnFolder",
    "Photo",
    "Snips",
    "Split",
    "TextSet",
    "Triples",
    "UnseenEntities",
    "UnseenRelations",
    "all_ids",
    "caltech101_hop_sets",
    "caltech101_unseen",
    "check_same_features",
    "class_links",
    "holdout_folds",
    "hop_sets",
    "hop_split",
    "image_folder",
    "imagenet_descriptions",
    "kzsl_names",
    "kzsl_split",
    "links_of",
    "list_completion_sets",
    "list_composition_sets",
    "list_feature_sets",
    "make_folds",
    "packaged_photos",
    "read_completion_set",
    "read_composition_set",
    "read_feature_set",
    "read_relation_schema",
    "read_snips",
    "read_splits",
    "samples",
    "train_ids",
]
