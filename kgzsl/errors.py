"""Errors of kgzsl: each names the rule, what was received, and the remedy."""

from __future__ import annotations

from collections.abc import Iterable


class KgzslError(Exception):
    """Root of the error tree.

    Parameters
    ----------
    rule : what must hold, as a sentence without a full stop.
    received : what came instead.
    remedy : what the reader can do about it.
    """

    #: With which a command ends that raises it.
    exit_status = 1

    def __init__(self, rule: str, *, received: object = None, remedy: str | None = None) -> None:
        self.rule, self.received, self.remedy = rule, received, remedy
        lines = [rule]
        if received is not None:
            lines.append(f"received: {received}")
        if remedy:
            lines.append(f"remedy: {remedy}")
        super().__init__("\n  ".join(lines))

    def __str__(self) -> str:
        return str(self.args[0])


class InvalidInputError(KgzslError, ValueError):
    """A value given by the caller breaks a rule."""


class UnknownNameError(KgzslError, LookupError):
    """A name or an id is not among the known ones."""


class MissingDataError(KgzslError, LookupError):
    """A source file, model or benchmark is not on this machine."""


class ArtifactError(KgzslError, ValueError):
    """A folder is not a readable artifact of the expected kind."""


class DigestMismatchError(ArtifactError):
    """Bytes on disk differ from what the manifest promised."""


class SourceError(KgzslError, ValueError):
    """A knowledge source is malformed, truncated or of the wrong version."""


class IncompatibleError(KgzslError, ValueError):
    """Two artifacts do not belong together (another backbone, another graph)."""


class MissingDependencyError(KgzslError, ImportError):
    """An optional package is needed for what was asked."""


class DivergedError(KgzslError, ArithmeticError):
    """Training produced non-finite numbers."""


def first_five(items: Iterable[object]) -> str:
    """Return `items` as text, cut after five with the count of the rest."""
    listed = list(items)
    head = ", ".join(str(i) for i in listed[:5])
    return head if len(listed) <= 5 else f"{head} (+{len(listed) - 5} more)"


def require(package: str, extra: str) -> object:
    """Import an optional dependency or say which extra brings it.

    Raises
    ------
    MissingDependencyError : the package is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingDependencyError(
            f"this needs the package `{package.split('.')[0]}`",
            received=str(error),
            remedy=f"pip install 'kgzsl[{extra}]'",
        ) from error
