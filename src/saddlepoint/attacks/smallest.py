"""Run several times and keep each sample's smallest success: over attacks, targets and random starts."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.attacks.each_target import likeliest_wrong
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise
from saddlepoint.sets import Neighborhood

C = TypeVar("C", bound=LabelAccess)
S = TypeVar("S", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class Smallest(Generic[C]):
    """Each of the ``attacks`` over all samples, within the size that those before it found.

    Where ``Cascade`` is done with a sample at its first success, here every attack looks for a smaller one.
    """

    attacks: Sequence[Attack[C]]

    def __call__(
        self,
        access: C,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples, attack after attack."""
        out: Result | None = None
        for i, attack in enumerate(self.attacks):
            new = attack(access, x, goal, noise.at(i), _no_larger(radius, out, x), weight, start)
            out = new if out is None else out.merge(new, smaller(new, out))
        assert out is not None, "at least one attack is needed"
        return out


@dc.dataclass(frozen=True)
class NearestTarget(Generic[S]):
    """For the goal of leaving y: pursue each of the ``k`` likeliest wrong classes, and keep the smallest success.

    Where ``EachTarget`` is done with a sample at its first success, all k classes are pursued here, each within the
    size found before. A goal toward a label has one target already, and is passed on. Costs one forward to
    rank, if the clean logits are not known.
    """

    attack: Attack[S]
    k: int = 9

    def __call__(
        self,
        access: S,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples, target after target."""
        if goal.toward:
            return self.attack(access, x, goal, noise, radius, weight, start)
        targets, ranking = likeliest_wrong(access, x, goal, self.k)
        out: Result | None = None
        for i, target in enumerate(targets.unbind(1)):
            pursuit = Goal(target, toward=True, truth=goal.label, confidence=goal.confidence)
            within = _no_larger(radius, out, x)
            new = self.attack(access, x, pursuit, noise.at(i), within, weight, start)
            out = new if out is None else out.merge(new, smaller(new, out))
        assert out is not None, "there is at least one wrong class"
        return dc.replace(out, forwards=out.forwards + ranking)


@dc.dataclass(frozen=True)
class CloserStarts(Generic[C]):
    """Run ``attack`` as it is, then ``n`` - 1 times from random starts, and keep each sample's smallest success.

    A start is drawn from the ball of half the size found so far (half the radius where nothing was found), so that
    every run looks closer to the input than the ones before.
    """

    attack: Attack[C]
    set: Neighborhood
    n: int

    def __call__(
        self,
        access: C,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack all samples ``n`` times."""
        out = self.attack(access, x, goal, noise, radius, weight, start)
        for i in range(1, self.n):
            within = _no_larger(radius, out, x)
            reach = torch.minimum(within, self.set.largest(x)) / 2
            reach = torch.where(reach.isfinite(), reach, 0)
            drawn = self.set.sample(x, reach, noise.at("start", i))
            new = self.attack(access, x, goal, noise.at(i), within, weight, drawn)
            out = out.merge(new, smaller(new, out))
        return out


def smaller(new: Result, old: Result) -> Tensor:
    """Which rows of ``new`` are better: success first, then the smaller size, among failures the larger value: [N]."""
    nearer = torch.where(old.met, new.size < old.size, new.value > old.value)
    return (new.met & ~old.met) | ((new.met == old.met) & nearer)


def _no_larger(radius: Tensor | None, out: Result | None, x: Tensor) -> Tensor:
    """The radius [N], or the size found where that is less."""
    limit = x.new_full((len(x),), torch.inf) if radius is None else radius
    return limit if out is None else torch.where(out.met, torch.minimum(limit, out.size), limit)
