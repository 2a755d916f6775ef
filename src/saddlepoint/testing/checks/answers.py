"""The answer is what it says it is: feasible, confirmed, counted, within its budget."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipe import Recipe
from saddlepoint.core.goal import Goal
from saddlepoint.core.result import Result, Status
from saddlepoint.sets import Neighborhood
from saddlepoint.testing.case import Case
from saddlepoint.testing.checks.demands import demand, identical, same, sound
from saddlepoint.testing.tripwire import CountingModel, OutOfMemory


def is_feasible_and_honest(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Inside ball and box, and what it says of itself is what a fresh forward says; at several radii."""
    case = Case.of(recipe, options)
    for scale in (0.3, 1.0, 3.0):
        for threat in case.threats(scale):
            sound(case.run(threat), case.x, threat, case.network, Goal(case.y))
    for threat in case.natural():
        sound(case.run(threat), case.x, threat, case.network, Goal(case.y))


def works_in_other_bounds(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Inputs in [-1, 3] with the model stated so: the same answer as in [0, 1], four times as large."""
    case = Case.of(recipe, options)
    stretched = torch.nn.Sequential(_Squeeze(), case.network)
    for threat in case.threats():
        if threat.name == "l0":
            wide, unit = threat, 1.0
        else:
            wide, unit = dc.replace(threat, radius=4 * threat.radius), 4.0
        x = 4 * case.x - 1
        model = wrap(stretched, bounds=(-1.0, 3.0))
        result = case.run(wide, model=model, x=x)
        sound(result, x, wide, model, Goal(case.y))
        demand(result.size <= unit * threat.radii(case.x) * (1 + 1e-6), f"{threat}: too large in other bounds")


class _Squeeze(torch.nn.Module):
    """[-1, 3] -> [0, 1]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(x + 1) / 4."""
        return (x + 1) / 4


def counts_are_exact(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Forwards and backwards reported for each sample are those a counting network saw."""
    case = Case.of(recipe, options)
    for batch_size in (256, 3):
        for kind in case.natural():
            counting = CountingModel(case.network, len(case.x))
            x = counting.signed(case.x)
            threat = dc.replace(kind, mask=counting.mask(x))
            result = case.run(threat, model=wrap(counting, batch_size=batch_size), x=x)
            asked, slopes = _counted(case, threat, counting, result)
            for name, told, seen in (("forwards", result.forwards, asked), ("backwards", result.backwards, slopes)):
                demand(torch.equal(told, seen), f"{kind}: {name} told {told.tolist()}, counted {seen.tolist()}")


def _counted(
    case: Case, threat: Neighborhood, counting: CountingModel, result: Result, **knobs: Any
) -> tuple[Tensor, Tensor]:
    """The forwards and backwards a counting network saw of each sample, long [N] each.

    Where an attack shows it views of its inputs, their signatures may be unreadable: then the sums must be those told,
    and what is told of each sample attacked alone what is counted then.
    """
    seen = counting.forwards.clone(), counting.backwards.clone()
    told = result.forwards, result.backwards
    if all(map(torch.equal, told, seen)) or [int(t.sum()) for t in told] != [int(s.sum()) for s in seen]:
        return seen
    x = counting.signed(case.x)
    for i in range(len(x)):
        one = CountingModel(case.network, len(x))
        alone = case.run(threat, model=one, x=x[i : i + 1], y=case.y[i : i + 1], ids=torch.tensor([i]), **knobs)
        pairs = ((alone.forwards, one.forwards.sum()), (alone.backwards, one.backwards.sum()))
        demand(all(int(told) == int(counts) for told, counts in pairs), f"{threat}: sample {i} alone told {pairs}")
    return told


def budgets_are_kept(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """No sample is asked about more often than its budget allows, and a budget that is not reached changes nothing."""
    case = Case.of(recipe, options)
    for kind in case.natural():
        for budget in (3, 7, 20):
            counting = CountingModel(case.network, len(case.x))
            x = counting.signed(case.x)
            threat = dc.replace(kind, mask=counting.mask(x))
            result = case.run(threat, model=counting, x=x, budget=budget)
            seen, slopes = _counted(case, threat, counting, result, budget=budget)
            demand(seen <= budget, f"{kind}: asked {seen.tolist()} times with a budget of {budget}")
            told = result.forwards
            demand(torch.equal(told, seen), f"{kind}: told {told.tolist()}, asked {seen.tolist()}")
            demand(torch.equal(result.backwards, slopes), f"{kind}: told {result.backwards} backwards, not {slopes}")
            sound(result, x, threat, counting, Goal(case.y))
        identical(case.run(kind), case.run(kind, budget=10**6), f"{kind}: with a budget that is never reached")


def stops_when_out_of_budget(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """With the smallest budget of all (clean, one try, confirm) the status says why an attack failed."""
    case = Case.of(recipe, options)
    for threat in case.threats(0.01):
        full, cut = case.run(threat), case.run(threat, budget=3)
        short = (full.forwards > 3) & ~cut.met
        demand(cut.status[short] == Status.OUT_OF_BUDGET, f"{threat}: {cut.status.tolist()} with a budget of 3")
        demand(full.status != Status.OUT_OF_BUDGET, f"{threat}: out of budget without one")


def survives_running_out_of_memory(recipe: Recipe, options: Mapping[str, Any] | None = None) -> None:
    """Where a batch does not fit, it is halved; the answer is the same."""
    case = Case.of(recipe, options)
    for threat in case.natural():
        plain = case.run(threat)
        same(plain, case.run(threat, model=OutOfMemory(case.network, 3)), f"{threat}: with room for 3 samples")
