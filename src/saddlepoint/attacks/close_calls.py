"""First a short look at everyone, then the effort goes to those who came close."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.attacks.batches import clean_scores, in_batches
from saddlepoint.attacks.cascade import Stage, survivors
from saddlepoint.attacks.narrow import narrowed
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise

S = TypeVar("S", bound=ScoreAccess)


@dc.dataclass(frozen=True)
class Round(Generic[S]):
    """An attack, and whom it is for: those whose best margin is within ``share`` of the clean one; 1 is everyone.

    ``tells``: the values of its results are margins already, because it climbs the margin.
    """

    attack: Attack[S]
    share: float = 1.0
    tells: bool = False


@dc.dataclass(frozen=True)
class CloseCalls(Generic[S]):
    """Each round runs over the whole data set, over what still stands and came as close as the round asks.

    A sample whose margin was brought from m to a · m, a > share, is given up: what short runs leave far from the
    boundary, long ones hardly ever bring across. The share is a ratio, so it does not depend on the scale of logits;
    whether a sample is given up depends on nothing but itself. Costs one forward for each sample and round that does
    not tell, to see the margin: the values of the results; and one to begin with, if the clean logits are not known.
    """

    set: PerturbationSet
    rounds: Sequence[Round[S]]

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
        """Attack all samples, round after round."""
        ledger, rows = access.ledger, access.rows
        forwards, backwards = ledger.forwards[rows].clone(), ledger.backwards[rows].clone()
        clean = goal.margin(clean_scores(access, x))

        def stage(index: int, one: Round[S]) -> Stage:
            def run(keep: Tensor, best: Result | None) -> Result:
                knobs = [None if knob is None else knob[keep] for knob in (radius, weight, start)]
                own, inputs, own_goal = access.view(keep), x[keep], goal.rows(keep)
                found = narrowed(one.attack, keep)(own, inputs, own_goal, noise.rows(keep).at(index), *knobs)
                if one.tells:
                    return found
                margins = _margins(own, narrowed(self.set, keep).apply(inputs, found.delta), own_goal)
                return dc.replace(found, value=torch.where(margins.isfinite(), margins, found.value))

            return run

        def close(index: int, best: Result) -> Tensor:
            return best.value >= self.rounds[index].share * clean

        stages = [stage(i, one) for i, one in enumerate(self.rounds)]
        result = survivors(stages, len(x), x.device, close)
        asked, sloped = ledger.forwards[rows] - forwards, ledger.backwards[rows] - backwards
        return dc.replace(result, forwards=asked, backwards=sloped)


def _margins(access: ScoreAccess, x: Tensor, goal: Goal) -> Tensor:
    """The margin at each of the inputs x [N, *D]: [N], NaN where the budget forbids to ask."""

    def some(rows: Tensor) -> Tensor:
        return goal.rows(rows).margin(access.view(rows).scores(x[rows]))

    return torch.cat(list(in_batches(some, access, len(x))))
