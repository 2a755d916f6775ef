"""What can go wrong, each kind by its name. Every message says what is wrong, what was expected, what to do."""

from __future__ import annotations


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
