"""Walks along the decision boundary that know labels only: HopSkipJump, GeoDA."""

from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import covered, parts
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.noise import Noise
from saddlepoint.rows import column, flat_norm, put, take, unit

Directions = Callable[[Noise, tuple[int, ...], torch.dtype], Tensor]
"""(streams of N samples, shape, dtype) -> random directions [N, *shape], of any length."""
COARSEST = 1e-3
"""The bisection never stops earlier than at this share of the perturbation, so that few entries are no excuse."""
NEAR = 128
"""In units of what the numbers resolve: nearer to a boundary than this share of a perturbation, an answer given in
another batch may be another one."""
LONGER = 6
"""How often a step from the input is made longer before it is given up."""


@dc.dataclass(frozen=True)
class WalkState:
    """``delta`` [N, *P]: the point reached; ``met`` (bool [N]): whether the goal was seen met there.

    ``reach`` [N]: the size of the point the last bisection began at; ``normal`` [N, *P]: what is known of the
    boundary's; ``t``: steps made.
    """

    delta: Tensor
    met: Tensor
    reach: Tensor
    normal: Tensor
    t: int


class Steps(NamedTuple):
    """Where steps along a direction begin [n, *P], the first [n], the next as a share of it, and how many are tried."""

    begin: Tensor
    first: Tensor
    factor: float
    tries: int


Outward = Callable[[Problem[LabelAccess], WalkState, int], Steps]
"""(problem, state, how many bisections reach the resolution) -> which steps are tried."""


def from_the_point(problem: Problem[LabelAccess], state: WalkState, bisections: int) -> Steps:
    """From δ, first size(δ) / √t, each half the last."""
    first = problem.set.size(problem.x, state.delta) / math.sqrt(state.t + 1)
    return Steps(state.delta, first, 0.5, bisections + 1)


def from_the_input(problem: Problem[LabelAccess], state: WalkState, bisections: int) -> Steps:
    """From the input, first size(δ), each half as long again as the last."""
    return Steps(problem.set.zero(problem.x), problem.set.size(problem.x, state.delta), 1.5, 1 + LONGER)


@dc.dataclass(frozen=True)
class BoundaryWalk:
    """Estimate the boundary's normal from labels, step outward along it, bisect back to the boundary.

    With φ = ±1 for a goal that is met or not, d the number of entries and t = 1, 2, ...:

    1. v = mean over B random unit vectors u of (φ(δ + r u) - mean φ) u, B = min(first_draws √t, most_draws); r is
       ``first_probe`` at t = 1, then 1/d of the size of the point the last bisection began at. With ``memory`` μ > 0,
       of length √B and plus μ times the v before it: a boundary has much the same normal nearby.
    2. δ' = δ + s · steepest(v), s = size(δ) / √t, halved until the goal is met at δ'.
       With ``from_the_input`` for ``outward``, which takes the boundary for a plane: δ' = s · steepest(v), s = size(δ),
       and half as much again until the goal is met.
    3. δ <- P(δ', α size(δ')) with the smallest α in [0, 1] for which the goal is met, within θ = ``gamma`` d^-power.

    P(δ, r) is the projection onto the ball of radius r. Only answers that came count: a sample whose budget does not
    cover the B questions of an estimate stays where it is. Where the start does not meet the goal, nothing is asked.

    Args:
        directions: normal for L2, uniform on the cube for Linf.
        power: 3/2 for L2, 2 for Linf.
        first_probe: in the units of the input; None: a tenth of the size of the point the first bisection began at.
        first_draws, most_draws, gamma: as above.

    Source: Chen, Jordan, Wainwright, "HopSkipJumpAttack: a query-efficient decision-based attack", S&P 2020; from the
    input: Rahmati, Moosavi-Dezfooli, Frossard, Dai, "GeoDA: a geometric framework for black-box adversarial attacks",
    CVPR 2020.
    """

    directions: Directions
    power: float
    first_probe: float | None = 0.1
    first_draws: int = 100
    most_draws: int = 10_000
    gamma: float = 1.0
    outward: Outward = from_the_point
    memory: float = 0.0

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> WalkState:
        """Begin at δ, one forward to see whether it meets the goal; then bisect back to the boundary."""
        reached, size = met(problem, delta), problem.set.size(problem.x, delta)
        rows = reached.nonzero().squeeze(1)
        edge = put(delta, rows, self._back(problem.rows(rows), delta[rows]))
        return WalkState(edge, reached, size, torch.zeros_like(delta), 0)

    def step(self, problem: Problem[LabelAccess], state: WalkState) -> tuple[WalkState, Trial]:
        """What was reached already, and one round of estimate, step and bisection."""
        draws = min(int(self.first_draws * math.sqrt(state.t + 1)), self.most_draws)
        rows = state.met.nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), draws)]
        later = dc.replace(state, t=state.t + 1)
        if len(rows):
            moved = self._move(problem.rows(rows), take(state, rows), draws)
            later = put(later, rows, moved)
        return later, self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: WalkState) -> Trial:
        """The point reached; its label was seen on the way."""
        size = problem.set.size(problem.x, state.delta)
        return Trial(state.delta, -size, state.met, size)

    def _move(self, problem: Problem[LabelAccess], state: WalkState, draws: int) -> WalkState:
        probe = 0.1 * state.reach if self.first_probe is None else torch.full_like(state.reach, self.first_probe)
        if state.t:
            probe = state.reach * (self.gamma / _entries(state.delta))
        normal = math.sqrt(draws) * unit(self._normal(problem, state.delta, probe, draws)) + self.memory * state.normal
        outer, found = self._outward(problem, state, problem.set.steepest(problem.x, normal))
        rows = found.nonzero().squeeze(1)
        there, outer = problem.rows(rows), outer[rows]
        new = WalkState(self._back(there, outer), found[rows], there.set.size(there.x, outer), normal[rows], state.t)
        return put(dc.replace(state, normal=normal), rows, new)

    def _normal(self, problem: Problem[LabelAccess], delta: Tensor, probe: Tensor, draws: int) -> Tensor:
        """The direction in which the goal is met, estimated from ``draws`` labels around δ: [n, *P]."""
        signed, plain, votes = torch.zeros_like(delta), torch.zeros_like(delta), torch.zeros_like(probe)
        for part in parts(problem.access, draws):
            changes = [self._around(problem.at("direction", k), delta, probe) for k in part]
            answers = met(problem, delta + torch.stack(changes)).to(delta.dtype) * 2 - 1
            for change, phi in zip(changes, answers, strict=True):  # one by one: the sum must not depend on the parts
                signed, plain, votes = signed + column(phi, change) * change, plain + change, votes + phi
        baseline = torch.where(votes.abs() < draws, votes / draws, 0)
        return signed - column(baseline, plain) * plain

    def _around(self, problem: Problem[LabelAccess], delta: Tensor, probe: Tensor) -> Tensor:
        """A random change of length ``probe`` [n], as far as box and mask allow: [n, *P]."""
        u = self.directions(problem.noise, tuple(delta.shape[1:]), delta.dtype)
        length = flat_norm(u, 2).clamp_min(torch.finfo(u.dtype).tiny)
        return problem.valid(delta + column(probe / length, u) * u) - delta

    def _outward(self, problem: Problem[LabelAccess], state: WalkState, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The begin + s · direction with the first of the steps s at which the goal is met; and if."""
        begin, step, factor, tries = self.outward(problem, state, self._bisections(state.delta))
        outer, found = state.delta, torch.zeros_like(state.met)
        for _ in range(tries):
            rows = (~found & ~problem.access.refused).nonzero().squeeze(1)
            if not len(rows):
                break
            left = problem.rows(rows)
            point = left.valid(begin[rows] + column(step[rows], outer) * direction[rows])
            hit = met(left, point).nonzero().squeeze(1)
            outer, found = outer.index_copy(0, rows[hit], point[hit]), found.index_fill(0, rows[hit], True)
            step = step * factor
        return outer, found

    def _back(self, problem: Problem[LabelAccess], outer: Tensor) -> Tensor:
        """The smallest P(outer, α size) seen to meet the goal, α in [0, 1]; ``outer`` meets it: [n, *P]."""
        size, edge = problem.set.size(problem.x, outer), outer
        low, high = torch.zeros_like(size), torch.ones_like(size)
        for _ in range(self._bisections(outer)):
            middle = (low + high) / 2
            point = problem.set.project(problem.x, outer, middle * size)
            enough = met(problem, point)
            edge = torch.where(column(enough, edge), point, edge)
            low, high = torch.where(enough, low, middle), torch.where(enough, middle, high)
        return edge

    def _bisections(self, delta: Tensor) -> int:
        """How often to halve until θ is reached, or what answers resolve."""
        theta = min(self.gamma * _entries(delta) ** -self.power, COARSEST)
        return math.ceil(-math.log2(max(theta, NEAR * torch.finfo(delta.dtype).eps)))


def _entries(delta: Tensor) -> int:
    return math.prod(delta.shape[1:])
