"""What an attack gives back: one row per sample, in the order given."""

from __future__ import annotations

import dataclasses as dc
import enum

import torch

from saddlepoint.rows import take, where
from saddlepoint.shapes import Counts, Delta, Flags, Inputs, PerSample, Rows


class Status(enum.IntEnum):
    """How it ended for one sample."""

    HELD = 0  # the goal was not met
    FOOLED = 1  # the goal was met, and a fresh forward confirmed it
    CLEAN = 2  # the goal is met by the unperturbed input already, or by what the set makes of it unperturbed
    OUT_OF_BUDGET = 3  # not met when the budget of queries ran out
    UNCONFIRMED = 4  # the attack saw the goal met, a fresh forward on the returned input did not


@dc.dataclass(frozen=True)
class Result:
    """Attributes, N samples each:

    - ``x_adv`` [N, *D]: the perturbed inputs; the best found, also where the goal was not met
    - ``delta`` [N, *P]: the perturbations; ``size`` [N]: their size in the set's own measure
    - ``value`` [N]: the objective at ``x_adv``; ``met`` (bool [N]): whether the goal is met
    - ``forwards``, ``backwards`` (long [N]): how often the model was asked, and differentiated, for this sample
    - ``steps`` (long [N]): the step at which ``x_adv`` was found
    - ``status`` (int8 [N]): a ``Status``
    """

    x_adv: Inputs
    delta: Delta
    value: PerSample
    met: Flags
    size: PerSample
    forwards: Counts
    backwards: Counts
    steps: Counts
    status: Counts

    def __len__(self) -> int:
        return len(self.met)

    @property
    def queries(self) -> Counts:
        """Forwards: what a black box charges for, long [N]."""
        return self.forwards

    @property
    def success_rate(self) -> float:
        """The share of all N samples for which the goal is met, those met without any perturbation included."""
        return float(self.met.double().mean()) if len(self) else float("nan")

    def rows(self, keep: Rows) -> Result:
        """The samples ``keep`` (long [n]) alone."""
        return take(self, keep)

    def merge(self, other: Result, better: Flags) -> Result:
        """Rows of ``other`` where ``better`` (bool [N]), else of this; the queries of both are added up."""
        forwards, backwards = self.forwards + other.forwards, self.backwards + other.backwards
        return dc.replace(where(better, other, self), forwards=forwards, backwards=backwards)


def concatenate(parts: list[Result]) -> Result:
    """Results of consecutive samples as one."""
    names = [f.name for f in dc.fields(Result)]
    return Result(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})
