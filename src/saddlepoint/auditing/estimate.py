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
from saddlepoint.optimizers.random_search import RandomSearch

GRADIENT = 2.0
"""A forward and a backward: the gradient with respect to the input alone costs about as much as the answer."""


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
    """A look at the start, ``steps`` steps, a look at the end."""
    return attack.steps * per_step(attack.optimizer) + 2


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
def per_step(optimizer: Any) -> float:
    """Passes of one step of an optimizer; a gradient, unless something else is known."""
    return GRADIENT


@per_step.register
def _random_search(optimizer: RandomSearch) -> float:
    return 1.0
