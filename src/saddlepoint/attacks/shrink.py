"""The outer loops of Carlini and Wagner's Linf and L0 attacks: succeed, allow less, go on from there."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, LabelAccess
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import PerturbationSet, Problem
from saddlepoint.core.result import Result, Status
from saddlepoint.core.slope import slope
from saddlepoint.noise import Noise
from saddlepoint.rows import column, put, where
from saddlepoint.sets import Neighborhood

FIRST_PRICE, LAST_PRICE, TIGHTEN, SMALLEST = 1e-5, 20.0, 0.9, 1 / 256
FIRST_L0_PRICE, LAST_L0_PRICE, DEARER = 0.1, 2e6, 4.0


def overflow(problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
    """Σ max(|δ_i| - radius, 0), what sticks out of the cube: [N, *D] -> [N]."""
    return (delta.abs() - column(problem.radius, delta)).clamp_min(0).flatten(1).sum(1)


@dc.dataclass(frozen=True)
class ShrinkCube:
    """Run ``attack`` with its radius τ and price 1 / c as knobs; τ shrinks at success, c doubles at failure.

    ``width`` is the width of the inputs' range, in which the first τ and the smallest are measured.
    """

    attack: Iterate[GradientAccess]
    rounds: int
    width: float

    def __call__(
        self,
        access: GradientAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples, those that are not finished again and again."""
        limit = x.new_full((len(x),), self.width) if radius is None else radius.clamp_max(self.width)
        cube, failed, price = limit, torch.zeros_like(limit), torch.full_like(limit, FIRST_PRICE)
        out: Result | None = None
        live = torch.arange(len(x), device=x.device)
        for i in range(self.rounds):
            begin = None if out is None else out.delta[live]
            new = narrowed(self.attack, live)(
                access.view(live), x[live], goal.rows(live), noise.rows(live).at(i), cube[live], 1 / price[live], begin
            )
            out = new if out is None else put(out, live, out.rows(live).merge(new, new.met))
            met = torch.zeros_like(limit, dtype=torch.bool).index_copy(0, live, new.met)
            tried = torch.zeros_like(met).index_fill(0, live, True)
            given_up = tried & ~met & (2 * price > LAST_PRICE)
            failed = torch.where(given_up, cube, failed)
            price = torch.where(tried & ~met, torch.where(given_up, FIRST_PRICE * 1e3, 2 * price), price)
            best = torch.where(out.met, out.size, limit)
            smaller = torch.maximum(TIGHTEN * torch.minimum(cube, best), (failed + best) / 2)
            cube = torch.where(met | given_up, smaller, cube)
            done = (best - failed <= 0.005 * best) | (cube < SMALLEST * self.width) | (given_up & ~out.met)
            done |= out.status == Status.OUT_OF_BUDGET
            live = (~done).nonzero().squeeze(1)
            if not len(live):
                break
        assert out is not None, "at least one round is needed"
        return out


@dc.dataclass(frozen=True)
class FreezeEntries:
    """Run ``attack`` over the entries still free; at success freeze the least useful, at failure pay more, then stop.

    ``count`` is the set that counts what is changed: the size and the radius of the result are its own.
    """

    attack: Iterate[GradientAccess]
    count: Neighborhood
    rounds: int

    def __call__(
        self,
        access: GradientAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples, those that are not finished again and again."""
        mask = self.count.mask
        free = torch.ones_like(x, dtype=torch.bool) if mask is None else mask.expand_as(x)
        price, nowhere = x.new_full((len(x),), FIRST_L0_PRICE), x.new_full((len(x),), torch.inf)
        out: Result | None = None
        live = torch.arange(len(x), device=x.device)
        for i in range(self.rounds):
            attack = dc.replace(self.attack, set=dc.replace(_ball(self.attack.set), mask=free[live]))
            view, begin = access.view(live), None if out is None else out.delta[live]
            new = attack(view, x[live], goal.rows(live), noise.rows(live).at(i), nowhere[live], 1 / price[live], begin)
            new, useful = self._weigh(view, x[live], goal.rows(live), new)
            out = new if out is None else put(out, live, out.rows(live).merge(new, new.met))
            free = put(free, live, torch.where(column(new.met, x), useful, free[live]))
            price = put(price, live, torch.where(new.met, price[live], DEARER * price[live]))
            given_up = ~new.met & (price[live] > LAST_L0_PRICE)
            live = live[~given_up & (new.status != Status.OUT_OF_BUDGET) & free[live].flatten(1).any(1)]
            if not len(live):
                break
        assert out is not None, "at least one round is needed"
        return out if radius is None else _within(out, x, radius)

    def _weigh(self, access: GradientAccess, x: Tensor, goal: Goal, new: Result) -> tuple[Result, Tensor]:
        """``new`` measured by ``count``, and its changed entries but the least useful: bool [N, *D]. One backward."""
        rows, forwards, backwards = access.rows, access.ledger.forwards.clone(), access.ledger.backwards.clone()

        def slopes(part: Tensor) -> Tensor:
            delta = new.delta[part].requires_grad_()
            margin = goal.rows(part).margin(access.view(part).logits(self.attack.set.apply(x[part], delta)))
            return slope(margin.sum(), delta)

        gradient = torch.cat(list(in_batches(slopes, access, len(x))))
        new = dc.replace(
            new,
            size=self.count.size(x, new.delta),
            forwards=new.forwards + (access.ledger.forwards - forwards)[rows],
            backwards=new.backwards + (access.ledger.backwards - backwards)[rows],
        )
        changed = (new.delta != 0).flatten(1)
        use = torch.where(changed, (new.delta * gradient).flatten(1).abs(), torch.inf)
        rank = use.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
        frozen = (0.3 * changed.sum(1).sqrt()).ceil().unsqueeze(1)
        return new, (changed & (rank >= frozen)).view_as(x)


def _within(out: Result, x: Tensor, radius: Tensor) -> Result:
    """``out``, with nothing at all in place of what is larger than the radius [N]."""
    zero = torch.zeros_like(out.size)
    nothing = dc.replace(
        out,
        x_adv=x,
        delta=torch.zeros_like(out.delta),
        met=torch.zeros_like(out.met),
        size=zero,
        status=torch.where(out.status == Status.OUT_OF_BUDGET, out.status, int(Status.HELD)).to(torch.int8),
    )
    return where(out.size <= radius, out, nothing)


def _ball(threat: PerturbationSet) -> Neighborhood:
    assert isinstance(threat, Neighborhood)
    return threat
