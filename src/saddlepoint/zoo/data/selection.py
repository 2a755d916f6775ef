"""Which samples of a set: ``NAME``, ``NAME[:1000]``, ``NAME[::7]``, ``NAME[sample:500:seed]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from saddlepoint.errors import DataError

Ids = npt.NDArray[np.int64]

GRAMMAR: Final = "write NAME, NAME[:1000], NAME[100:200], NAME[::7] or NAME[sample:500:0] (count, then seed)"


class Labeled(Protocol):
    """What a selection may ask of a set: how many samples it has, and the labels of some."""

    @property
    def count(self) -> int:
        """Number of samples of the full set."""
        ...

    def labels(self, ids: Ids) -> Ids:
        """Labels ``[n]`` of the samples at positions ``ids [n]``."""
        ...


class Selection(Protocol):
    """A rule that picks positions out of a set."""

    def ids(self, source: Labeled) -> Ids:
        """Positions ``[n]`` in the full set, never empty."""
        ...


@dataclass(frozen=True)
class Span:
    """A Python slice; bounds outside the set are an error instead of a silently shorter answer."""

    start: int | None = None
    stop: int | None = None
    step: int | None = None

    def ids(self, source: Labeled) -> Ids:
        """Positions of ``range(count)[start:stop:step]``."""
        count = source.count
        if outside := [bound for bound in (self.start, self.stop) if bound is not None and abs(bound) > count]:
            raise DataError(f"the slice names position {outside[0]}, the set has {count} samples: shorten the slice")
        picked = np.arange(count, dtype=np.int64)[slice(self.start, self.stop, self.step)]
        if not len(picked):
            raise DataError(f"the slice {self} picks no sample out of {count}")
        return picked

    def __str__(self) -> str:
        bounds = [self.start, self.stop] if self.step is None else [self.start, self.stop, self.step]
        return "[" + ":".join("" if bound is None else str(bound) for bound in bounds) + "]"


@dataclass(frozen=True)
class Stratified:
    """A random sample of ``size`` with the class proportions of the full set, a function of the seed alone.

    Class c gets ``size * n_c / n`` places, rounded by largest remainder; inside a class the samples are
    ordered by a hash of (seed, position), so the answer depends on no library's random stream.
    """

    size: int
    seed: int

    def ids(self, source: Labeled) -> Ids:
        """Positions in ascending order."""
        if not 0 < self.size <= source.count:
            raise DataError(f"a sample of {self.size} cannot be drawn from a set of {source.count}")
        everything = np.arange(source.count, dtype=np.int64)
        labels = source.labels(everything)
        classes, counts = np.unique(labels, return_counts=True)
        keys = _hash(everything, self.seed)
        picked = [
            members[np.argsort(keys[members], kind="stable")[:places]]
            for c, places in zip(classes, _apportion(counts, self.size), strict=True)
            if len(members := np.flatnonzero(labels == c))
        ]
        return np.sort(np.concatenate(picked)).astype(np.int64)

    def __str__(self) -> str:
        return f"[sample:{self.size}:{self.seed}]"


def parse(inside: str) -> Selection:
    """The selection written between the brackets.

    Args:
        inside: the text without the brackets, e.g. ``":1000"`` or ``"sample:500:0"``.

    Raises:
        DataError: it is neither a slice nor a sample.

    >>> parse("100:200")
    Span(start=100, stop=200, step=None)
    >>> parse("sample:500:0")
    Stratified(size=500, seed=0)
    """
    if match := re.fullmatch(r"\s*sample\s*:\s*(\d+)\s*:\s*(\d+)\s*", inside):
        return Stratified(int(match[1]), int(match[2]))
    parts = [part.strip() for part in inside.split(":")]
    if not 2 <= len(parts) <= 3 or not all(re.fullmatch(r"(-?\d+)?", part) for part in parts):
        raise DataError(f"[{inside}] is no selection: {GRAMMAR}")
    bounds = [int(part) if part else None for part in parts]
    if bounds[2:] == [0]:
        raise DataError(f"[{inside}] has step 0: {GRAMMAR}")
    return Span(*bounds)


def _apportion(counts: Ids, size: int) -> Ids:
    """Places per class, summing to ``size``: floors first, the rest by largest remainder."""
    shares = counts * size
    places = shares // counts.sum()
    remainders = shares % counts.sum()
    short = size - int(places.sum())
    places[np.argsort(-remainders, kind="stable")[:short]] += 1
    whole: Ids = places.astype(np.int64)
    return whole


def _hash(positions: Ids, seed: int) -> npt.NDArray[np.uint64]:
    """SplitMix64 of (seed, position): 64 well-mixed bits per sample."""
    state = _mix(np.full(1, seed % 2**64, dtype=np.uint64)) ^ positions.astype(np.uint64)
    return _mix(state)


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
