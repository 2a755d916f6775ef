"""Threats as they are written on a command line and in a report: ``linf:8/255``."""

from __future__ import annotations

import math

from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError
from saddlepoint.sets.lp import L2, Linf
from saddlepoint.sets.nuclear import Nuclear
from saddlepoint.sets.sparse import L0, L1

LpBall = Linf | L2 | L1 | L0 | Nuclear
_KINDS: dict[str, type[LpBall]] = {"linf": Linf, "l2": L2, "l1": L1, "l0": L0, "nuclear": Nuclear}


def names() -> tuple[str, ...]:
    """The names of the sets that ``parse`` knows."""
    return tuple(_KINDS)


def kinds() -> dict[str, type[LpBall]]:
    """The sets that ``parse`` knows, by name."""
    return dict(_KINDS)


def parse(spec: str, box: Box = Box()) -> LpBall:
    """The set and radius written as ``name:radius``; the radius a number, a quotient such as 8/255, or ``inf``.

    ``parse(str(s))`` has exactly the radius of s. Without ``:radius`` the radius is infinite.

    Args:
        spec: for instance "linf:8/255", "l2:0.5", "L0:20"; case and blanks do not matter.
        box: the range of valid inputs.

    Raises:
        ThreatError: an unknown name, or a radius that is no number, negative or NaN.

    >>> print(parse("Linf:8/255"), parse("l2"))
    linf:0.03137254901960784 l2:inf
    """
    name, colon, radius = (part.strip().lower() for part in spec.partition(":"))
    if name not in _KINDS:
        raise ThreatError(f"unknown perturbation set {name!r} in {spec!r}; known: {', '.join(_KINDS)} (linf:8/255)")
    return _KINDS[name](_number(radius, spec) if colon else math.inf, box=box)


def _number(text: str, spec: str) -> float:
    above, slash, below = text.partition("/")
    try:
        return float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ThreatError(
            f"{text!r} in {spec!r} is no radius: write a number or a quotient, as in linf:8/255"
        ) from None
