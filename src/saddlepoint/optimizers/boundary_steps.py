"""Small random steps along the decision boundary and toward the input, from labels alone: the Boundary attack."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.optimizers.boundary_walk import Directions
from saddlepoint.rows import column, flat_norm, put, unit, where


@dc.dataclass(frozen=True)
class StepsState:
    """``delta`` [N, *P]: the point reached; ``met`` (bool [N]): whether the goal was seen met there.

    ``sideways``, ``inward`` [N]: the lengths of the two steps, as shares of |δ|. ``sphere``, ``nearer`` [N]: how often
    each was seen to succeed among the last ``checks`` (long [N]). ``t``: steps made.
    """

    delta: Tensor
    met: Tensor
    sideways: Tensor
    inward: Tensor
    sphere: Tensor
    nearer: Tensor
    checks: Tensor
    t: int


@dc.dataclass(frozen=True)
class BoundarySteps:
    """δ' = |δ| (u + s v) / √(1 + s²) · (1 - r), with u = δ / |δ| and v a random unit vector orthogonal to it.

    Taken where the goal is met there. At every ``every``-th step the point before it comes nearer (r = 0) is asked
    about too; of ``window`` such checks, more than half met on the sphere make s and r larger by ``adaptation``, fewer
    than a fifth smaller; more than a quarter met at δ' make r larger, fewer than a tenth smaller. In L2.

    Published as averages over the last 100 and 30 checks, made for tens of thousands of labels.

    Source: Brendel, Rauber, Bethge, "Decision-based adversarial attacks: reliable attacks against black-box machine
    learning models", ICLR 2018.
    """

    directions: Directions
    sideways: float = 0.1
    inward: float = 0.05
    adaptation: float = 1.5
    every: int = 5
    window: int = 10

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> StepsState:
        """Begin at δ, one forward to see whether it meets the goal."""
        none = torch.zeros_like(problem.radius)
        sideways, inward = (torch.full_like(none, share) for share in (self.sideways, self.inward))
        return StepsState(delta, met(problem, delta), sideways, inward, none, none, none, 0)

    def step(self, problem: Problem[LabelAccess], state: StepsState) -> tuple[StepsState, Trial]:
        """What was reached already, and one step; two questions at every ``every``-th, else one."""
        rows = (state.met & ~problem.access.refused).nonzero().squeeze(1)
        later = state
        if len(rows):
            there = problem.rows(rows)
            sphere, point = self._proposed(there, state, rows)
            on_sphere = met(there, sphere) if state.t % self.every == 0 else None
            hit = met(there, point)
            nearer = hit & (there.set.size(there.x, point) < there.set.size(there.x, state.delta[rows]))
            best = torch.where(column(nearer, point), point, state.delta[rows])
            later = dc.replace(state, delta=put(state.delta, rows, best))
            if on_sphere is not None:
                later = self._adapted(later, rows, on_sphere, hit)
        return dc.replace(later, t=state.t + 1), self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: StepsState) -> Trial:
        """The point reached; its label was seen on the way."""
        size = problem.set.size(problem.x, state.delta)
        return Trial(state.delta, -size, state.met, size)

    def _proposed(self, problem: Problem[LabelAccess], state: StepsState, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The point on the sphere, and the one nearer: as far as box and mask allow, [n, *P] each."""
        delta, s, r = state.delta[rows], state.sideways[rows], state.inward[rows]
        length, u = flat_norm(delta, 2), unit(delta)
        drawn = self.directions(problem.noise.at("aside"), tuple(delta.shape[1:]), delta.dtype)
        v = problem.set.steepest(problem.x, drawn)
        v = unit(v - column((v * u).flatten(1).sum(1), v) * u)
        sphere = column(length / (1 + s.square()).sqrt(), u) * (u + column(s, v) * v)
        return problem.valid(sphere), problem.valid(column(1 - r, sphere) * sphere)

    def _adapted(self, state: StepsState, rows: Tensor, on_sphere: Tensor, hit: Tensor) -> StepsState:
        """The lengths of the steps, after one check more of ``rows``."""
        one = torch.zeros_like(state.checks).index_fill(0, rows, 1)
        checks = state.checks + one
        sphere = state.sphere + torch.zeros_like(one).index_copy(0, rows, on_sphere.to(one.dtype))
        nearer = state.nearer + torch.zeros_like(one).index_copy(0, rows, hit.to(one.dtype))
        both = self._factor(sphere, checks, 0.5, 0.2)
        adapted = dc.replace(
            state,
            sideways=state.sideways * both,
            inward=(state.inward * both * self._factor(nearer, checks, 0.25, 0.1)).clamp_max(0.5),
            sphere=torch.zeros_like(sphere),
            nearer=torch.zeros_like(nearer),
            checks=torch.zeros_like(checks),
        )
        return where(checks >= self.window, adapted, dc.replace(state, sphere=sphere, nearer=nearer, checks=checks))

    def _factor(self, hits: Tensor, checks: Tensor, many: float, few: float) -> Tensor:
        share = hits / checks.clamp_min(1)
        one = torch.ones_like(share)
        return torch.where(share > many, one * self.adaptation, torch.where(share < few, one / self.adaptation, one))
