"""`kgzsl complete`: a fact with an end missing → the entities that complete it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgzsl.cli.output import emit_json, emit_table

if TYPE_CHECKING:
    from kgzsl.front_completion import CompletedFact

#: Letters of a text in the table.
_SHOWN = 60


def complete(
    dataset: Annotated[
        str, typer.Option("--dataset", help="A name of `kgzsl list completion-sets`, or a folder with train, valid and test triples.")
    ],
    relation: Annotated[str, typer.Option("--relation", "-r", help="The relation, by its name or the end of it.")],
    head: Annotated[str | None, typer.Option("--head", help="The head, by name or text; tails are then ranked.")] = None,
    tail: Annotated[str | None, typer.Option("--tail", help="The tail: heads are ranked; with a head, its rank is said.")] = None,
    top: Annotated[int, typer.Option("--top", help="How many answers.")] = 10,
    model: Annotated[
        str,
        typer.Option(
            "--model", help="A name of `kgzsl list completion-models`; closed_form knows unseen relations, neighbourhood unseen entities."
        ),
    ] = "complex",
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Folder of the fitted link model: read where it is there, written where it is not.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the model as NAME=VALUE, such as dim=200; may be repeated.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Leave out facts that the set states already.")] = False,
    axioms: Annotated[str, typer.Option("--axioms", help="Answers that an ontology derives come first, or none.")] = "first",
    seed: Annotated[int, typer.Option("--seed", help="Of the fit.")] = 0,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Complete a fact: rank the entities that fit its missing end, with the known facts and the axioms that carry them.

    The first call fits a model on the training triples; with `--keep` the next ones read it.

    Examples:

    `kgzsl complete --dataset umls --head hormone --relation affects --top 5`

    `kgzsl complete --dataset wn18rr --head absorptivity --relation hypernym --keep runs/wn18rr.model`

    `kgzsl complete --dataset grail-wn18rr --head 06845599 --relation hypernym --model neighbourhood`

    `kgzsl complete --dataset my-triples/ --tail aspirin --relation treats --new --json`
    """
    from kgzsl.front_completion import complete as run

    found = run(
        dataset,
        relation=relation,
        head=head,
        tail=tail,
        top=top,
        model=model,
        settings=read_settings(settings or ()) or None,
        keep=keep,
        new=new,
        axioms=axioms,
        seed=seed,
        device=device,
    )
    if as_json:
        emit_json(dataclasses.asdict(found))
        return
    fact = f"({found.given}, {found.relation}, ?)" if found.side == "tail" else f"(?, {found.relation}, {found.given})"
    kind = "" if found.seen else ", a relation that training never shows"
    title = f"{fact}{kind}: best {len(found.answers)} of {found.entities:,} entities by {found.model}"
    rows = [
        (a.rank, a.entity, "" if a.text == a.entity else a.text[:_SHOWN], f"{a.score:.3f}", a.known or "new", _because(a))
        for a in found.answers
    ]
    emit_table(["rank", "entity", "text", "score", "known in", "because of"], rows, title)
    if found.asked is not None:
        asked = found.asked
        typer.echo(
            f"{asked.entity}: rank {asked.rank:,} of {found.entities:,}, score {asked.score:.3f}, {asked.known or 'new'}; {_because(asked)}"
        )


def _because(answer: CompletedFact) -> str:
    """Return the best reason: a proof, else a fact between the two, else the most similar fact."""
    if answer.proofs:
        return answer.proofs[0]
    if answer.between:
        return f"also stated: {_fact(answer.between[0])}"
    if answer.similar:
        fact, alike = answer.similar[0]
        return f"like {_fact(fact)} ({alike:.2f})"
    return "no similar fact"


def _fact(fact: tuple[str, str, str]) -> str:
    return f"({', '.join(fact)})"


def read_settings(stated: Sequence[str]) -> dict[str, Any]:
    """Return settings from `NAME=VALUE`; a value is JSON where it reads as JSON, else text.

    Raises
    ------
    InvalidInputError : one without a name or a value, or a name twice.
    """
    from kgzsl.errors import InvalidInputError

    found: dict[str, Any] = {}
    for one in stated:
        name, sign, value = one.partition("=")
        if not sign or not name.strip() or not value.strip() or name.strip() in found:
            raise InvalidInputError("a setting is NAME=VALUE, each name once", received=repr(one), remedy="for example --set dim=200")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found
