"""Attack toward each of the most likely wrong classes in turn."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.batches import clean_scores
from saddlepoint.attacks.cascade import Stage, survivors
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal, without
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise

S = TypeVar("S", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class EachTarget(Generic[S]):
    """For the goal of leaving y: pursue the ``k`` classes with the largest clean logits, the most likely one first.

    Every pursuit succeeds as soon as y is left, whatever class is reached. ``k`` is cut to the number of wrong
    classes. A goal toward a label has one target already, and is passed on as it is. Costs one forward to rank the
    classes, if the clean logits are not known. Where all pursuits together fill no more than half a batch they run side
    by side in one, unless every question counts: the answers are the same, only faster. Source: Gowal et al. 2019.
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
        before = access.ledger.forwards[access.rows].clone()
        targets = likeliest_wrong(access, x, goal, self.k)
        ranking = access.ledger.forwards[access.rows] - before

        if 2 * targets.numel() <= access.ledger.batch_size and access.ledger.budget is None:
            result = self._side_by_side(access, x, goal, noise, targets, (radius, weight, start))
            return dc.replace(result, forwards=result.forwards + ranking)

        def stage(index: int) -> Stage:
            def run(keep: Tensor, best: Result | None) -> Result:
                knobs = [None if knob is None else knob[keep] for knob in (radius, weight, start)]
                attack = narrowed(self.attack, keep)
                pursuit = _pursuit(goal, keep, targets[keep, index])
                return attack(access.view(keep), x[keep], pursuit, noise.rows(keep).at(index), *knobs)

            return run

        result = survivors([stage(i) for i in range(targets.shape[1])], len(x), x.device)
        return dc.replace(result, forwards=result.forwards + ranking)

    def _side_by_side(
        self, access: S, x: Tensor, goal: Goal, noise: Noise, targets: Tensor, given: tuple[Tensor | None, ...]
    ) -> Result:
        """Every sample k times in one batch, target after target; of its successes the first counts."""
        n, k = targets.shape
        keep = torch.arange(n, device=x.device).repeat(k)
        streams = Noise(torch.cat([noise.at(index).keys for index in range(k)]))
        knobs = [None if knob is None else knob[keep] for knob in given]
        books, rows = (access.ledger.forwards, access.ledger.backwards), access.rows
        before = [book[rows] for book in books]
        pursuit = _pursuit(goal, keep, targets.t().flatten())
        found = narrowed(self.attack, keep)(access.view(keep), x[keep], pursuit, streams, *knobs)
        asked, sloped = (book[rows] - was for book, was in zip(books, before, strict=True))

        def stage(index: int) -> Stage:
            return lambda live, best: found.rows(live + index * n)

        result = survivors([stage(index) for index in range(k)], n, x.device)
        return dc.replace(result, forwards=asked, backwards=sloped)


def _pursuit(goal: Goal, keep: Tensor, targets: Tensor) -> Goal:
    """Toward ``targets`` (long [n]) for the samples ``keep``, and met as soon as their label is left."""
    return Goal(targets, toward=True, truth=goal.label[keep], confidence=goal.confidence)


def likeliest_wrong(access: ScoreAccess, x: Tensor, goal: Goal, k: int) -> Tensor:
    """The ``k`` wrong classes with the largest clean logits, fewer where there are fewer: long [N, <=k]."""
    wrong = without(clean_scores(access, x), goal.label)
    return wrong.topk(min(k, wrong.shape[1] - 1), 1).indices
