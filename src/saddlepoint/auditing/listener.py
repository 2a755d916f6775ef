"""Who is told how an audit goes: a protocol with seven moments, and the listener that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from saddlepoint.auditing.summary import Summary


class Listener(Protocol):
    """Is called by an audit at each of these moments, in the thread that audits."""

    def begin(self, stages: Sequence[str], n: int) -> None:
        """The audit of ``n`` samples begins; ``stages`` are its stages as "threat name", the clean pass first."""
        ...

    def stage(self, name: str, samples: int, standing: int) -> None:
        """A stage begins over so many ``samples``; ``standing`` stand under its threat, of all."""
        ...

    def piece(self, done: int, total: int, fooled: int, seconds: float) -> None:
        """``done`` of the ``total`` samples of the stage are on disk; the last piece fooled ``fooled`` of its own.

        ``seconds`` is what that piece took; 0 where it was there already.
        """
        ...

    def asked(self, forwards: int) -> None:
        """The model was asked so many times for the last piece, all its samples together."""
        ...

    def estimate(self, seconds: float | None) -> None:
        """Right after the clean pass: all attacks together take about so long at most; None if nothing is known."""
        ...

    def notice(self, text: str) -> None:
        """Something a reader must know."""
        ...

    def end(self, summary: Summary) -> None:
        """The audit is complete."""
        ...


class Silent:
    """Says nothing."""

    def begin(self, stages: Sequence[str], n: int) -> None:
        """Says nothing."""

    def stage(self, name: str, samples: int, standing: int) -> None:
        """Says nothing."""

    def piece(self, done: int, total: int, fooled: int, seconds: float) -> None:
        """Says nothing."""

    def asked(self, forwards: int) -> None:
        """Says nothing."""

    def estimate(self, seconds: float | None) -> None:
        """Says nothing."""

    def notice(self, text: str) -> None:
        """Says nothing."""

    def end(self, summary: Summary) -> None:
        """Says nothing."""
