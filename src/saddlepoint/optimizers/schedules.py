"""Step sizes over time: step -> a factor."""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int], float]


def constant(value: float) -> Schedule:
    """The same at every step."""
    return lambda step: value


def cosine(first: float, last: float, steps: int) -> Schedule:
    """From ``first`` at step 0 to ``last`` at step ``steps`` along half a cosine."""
    return lambda step: last + (first - last) * (1 + math.cos(math.pi * min(step / steps, 1.0))) / 2


def growing(most: float, hold: int = 10, pace: float = 0.01) -> Schedule:
    """0 for the first ``hold`` steps, then most · (1 - exp(-pace · (step - hold))): toward ``most``."""
    return lambda step: most * -math.expm1(-pace * max(step - hold, 0))


def harmonic(step: int) -> float:
    """2 / (step + 2), the classic rate of Frank-Wolfe: all the way at step 0.

    >>> harmonic(0), harmonic(2)
    (1.0, 0.5)
    """
    return 2 / (step + 2)
