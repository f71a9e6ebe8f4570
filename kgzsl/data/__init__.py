"""Data that kgzsl needs: what it is, where it lies, and how to get it.

Network access happens only in `fetch`, which a person asks for.
"""

from kgzsl.data.benchmarks import benchmark_path
from kgzsl.data.cache import Status, import_file, locate, status, verify
from kgzsl.data.catalogue import Catalogue, Member, Source, load_catalogue
from kgzsl.data.fetching import fetch

__all__ = [
    "Catalogue",
    "Member",
    "Source",
    "Status",
    "benchmark_path",
    "fetch",
    "import_file",
    "load_catalogue",
    "locate",
    "status",
    "verify",
]
