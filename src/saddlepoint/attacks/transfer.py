"""Craft on one model, try on another."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, LabelAccess
from saddlepoint.access.model import Model
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.cascade import Cascade
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.relay import Relay
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.noise import Noise


@dc.dataclass(frozen=True)
class Transferred:
    """What ``attack`` finds on the ``surrogate``, tried once on the model that is asked: one forward for each sample.

    Attacks of steps, also in a cascade, go on after they fooled the surrogate: what fools it by far is likelier to fool
    another model.
    The surrogate's passes are not counted. Source: Papernot, McDaniel, Goodfellow, "Transferability in machine
    learning", 2016.
    """

    set: PerturbationSet
    attack: Attack[GradientAccess]
    surrogate: Model

    def __call__(
        self,
        access: LabelAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        """Attack the surrogate, then ask about what came back."""
        ledger, rows = access.ledger, access.rows
        before = ledger.forwards[rows].clone()
        found = crafted(self.attack, self.surrogate, x, goal, noise, radius, weight=weight, start=start)
        x_adv = self.set.apply(x, found.delta)
        labels = torch.cat(list(in_batches(lambda some: access.view(some).labels(x_adv[some]), access, len(x))))
        asked = ledger.forwards[rows] - before
        return dc.replace(found, met=goal.met(labels), forwards=asked, backwards=torch.zeros_like(asked))


def crafted(
    attack: Attack[GradientAccess],
    surrogate: Model,
    x: Tensor,
    goal: Goal,
    noise: Noise,
    radius: Tensor | None,
    seed: int = 0,
    weight: Tensor | None = None,
    start: Tensor | None = None,
) -> Result:
    """What ``attack`` finds on the ``surrogate`` when it goes on after it fooled it."""
    with surrogate.quiet(seed):
        clean = None if goal.confidence else ask_clean(surrogate, x)  # a confidence is in the surrogate's own logits
        own = surrogate.access(len(x), None, clean, x.device)
        return _going_on(attack)(own.lower(GradientAccess), x, goal, noise, radius, weight, start)


def _going_on(attack: Attack[GradientAccess]) -> Attack[GradientAccess]:
    """The attack without a stop at the first success."""
    if isinstance(attack, Cascade | Anneal | Relay):
        return dc.replace(attack, attacks=[_going_on(one) for one in attack.attacks])
    return dc.replace(attack, stop_when_met=False) if isinstance(attack, Iterate) else attack
