"""The command `kgzsl`: one file per verb, errors told in words, exit codes kept."""

from __future__ import annotations

import sys

import typer

from kgzsl.errors import KgzslError

#: Exit status after Ctrl-C, as shells have it.
INTERRUPTED = 130

app = typer.Typer(
    name="kgzsl",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        from kgzsl import __version__

        typer.echo(f"kgzsl {__version__}")
        raise typer.Exit


@app.callback()
def _root(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and exit.")) -> None:
    """Knowledge graphs and ontologies as class knowledge for zero-shot recognition.

    Start with `kgzsl doctor`; then, for example, `kgzsl fit -o my.bundle` and `kgzsl predict my.bundle photo.jpg --explain`.
    """


def _register() -> None:
    from kgzsl.cli import (
        audit,
        complete,
        compose,
        data,
        doctor,
        embed,
        evaluate,
        experiment,
        features,
        fit,
        generate,
        graph,
        link,
        listing,
        predict,
        report,
        serve,
        vectors,
    )

    app.add_typer(data.app, name="data")
    graph.app.command("audit")(audit.audit)
    graph.app.command("bound")(audit.bound)
    app.add_typer(graph.app, name="graph")
    app.add_typer(vectors.app, name="vectors")
    app.add_typer(features.app, name="features")
    app.add_typer(evaluate.app, name="eval")
    app.add_typer(experiment.app, name="experiment")
    app.command("doctor")(doctor.doctor)
    app.command("list")(listing.list_)
    app.command("link")(link.link_)
    app.command("embed")(embed.embed)
    app.command("fit")(fit.fit)
    app.command("generate")(generate.generate)
    app.command("predict")(predict.predict)
    app.command("compose")(compose.compose)
    app.command("complete")(complete.complete)
    app.command("report")(report.report)
    app.command("serve")(serve.serve)


_register()


def main() -> None:
    """Run the command line; a KgzslError becomes a message on standard error and exit status 1."""
    try:
        app()
    except KgzslError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(error.exit_status)
    except OSError as error:
        typer.secho(
            f"error: the operating system refused a file\n  received: {error}\n  remedy: check path, permissions and free space",
            fg="red",
            err=True,
        )
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as stop:
        if isinstance(stop, SystemExit) and stop.code != INTERRUPTED:  # typer turns an interruption into an exit
            raise
        typer.secho("interrupted; nothing half-written", fg="yellow", err=True)
        sys.exit(INTERRUPTED)
