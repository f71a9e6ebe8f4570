"""Helpers for tests and benchmarks, shipped with the package: a tiny real world and slow reference code."""

from kgzsl.testing.world import carnivores, hidden_carnivores

__all__ = ["carnivores", "hidden_carnivores"]
