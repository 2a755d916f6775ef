"""How a long run is shown on stderr: a live bar on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from saddlepoint.auditing.listener import Listener, Silent
from saddlepoint.auditing.summary import Summary
from saddlepoint.report.words import duration, percent, short

PAUSE = 30.0
"""Seconds between two plain lines of the same stage, at least."""
WORTH_SAYING = 10.0
"""Seconds from which on an estimate is told."""
RADIUS = re.compile(r"(?<=:)[\d.]+(e-\d+)?")
"""The radius in the label of a threat, unless infinite."""


class Tally:
    """What is known in the middle of a stage: counts from the pieces, rates from those that were computed now.

    >>> tally = Tally(n=100)
    >>> tally.begin("linf:0.1 pgd", samples=80, standing=80)
    >>> tally.add(done=40, total=80, fooled=10, seconds=4.0)
    >>> tally.line
    '40 of 80 · 70 standing (70.0 %) · 10.0 samples/s · 4.0 s left'
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.begin("", n, n)

    def begin(self, name: str, samples: int, standing: int) -> None:
        """A stage begins."""
        self.name, self.total, self.standing = name, samples, standing
        self.unlimited = name.partition(" ")[0].endswith(":inf")
        self.done = self.computed = 0
        self.seconds = 0.0

    def add(self, done: int, total: int, fooled: int, seconds: float) -> None:
        """A piece is done. Pieces of earlier runs took no time, so they say nothing about the rate."""
        if seconds > 0:
            self.computed += done - self.done
            self.seconds += seconds
        self.done, self.total = done, total
        self.standing -= fooled

    @property
    def rate(self) -> float | None:
        """Samples in a second; None as long as nothing was computed."""
        return self.computed / self.seconds if self.seconds > 0 and self.computed else None

    @property
    def line(self) -> str:
        """All of it in words."""
        parts = [f"{self.done} of {self.total}"]
        if not self.unlimited:
            parts.append(f"{self.standing} standing ({percent(self.standing / self.n)})")
        if self.rate is not None:
            parts.append(f"{self.rate:.1f} samples/s")
            if self.done < self.total:
                parts.append(f"{duration((self.total - self.done) / self.rate)} left")
        return " · ".join(parts)


class Display(Protocol):
    """Where progress is shown."""

    def say(self, text: str) -> None:
        """A line that stays."""
        ...

    def begin(self, name: str, total: int) -> None:
        """A stage with ``total`` samples begins."""
        ...

    def update(self, done: int, total: int, line: str) -> None:
        """The stage has come so far."""
        ...


class Bars:
    """One live bar for each stage."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(text, markup=False, highlight=False)

    def begin(self, name: str, total: int) -> None:
        """A new bar."""
        self._task = self._bars.add_task(escape(name), total=max(total, 1), line=f"{total} to do")

    def update(self, done: int, total: int, line: str) -> None:
        """The bar grows."""
        if self._task is not None:
            self._bars.update(self._task, completed=done, total=max(total, 1), line=line)


class Lines:
    """A line when a stage ends, and one in between where that takes long; for logs."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._name, self._last = "", clock()

    def say(self, text: str) -> None:
        """One line, however long."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def begin(self, name: str, total: int) -> None:
        """Nothing yet."""
        self._name, self._last = name, self._clock()

    def update(self, done: int, total: int, line: str) -> None:
        """A line if it is time for one."""
        if done >= total or self._clock() - self._last >= PAUSE:
            self._last = self._clock()
            self.say(f"{self._name}: {line}")


class Reporter:
    """Listens to an audit, and shows it on a display."""

    def __init__(self, display: Display) -> None:
        self._display, self._tally = display, Tally(1)
        self._names: dict[str, str] = {}

    def begin(self, stages: Sequence[str], n: int) -> None:
        """Says how much there is to do."""
        self._tally = Tally(n)
        self._names = {name.rpartition(" ")[2]: name for name in stages}
        self._display.say(f"{n} samples, {len(stages)} stage{'s' * (len(stages) > 1)}")

    def stage(self, name: str, samples: int, standing: int) -> None:
        """Shows a new stage."""
        whole = self._names.get(name, name)
        self._tally.begin(whole, samples, standing)
        self._display.begin(shown(whole), samples)

    def piece(self, done: int, total: int, fooled: int, seconds: float) -> None:
        """Shows how far the stage has come."""
        self._tally.add(done, total, fooled, seconds)
        self._display.update(done, total, self._tally.line)

    def asked(self, forwards: int) -> None:
        """Is not shown: the summary has the queries."""

    def estimate(self, seconds: float | None) -> None:
        """Says how long it may take, where that is worth a line."""
        if seconds is not None and seconds >= WORTH_SAYING:
            self._display.say(f"about {duration(seconds)} at most on this machine")

    def notice(self, text: str) -> None:
        """Says it."""
        self._display.say(f"note: {text}")

    def end(self, summary: Summary) -> None:
        """Nothing: the summary is printed by the command."""


def shown(name: str) -> str:
    """The name of a stage as it is shown.

    >>> shown("linf:0.1 01-apgd_ce"), shown("none 00-clean"), shown("linf:0.03137254901960784 02-square")
    ('linf:0.1 apgd_ce', 'clean', 'linf:8/255 square')
    """
    threat, _, stage = name.rpartition(" ")
    number, _, attack = stage.partition("-")
    tag = attack if number.isdigit() else stage
    if threat in {"", "none"}:
        return tag
    return f"{RADIUS.sub(lambda found: short(float(found[0])), threat)} {tag}"


@contextmanager
def progress(quiet: bool) -> Iterator[Listener]:
    """A listener that shows what it hears on stderr, in the way that suits where stderr goes."""
    console = Console(stderr=True)
    if quiet:
        yield Silent()
    elif not console.is_terminal:
        yield Reporter(Lines(console))
    else:
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), TextColumn("{task.fields[line]}")
        with Progress(*columns, console=console) as bars:
            yield Reporter(Bars(bars))
