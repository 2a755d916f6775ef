"""The constrained optimization problem every attack solves, and the protocol of its perturbation sets."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Generic, Protocol, Self, TypeVar, cast

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, LabelAccess
from saddlepoint.access.model import Model
from saddlepoint.core.goal import Goal
from saddlepoint.noise import Noise

A_co = TypeVar("A_co", bound=LabelAccess, covariant=True)
Objective = Callable[[Tensor, Goal], Tensor]
"""(logits [*S, N, K], goal) -> [*S, N]; larger is nearer the goal. Pure, and never a sum over samples."""
Penalty = Callable[["Problem[LabelAccess]", Tensor], Tensor]
"""(problem, δ [N, *P]) -> [N], weighed against the objective."""


class PerturbationSet(Protocol):
    """Perturbations δ ([N, *P]) of inputs x ([N, *D]), measured by a size; a radius is always [N]."""

    @property
    def faithful(self) -> bool:
        """Whether ``apply(x, zero(x))`` is x itself."""
        ...

    def rows(self, keep: Tensor) -> Self:
        """The set for the samples ``keep`` alone (only a per-sample mask makes a difference)."""
        ...

    def zero(self, x: Tensor) -> Tensor:
        """The perturbation that changes nothing, [N, *P]."""
        ...

    def sample(self, x: Tensor, radius: Tensor, noise: Noise) -> Tensor:
        """A random perturbation in the set, [N, *P]."""
        ...

    def apply(self, x: Tensor, delta: Tensor) -> Tensor:
        """The perturbed inputs, [N, *D] (or [*S, N, *D] for δ of [*S, N, *P]), differentiable in δ."""
        ...

    def project(self, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        """The nearest perturbation of size <= radius whose ``apply`` is a valid input, [N, *P]."""
        ...

    def steepest(self, x: Tensor, gradient: Tensor) -> Tensor:
        """The direction of unit size that rises fastest, argmax <gradient, v> over size(v) <= 1: [N, *P]."""
        ...

    def move(self, x: Tensor, delta: Tensor, gradient: Tensor, length: Tensor) -> Tensor:
        """The step of that length [N] from δ along which it rises fastest, [N, *P]."""
        ...

    def size(self, x: Tensor, delta: Tensor) -> Tensor:
        """The size of each perturbation, [N]."""
        ...


@dc.dataclass(frozen=True)
class Problem(Generic[A_co]):
    """maximize objective(access(set.apply(x, δ)), goal) - weight · penalty(δ) over δ in set(radius).

    x [N, *D]; radius and weight [N]. Without a ``penalty`` the weight is not looked at. ``stop_when_met``: a sample is
    finished at its first success, and nothing more need be asked about it.
    """

    access: A_co
    x: Tensor
    goal: Goal
    set: PerturbationSet
    objective: Objective
    noise: Noise
    radius: Tensor
    weight: Tensor
    penalty: Penalty | None = None
    stop_when_met: bool = False

    def rows(self, keep: Tensor) -> Problem[A_co]:
        """The problems of the samples ``keep`` (long [n]) alone."""
        return dc.replace(
            self,
            access=self.access.view(keep),
            x=self.x[keep],
            goal=self.goal.rows(keep),
            set=self.set.rows(keep),
            noise=self.noise.rows(keep),
            radius=self.radius[keep],
            weight=self.weight[keep],
        )

    def at(self, *tags: int | str) -> Problem[A_co]:
        """The same problem with the randomness of ``tags``."""
        return dc.replace(self, noise=self.noise.at(*tags))

    def value(self, logits: Tensor, delta: Tensor) -> Tensor:
        """What is maximized, for logits [N, K] seen at δ [N, *P]: [N]."""
        value = self.objective(logits, self.goal)
        if self.penalty is None:
            return value
        return value - self.weight * self.penalty(self, delta)

    def valid(self, delta: Tensor) -> Tensor:
        """The nearest perturbation of any size whose ``apply`` is a valid input, for δ [N, *P]."""
        return self.set.project(self.x, delta, torch.full_like(self.radius, torch.inf))

    def within(self, size: Tensor) -> Tensor:
        """Which sizes [N] are at most the radius, up to the stated tolerance: bool [N]."""
        return size <= self.radius + tolerance(self.radius, self.x.dtype)


def on_surrogate(problem: Problem[LabelAccess], surrogate: Model) -> Problem[GradientAccess]:
    """The same problem, asked of another model, in logits of an ordinary scale. To be called where that is quiet."""
    with torch.no_grad():
        # A confidence is in the surrogate's own logits.
        clean = None if problem.goal.confidence else surrogate(problem.x).detach()
    access = surrogate.access(len(problem.x), None, clean, problem.x.device).lower(GradientAccess)
    return dc.replace(cast("Problem[GradientAccess]", problem), access=access)


def squared(problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
    """size², the penalty of the Lagrangian attacks: [N, *P] -> [N]."""
    return problem.set.size(problem.x, delta).square()


def excess(problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
    """max(size - radius, 0): free inside the ball. [N, *P] -> [N]."""
    return (problem.set.size(problem.x, delta) - problem.radius).clamp_min(0)


def tolerance(radius: Tensor, dtype: torch.dtype) -> Tensor:
    """By how much a size may exceed a radius for rounding: 1e-6 of it, or what float32 cannot tell apart: [N].

    An input near 1 has a spacing of 6e-8 in float32, so a step of 8/255 is met to 2e-6 of itself at best.
    """
    return radius * max(1e-6, 64 * torch.finfo(dtype).eps) if dtype != torch.float64 else radius * 1e-6
