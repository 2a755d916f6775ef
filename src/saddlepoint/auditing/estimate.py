"""How often an attack asks at most, told from its parts: what an estimate of time is made of."""

from __future__ import annotations

import functools
import math
from typing import Any

from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.each_target import EachTarget
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.search import SearchWeight
from saddlepoint.gradients import Averaged
from saddlepoint.gradients.nes import NES
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.boundary_walk import BoundaryWalk
from saddlepoint.optimizers.random_search import RandomSearch

SLOPE = 2.0
"""A forward and a backward: the gradient with respect to the input alone costs about as much as the answer."""
RETURN = 50.0
"""What a step outward and the bisection back to the boundary ask at most, in practice."""


@functools.singledispatch
def passes(attack: Any) -> float:
    """Passes through the model for each sample, forwards and backwards, at most; NaN where the parts do not tell.

    >>> from saddlepoint import attacks, Linf
    >>> passes(attacks.pgd.attack(Linf(0.1), steps=10, restarts=3))
    66.0
    """
    return math.nan


@passes.register
def _iterate(attack: Iterate) -> float:  # type: ignore[type-arg]
    """A look at the start, the steps, a look at the end."""
    return walk(attack.optimizer, attack.steps) + 2


@passes.register
def _cascade(attack: Cascade) -> float:  # type: ignore[type-arg]
    return sum(map(passes, attack.attacks))


@passes.register
def _anneal(attack: Anneal) -> float:  # type: ignore[type-arg]
    return sum(map(passes, attack.attacks))


@passes.register
def _each_target(attack: EachTarget) -> float:  # type: ignore[type-arg]
    return attack.k * passes(attack.attack) + 1


@passes.register
def _search(attack: SearchWeight) -> float:  # type: ignore[type-arg]
    return attack.rounds * passes(attack.attack)


@functools.singledispatch
def walk(optimizer: Any, steps: int) -> float:
    """Passes of so many steps of an optimizer; a gradient for each, unless something else is known."""
    return steps * SLOPE


@walk.register
def _ascent(optimizer: Ascent, steps: int) -> float:  # type: ignore[type-arg]
    return steps * slope(optimizer.gradient)


@walk.register
def _random_search(optimizer: RandomSearch, steps: int) -> float:
    return float(steps)


@walk.register
def _boundary_walk(optimizer: BoundaryWalk, steps: int) -> float:
    draws = (min(optimizer.first_draws * math.sqrt(t), optimizer.most_draws) for t in range(1, steps + 1))
    return sum(draws) + RETURN * steps


@functools.singledispatch
def slope(gradient: Any) -> float:
    """Passes of one slope."""
    return SLOPE


@slope.register
def _nes(gradient: NES) -> float:
    return 2.0 * gradient.pairs + 1


@slope.register
def _averaged(gradient: Averaged) -> float:  # type: ignore[type-arg]
    return gradient.draws * slope(gradient.gradient)
