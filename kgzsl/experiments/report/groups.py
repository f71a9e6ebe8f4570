"""Which results stand in one table: those with the same images or rows, the same features and the same splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgzsl.experiments.leaderboard import tables


@dataclass(frozen=True)
class Group:
    """Results that are compared with one another.

    Attributes
    ----------
    table : the leaderboard's name of their table (`leaderboard.tables`).
    results : the results that `leaderboard.rows_of` makes that table's rows from.
    members : those that are in it.
    data : what they share, in words.
    """

    table: str
    results: Sequence[Mapping[str, Any]]
    members: Sequence[Mapping[str, Any]]
    data: str


def told_apart(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the results with a number behind a name that came before, so that every name is one result's."""
    seen: Counter[str] = Counter()
    found = []
    for result in results:
        name = result["cell"]["name"]
        seen[name] += 1
        own = name if seen[name] == 1 else f"{name} ({seen[name]})"
        found.append({**result, "cell": {**result["cell"], "name": own}})
    return found


def groups_of(results: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Return the groups in the leaderboard's order; a table of results on different data is taken apart."""
    groups = []
    for table, members in tables(results).items():
        if members[0]["task"] == "feature-zsl":  # the leaderboard keeps those on different rows or splits apart already
            groups.append(Group(table, results, members, _said_of_rows(table, members[0])))
            continue
        if members[0]["task"] == "composition-zsl":  # what the images are known by differs from line to line, and the table says so
            groups.append(Group(table, results, members, _said_of_compositions(members[0])))
            continue
        alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for result in members:
            alike.setdefault(_data(result), []).append(result)
        groups += [Group(table, group, group, _said(group[0])) for group in alike.values()]
    return groups


def _data(result: Mapping[str, Any]) -> tuple[Any, ...]:
    dataset = result["dataset"]
    splits = tuple(sorted({run["split_digest"] for run in result["runs"]}))
    return dataset["name"], dataset["version"], dataset.get("digest"), result["cell"].get("backbone"), splits


def _said(result: Mapping[str, Any]) -> str:
    dataset = result["dataset"]
    splits = sorted({run["split"] for run in result["runs"]})
    named = splits[0] if len(splits) == 1 else f"{len(splits)} splits, {splits[0]} to {splits[-1]}"
    features = f"features of {result['cell'].get('backbone') or 'the dataset'}"
    return f"{dataset['name']}, version {dataset['version']}; {features}; {named}."


def _said_of_rows(table: str, result: Mapping[str, Any]) -> str:
    features, split = result["digests"]["features"][:12], result["runs"][0]["split"]
    return f"Rows of {table.split(' ', 1)[1]}; its own features (digest {features}); {split}."


def _said_of_compositions(result: Mapping[str, Any]) -> str:
    dataset = result["dataset"]
    return f"{dataset['name']}, version {dataset['version']} (digest {dataset['digest'][:12]}); {result['runs'][0]['split']}."
