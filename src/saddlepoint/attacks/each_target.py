"""Attack toward each of the most likely wrong classes in turn."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

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
    classes, if the clean logits are not known. Source: Gowal et al. 2019.
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

        def stage(index: int) -> Stage:
            def run(keep: Tensor, best: Result | None) -> Result:
                pursuit = Goal(targets[keep, index], toward=True, truth=goal.label[keep], confidence=goal.confidence)
                knobs = [None if knob is None else knob[keep] for knob in (radius, weight, start)]
                attack = narrowed(self.attack, keep)
                return attack(access.view(keep), x[keep], pursuit, noise.rows(keep).at(index), *knobs)

            return run

        result = survivors([stage(i) for i in range(targets.shape[1])], len(x), x.device)
        return dc.replace(result, forwards=result.forwards + ranking)


def likeliest_wrong(access: ScoreAccess, x: Tensor, goal: Goal, k: int) -> tuple[Tensor, Tensor]:
    """The ``k`` wrong classes with the largest clean logits, fewer where there are fewer: long [N, <=k].

    And the forwards that this took, none where the clean logits are known: long [N].
    """
    before = access.ledger.forwards[access.rows].clone()
    wrong = without(clean_scores(access, x), goal.label)
    return wrong.topk(min(k, wrong.shape[1] - 1), 1).indices, access.ledger.forwards[access.rows] - before
