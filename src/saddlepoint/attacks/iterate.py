"""The one loop under every attack: start, step, keep the best, drop the finished."""

from __future__ import annotations

import dataclasses as dc
from typing import Generic, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.attacks.batches import in_batches
from saddlepoint.attacks.batches import out_of_memory as out_of_memory
from saddlepoint.core.goal import Goal
from saddlepoint.core.problem import Objective, Penalty, PerturbationSet, Problem
from saddlepoint.core.protocols import Initializer, Optimizer
from saddlepoint.core.result import Result, Status, concatenate
from saddlepoint.core.trial import Order, Trial, best_value
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import put, take, where

C = TypeVar("C", bound=LabelAccess)
COMPACT_BELOW = 0.75
"""The batch is narrowed to its unfinished samples when less than this share of it is unfinished."""


SIZES = 16
"""Narrowed batches of more than this are a multiple of it, where there are samples enough."""


@dc.dataclass(frozen=True)
class Kept:
    """The best trial of each sample so far, and the step it was found at (long [N])."""

    trial: Trial
    step: Tensor


@dc.dataclass(frozen=True)
class Iterate(Generic[C]):
    """maximize the problem's value over the set, by ``steps`` steps of ``optimizer`` from ``initializer``.

    ``order`` says which of two trials is better; with ``stop_when_met`` a sample is finished at its first success.
    ``radius`` and ``weight`` are the attack's own, unless the call brings others. Finished samples are dropped from
    the batch when their share is large (``compact_below``; 0 never drops): the answers are the same, only faster.
    """

    set: PerturbationSet
    objective: Objective
    optimizer: Optimizer[C]
    initializer: Initializer[C]
    steps: int
    radius: float = torch.inf
    weight: float = 0.0
    penalty: Penalty | None = None
    order: Order = best_value
    stop_when_met: bool = True
    compact_below: float = COMPACT_BELOW

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
        """Attack all samples, in batches that fit."""
        problem = Problem(
            access,
            x,
            goal,
            self.set,
            self.objective,
            noise,
            x.new_full((len(x),), self.radius) if radius is None else radius,
            x.new_full((len(x),), self.weight) if weight is None else weight,
            self.penalty,
            self.stop_when_met,
        )

        def run(rows: Tensor) -> Result:
            return self._run(problem.rows(rows), None if start is None else start[rows])

        return concatenate(list(in_batches(run, access, len(x))))

    def _run(self, problem: Problem[C], start: Tensor | None) -> Result:
        ledger, rows = problem.access.ledger, problem.access.rows
        forwards, backwards = ledger.forwards[rows].clone(), ledger.backwards[rows].clone()
        kept = self._loop(problem, self._start(problem, start))
        best, refused = kept.trial, problem.access.refused
        status = torch.where(best.met, int(Status.FOOLED), torch.where(refused, int(Status.OUT_OF_BUDGET), 0))
        return Result(
            x_adv=problem.set.apply(problem.x, best.delta).detach(),
            delta=best.delta,
            value=best.value,
            met=best.met,
            size=problem.set.size(problem.x, best.delta),
            forwards=ledger.forwards[rows] - forwards,
            backwards=ledger.backwards[rows] - backwards,
            steps=kept.step,
            status=status.to(torch.int8),
        )

    def _start(self, problem: Problem[C], start: Tensor | None) -> Tensor:
        if start is not None:
            return problem.set.project(problem.x, start, problem.radius)
        return self.initializer(problem.at("start"))

    def _loop(self, problem: Problem[C], delta: Tensor) -> Kept:
        state = self.optimizer.init(problem.at("init"), delta)
        kept = everyone = _nothing(problem)
        live = torch.arange(len(delta), device=delta.device)
        for t in range(self.steps):
            state, trial = self.optimizer.step(problem.at(t), state)
            kept = self._keep(problem, kept, trial, t)
            if self.compact_below < 1 and not _time_to_check(t, delta.device):
                continue
            going = ~self._finished(problem, kept)
            share = float(going.double().mean())
            if share == 0:
                break
            if share < self.compact_below:
                everyone, keep = put(everyone, live, kept), self._going_on(going)
                live, problem, state, kept = live[keep], problem.rows(keep), take(state, keep), take(kept, keep)
        else:
            trial = self.optimizer.finish(problem.at(self.steps), state)
            kept = self._keep(problem, kept, trial, self.steps)
        return put(everyone, live, kept)

    def _keep(self, problem: Problem[C], kept: Kept, trial: Trial, t: int) -> Kept:
        """The better of what was kept and what was just seen; a trial outside the ball counts for nothing."""
        better = self.order(trial, kept.trial) & problem.within(trial.size)
        if self.stop_when_met:
            better &= ~kept.trial.met
        if problem.access.ledger.budget is not None:
            better &= ~problem.access.refused | trial.met
        return where(better, Kept(trial, torch.full_like(kept.step, t)), kept)

    def _going_on(self, going: Tensor) -> Tensor:
        """The rows of the narrowed batch: the unfinished, and up to 15 others, so that batches come in few sizes.

        A backend keeps buffers and plans for each size of batch it has seen: without this, memory grows with the data.
        Where every question counts (``compact_below`` 1) nobody is asked along.
        """
        idle = (~going).nonzero().squeeze(1)
        left = len(going) - len(idle)
        spare = -left % SIZES if self.compact_below < 1 and left > SIZES else 0
        return going.index_fill(0, idle[:spare], True).nonzero().squeeze(1)

    def _finished(self, problem: Problem[C], kept: Kept) -> Tensor:
        finished = kept.trial.met if self.stop_when_met else torch.zeros_like(kept.trial.met)
        return finished if problem.access.ledger.budget is None else finished | problem.access.refused


def _time_to_check(t: int, device: torch.device) -> bool:
    """Counting the unfinished waits for the device: at every step where that is free, at every eighth elsewhere."""
    return device.type == "cpu" or t % 8 == 7


def _nothing(problem: Problem[C]) -> Kept:
    """Worse than anything: no perturbation, as if nothing was seen. What was never asked about is not to be claimed."""
    delta = problem.set.zero(problem.x)
    low = torch.full_like(problem.radius, -torch.inf)
    no = torch.zeros_like(low, dtype=torch.bool)
    return Kept(Trial(delta, low, no, torch.full_like(low, torch.inf)), torch.zeros_like(no, dtype=torch.long))


def need_radius(threat: PerturbationSet, attack: str) -> None:
    """Refuse a set without a finite radius: a fixed-radius attack needs one."""
    radius = getattr(threat, "radius", torch.inf)
    if not bool(torch.as_tensor(radius).isfinite().all()):
        raise ThreatError(f"{attack} needs a radius, for instance sp.Linf(8/255); {threat} has none")
