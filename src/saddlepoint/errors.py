"""What can go wrong, each kind by its name. Every message says what is wrong, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SaddlepointError(Exception):
    """Base of all errors raised on purpose by this package."""


class DataError(SaddlepointError, ValueError):
    """The inputs or labels cannot be used as they are."""


class ModelError(SaddlepointError, ValueError):
    """The model cannot be asked, or answers in a form that is not understood."""


class ThreatError(SaddlepointError, ValueError):
    """The perturbation set or its radius makes no sense for this attack or these inputs."""


class AccessError(SaddlepointError, TypeError):
    """An attack asks for more than the access to the model allows."""


class OptionError(SaddlepointError, ValueError):
    """An unknown name or an option out of range."""


class RunError(SaddlepointError, RuntimeError):
    """A run on disk cannot be used: another run, another process, a damaged piece."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that one that is not known was perhaps meant to be."""
    return next(iter(difflib.get_close_matches(name, list(known), 1)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name nearest to one that is not known, as a message goes on after it; nothing if none is near.

    >>> did_you_mean("restart", ["steps", "restarts"])
    ' (did you mean restarts?)'
    """
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
