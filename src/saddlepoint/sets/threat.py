"""Threats as they are written on a command line and in a report: ``linf:8/255``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from saddlepoint.access.model import Box
from saddlepoint.errors import ThreatError, did_you_mean
from saddlepoint.sets.composed import Composed
from saddlepoint.sets.corruption import Corruption
from saddlepoint.sets.features import Features
from saddlepoint.sets.flow import Flow
from saddlepoint.sets.insertions import Insertions
from saddlepoint.sets.latent import Generator, Latent
from saddlepoint.sets.lp import L2, Linf
from saddlepoint.sets.neighborhood import Neighborhood
from saddlepoint.sets.nuclear import Nuclear
from saddlepoint.sets.patch import Patch
from saddlepoint.sets.perceptual import OWN, Perceptual
from saddlepoint.sets.recolor import Recolor
from saddlepoint.sets.sinkhorn import Sinkhorn
from saddlepoint.sets.sparse import L0, L1
from saddlepoint.sets.spatial import Spatial
from saddlepoint.sets.wasserstein import Dual, Projection, Wasserstein

NON_ADDITIVE: tuple[type[Neighborhood], ...] = (Spatial, Flow, Recolor, Wasserstein, Latent, Corruption, Composed)
"""Sets whose perturbations are not added to the input."""
STEEP: tuple[type[Neighborhood], ...] = (Linf, L2, L1, L0, Nuclear, Patch, Perceptual, *NON_ADDITIVE)
"""Sets that are climbed in: along the steepest move, and back by a projection. All in which one can move by degrees."""
GRADUAL: tuple[type[Neighborhood], ...] = tuple(kind for kind in STEEP if kind is not Patch)
"""Those in which a little error of the slope moves a step by little: with patches it may be the place that changes."""
CONVEX: tuple[type[Neighborhood], ...] = (Linf, L2, L1, Nuclear, *NON_ADDITIVE)
"""Sets with a linear oracle, and with all that lies between two of their members."""
_ALL: tuple[type[Neighborhood], ...] = (*STEEP, Insertions)
_KINDS = {kind.name: kind for kind in _ALL}
_FORM = re.compile(r"\s*([\w ]*?)\s*(?:\((.*)\))?\s*(?::([^()]*))?", re.DOTALL)
_PLUS = re.compile(r"\+(?=\s*\w+\s*[(:])")


def names() -> tuple[str, ...]:
    """The names of the sets that ``parse`` knows."""
    return tuple(_KINDS)


def kinds() -> dict[str, type[Neighborhood]]:
    """The sets that ``parse`` knows, by name."""
    return dict(_KINDS)


def parse(
    spec: str,
    box: Box = Box(),
    generators: Callable[[str], Generator] | None = None,
    networks: Callable[[str], Features] | None = None,
) -> Neighborhood:
    """The set and radius written as ``name:radius`` or ``name(option=value, ...):radius``, several joined by ``+``.

    The radius is a number, a quotient such as 8/255, or ``inf``. ``parse(str(s))`` has exactly the radius of s. Without
    ``:radius`` the radius is infinite. ``a:r+b:s`` is a composition, first a, then b, of radius 1. ``patch:5@3,4`` is a
    patch at row 3, column 4.

    Args:
        spec: for instance "linf:8/255", "l2:0.5", "L0:20", "nuclear(form=whole):2", "recolor:0.06+linf:0.03"; blanks
            do not matter, case only in names of files.
        box: the range of valid inputs.
        generators: gives the generator of a name, for latent sets.
        networks: gives the features of the network of a name, for perceptual sets.

    Raises:
        ThreatError: an unknown name or option, or a radius that is no number, negative or NaN.

    >>> print(parse("Linf:8/255"), parse("l2"), parse("spatial(degrees=10):1"))
    linf:0.03137254901960784 l2:inf spatial(degrees=10):1.0
    """
    part = partial(parse, generators=generators, networks=networks)
    if len(parts := _parts(spec)) > 1:
        return Composed(1.0, box=box, parts=tuple(map(part, parts)))
    found = _FORM.fullmatch(spec)
    name, options, radius = found.groups() if found else (spec.partition(":")[0].strip(), None, None)
    name = name.lower()
    if name not in _KINDS:
        hint = did_you_mean(name, _KINDS)
        raise ThreatError(
            f"unknown perturbation set {name!r}{hint} in {spec!r}; known: {', '.join(_KINDS)} (linf:8/255)"
        )
    kind = _KINDS[name]
    place: dict[str, Any] = {}
    if kind is Patch and radius is not None:
        radius, place = _placed(radius, spec)
    size = math.inf if radius is None else _number(radius.strip(), spec)
    if kind is Composed and options:
        return Composed(size, box=box, parts=tuple(map(part, _parts(options))))
    chosen = _options(options or "", kind, spec) | place
    if generators is not None and not str(chosen.get("generator", "waves")).startswith("waves"):
        chosen["generator"] = generators(chosen["generator"])
    if networks is not None and chosen.get("network", OWN) != OWN:
        chosen["network"] = networks(chosen["network"])
    if "projection" in chosen:
        chosen["projection"] = _projection(chosen["projection"], spec)
    return kind(size, box=box, **chosen)


def _parts(spec: str) -> list[str]:
    """What pluses outside of brackets separate."""
    starts = [at.start() for at in _PLUS.finditer(spec)]
    outside = [at for at in starts if spec.count("(", 0, at) == spec.count(")", 0, at)]
    ends = [*outside, len(spec)]
    return [spec[start:end] for start, end in zip([0, *(at + 1 for at in outside)], ends, strict=True)]


def _options(text: str, kind: type[Neighborhood], spec: str) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    known = kind.options()
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        name, value = name.lower(), value if "." in value else value.lower()
        if name not in known or not equals:
            hint = did_you_mean(name, known)
            raise ThreatError(
                f"{kind.name} has no option {name!r}{hint} in {spec!r}; it has: {', '.join(known) or 'none'}"
            )
        chosen[name] = _value(value, known[name], f"{name}={value} in {spec!r}")
    return chosen


def _projection(word: Any, spec: str) -> Projection:
    """That of the name, with its usual options."""
    known = {str(one): one for one in (Dual(), Sinkhorn())}
    if word not in known:
        raise ThreatError(f"no projection is called {word!r} in {spec!r}; there are {', '.join(known)}")
    return known[word]


def _placed(radius: str, spec: str) -> tuple[str, dict[str, Any]]:
    """The side of a patch, and its place after an at sign if there is one."""
    side, at, place = radius.partition("@")
    if not at:
        return radius, {}
    row, comma, column = (word.strip() for word in place.partition(","))
    if not (comma and row.isdecimal() and column.isdecimal()):
        raise ThreatError(f"{spec!r}: after the at sign stand a row and a column, as in patch:5@3,4")
    return side, {"row": int(row), "column": int(column)}


def _value(text: str, usual: Any, where: str) -> Any:
    """The value as a whole number or a number where the default is one, or where it reads as one; else the word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if isinstance(usual, (int, float)):
        raise ThreatError(f"{where} is no number")
    return text


def _number(text: str, spec: str) -> float:
    above, slash, below = text.partition("/")
    try:
        return float(above) / (float(below) if slash else 1.0)
    except (ValueError, ZeroDivisionError):
        raise ThreatError(
            f"{text!r} in {spec!r} is no radius: write a number or a quotient, as in linf:8/255"
        ) from None
