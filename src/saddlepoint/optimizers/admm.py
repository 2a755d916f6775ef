"""The alternating direction method of multipliers: one variable climbs, its twin stays in the set."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.rows import column

A = TypeVar("A", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class ADMMState:
    """The free variable δ, its twin z in the set and the multiplier s, [N, *P]; the value's unit [N]; steps made."""

    delta: Tensor
    twin: Tensor
    multiplier: Tensor
    unit: Tensor
    t: int


@dc.dataclass(frozen=True)
class ADMM(Generic[A]):
    """maximize f(δ) - price · |z|² subject to δ = z, z in the set: the model sees δ, the set z.

    δ <- (√t δ + ρ z + s + g) / (√t + ρ); s <- s + ρ (z - δ); z <- P(ρ / (ρ + 2 price) (δ - s / ρ)). P is the Euclidean
    projection onto the convex set, so another metric changes the last line alone. ρ is ``coupling``. f is in a unit of
    its own for each sample, in which its first slope g that is not 0 has the size ``rate`` · radius. What is looked at
    besides δ, and returned, is z.

    Source: Zhao, Liu, Chen, Hoang, Xu, Kailkhura, Lin, "On the design of black-box adversarial examples by leveraging
    gradient-free optimization and operator splitting method", ICCV 2019.
    """

    gradient: Gradient[A]
    rate: float = 1.0
    coupling: float = 2.0
    price: float = 0.0

    def init(self, problem: Problem[A], delta: Tensor) -> ADMMState:
        """Begin at δ, both variables alike."""
        return ADMMState(delta, delta, torch.zeros_like(delta), torch.zeros_like(problem.radius), 0)

    def step(self, problem: Problem[A], state: ADMMState) -> tuple[ADMMState, Trial]:
        """A slope at δ, a projection, a look at z."""
        _, g = self.gradient(problem, state.delta)
        unit = torch.where(state.unit > 0, state.unit, self._unit(problem, g))
        g = g / column(torch.where(unit > 0, unit, 1.0), g)
        rho, inertia = self.coupling, math.sqrt(state.t + 1)
        delta = (inertia * state.delta + rho * state.twin + state.multiplier + g) / (inertia + rho)
        multiplier = state.multiplier + rho * (state.twin - delta)
        shrunk = (rho * delta - multiplier) / (rho + 2 * self.price)
        twin = problem.set.project(problem.x, shrunk, problem.radius)
        return ADMMState(delta, twin, multiplier, unit, state.t + 1), look(problem, twin)

    def finish(self, problem: Problem[A], state: ADMMState) -> Trial:
        """Look at the last z."""
        return look(problem, state.twin)

    def _unit(self, problem: Problem[A], g: Tensor) -> Tensor:
        reach = self.rate * problem.radius
        return problem.set.size(problem.x, g) / torch.where(reach > 0, reach, 1.0)
