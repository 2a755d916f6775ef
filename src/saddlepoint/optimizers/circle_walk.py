"""Along circles through the input, from labels alone and without any estimate: SurFree."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import covered
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial
from saddlepoint.initializers.adversarial import met
from saddlepoint.optimizers.boundary_walk import Directions
from saddlepoint.rows import column, flat_norm, put, take


@dc.dataclass(frozen=True)
class CircleState:
    """``delta`` [N, *P]: the point reached; ``met`` (bool [N]): whether the goal was seen met there.

    ``angle`` [N]: the next turn, in radians; ``past`` [N, M, d]: the last directions, 0 where there were none yet.
    """

    delta: Tensor
    met: Tensor
    angle: Tensor
    past: Tensor


@dc.dataclass(frozen=True)
class CircleWalk:
    """Turn toward a random direction, on the circle whose diameter leads from the input to the point reached.

    With u = δ / |δ| and v a random unit vector orthogonal to u and to the last ``memory`` directions:

    1. The first of θ = angle, -angle at which the goal is met at δ(θ) = |δ| cos θ (u cos θ + v sin θ).
    2. The largest θ up to 90° of this sign, by ``rounds`` bisections. |δ(θ)| = |δ| cos θ: every turn comes nearer.
    3. The angle is divided by ``rho`` after a success, up to 60°, and multiplied by it after none.

    Where the boundary is a plane, its nearest point is on the circle in the plane of u and the normal. Two questions a
    step, and ``rounds`` more after a success. In L2.

    Args:
        directions: of the turns.
        first_angle: in radians.

    Source: Maho, Furon, Le Merrer, "SurFree: a fast surrogate-free black-box attack", CVPR 2021.
    """

    directions: Directions
    memory: int = 20
    rounds: int = 7
    rho: float = 0.95
    first_angle: float = math.radians(30)

    def init(self, problem: Problem[LabelAccess], delta: Tensor) -> CircleState:
        """Begin at δ, one forward to see whether it meets the goal."""
        past = delta.new_zeros(len(delta), self.memory, delta[:1].numel())
        angle = torch.full_like(problem.radius, self.first_angle)
        return CircleState(delta, met(problem, delta), angle, past)

    def step(self, problem: Problem[LabelAccess], state: CircleState) -> tuple[CircleState, Trial]:
        """What was reached already, and one turn."""
        rows = state.met.nonzero().squeeze(1)
        rows = rows[covered(problem.access.view(rows), 2)]
        later = put(state, rows, self._turned(problem.rows(rows), take(state, rows))) if len(rows) else state
        return later, self.finish(problem, state)

    def finish(self, problem: Problem[LabelAccess], state: CircleState) -> Trial:
        """The point reached; its label was seen on the way."""
        size = problem.set.size(problem.x, state.delta)
        return Trial(state.delta, -size, state.met, size)

    def _turned(self, problem: Problem[LabelAccess], state: CircleState) -> CircleState:
        length = flat_norm(state.delta, 2)
        ahead = state.delta / column(length.clamp_min(torch.finfo(length.dtype).tiny), state.delta)
        aside = self._aside(problem, ahead, state.past)
        sign, found = torch.zeros_like(length), torch.zeros_like(state.met)
        for way in (1.0, -1.0):
            rows = (~found & ~problem.access.refused).nonzero().squeeze(1)
            hit = rows[met(problem.rows(rows), self._at(problem, state, ahead, aside, way * state.angle, rows))]
            sign, found = sign.index_fill(0, hit, way), found.index_fill(0, hit, True)
        rows = found.nonzero().squeeze(1)
        there = problem.rows(rows)
        low, high = state.angle[rows], torch.full_like(state.angle[rows], math.pi / 2)
        best = self._at(problem, state, ahead, aside, sign * state.angle, rows)
        for _ in range(self.rounds):
            middle = (low + high) / 2
            wide = torch.zeros_like(length).index_copy(0, rows, middle)
            point = self._at(problem, state, ahead, aside, sign * wide, rows)
            enough = met(there, point)
            best = torch.where(column(enough, best), point, best)
            low, high = torch.where(enough, middle, low), torch.where(enough, high, middle)
        nearer = there.set.size(there.x, best) < there.set.size(there.x, state.delta[rows])
        delta = state.delta.index_copy(0, rows, torch.where(column(nearer, best), best, state.delta[rows]))
        angle = torch.where(found, state.angle / self.rho, state.angle * self.rho).clamp_max(math.radians(60))
        past = torch.cat([state.past[:, 1:], aside.flatten(1).unsqueeze(1)], 1) if self.memory else state.past
        return CircleState(delta, state.met, angle, past)

    def _aside(self, problem: Problem[LabelAccess], ahead: Tensor, past: Tensor) -> Tensor:
        """A random unit vector orthogonal to ``ahead`` and the past, 0 where the mask is False: [n, *P]."""
        drawn = self.directions(problem.noise.at("aside"), tuple(ahead.shape[1:]), ahead.dtype)
        v = problem.set.steepest(problem.x, drawn).flatten(1)
        v = v - (past.mT @ (past @ v.unsqueeze(2))).squeeze(2)
        u = ahead.flatten(1)
        v = v - (v * u).sum(1, keepdim=True) * u
        return (v / flat_norm(v, 2).clamp_min(torch.finfo(v.dtype).tiny).unsqueeze(1)).view_as(ahead)

    def _at(
        self,
        problem: Problem[LabelAccess],
        state: CircleState,
        ahead: Tensor,
        aside: Tensor,
        angle: Tensor,
        rows: Tensor,
    ) -> Tensor:
        """δ(angle) of the ``rows``, as far as box and mask allow: [len(rows), *P]."""
        delta, angle, u, v = (one[rows] for one in (state.delta, angle, ahead, aside))
        cos, sin = (column(one, delta) for one in (angle.cos(), angle.sin()))
        return problem.rows(rows).valid(column(flat_norm(delta, 2), delta) * cos * (u * cos + v * sin))
