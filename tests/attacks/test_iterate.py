from __future__ import annotations

import dataclasses as dc
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import GradientAccess, ScoreAccess, wrap
from saddlepoint.attacks import Iterate
from saddlepoint.attacks.iterate import need_radius
from saddlepoint.core import Problem, Result, Status, Trial, best_value, look, look_at_labels, smallest, untargeted
from saddlepoint.core.trial import Order
from saddlepoint.errors import ModelError, ThreatError
from saddlepoint.initializers import zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import Linf
from saddlepoint.testing.tripwire import CountingModel, OutOfMemory


class Threshold(nn.Module):
    """Inputs [N, 1] of 1/2 + δ: the margin away from class 0 is δ - 0.3."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x), x - 0.8], 1)


@dc.dataclass(frozen=True)
class ScriptState:
    script: Tensor
    t: int


@dc.dataclass(frozen=True)
class Script:
    """Looks at ``script[i, t]`` for sample i at step t, whatever it sees."""

    script: Tensor

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> ScriptState:
        return ScriptState(self.script[problem.access.rows], 0)

    def step(self, problem: Problem[ScoreAccess], state: ScriptState) -> tuple[ScriptState, Trial]:
        return ScriptState(state.script, state.t + 1), self.finish(problem, state)

    def finish(self, problem: Problem[ScoreAccess], state: ScriptState) -> Trial:
        return look(problem, state.script[:, state.t, None])


def run(
    script: list[list[float]],
    *,
    network: nn.Module | None = None,
    steps: int | None = None,
    order: Order = best_value,
    stop_when_met: bool = True,
    compact_below: float = 0.75,
    radius: float = 0.45,
    batch_size: int = 256,
    budget: int | None = None,
) -> Result:
    deltas = torch.tensor(script, dtype=torch.float64)
    n = len(deltas)
    x = torch.full((n, 1), 0.5, dtype=torch.float64)
    access = wrap(network or Threshold(), batch_size=batch_size, output="logits").access(n, budget)
    attack: Iterate[ScoreAccess] = Iterate(
        Linf(),
        margin,
        Script(deltas),
        zero,
        deltas.shape[1] - 1 if steps is None else steps,
        radius=radius,
        order=order,
        stop_when_met=stop_when_met,
        compact_below=compact_below,
    )
    assert isinstance(access, GradientAccess)
    return attack(access, x, untargeted(torch.zeros(n, dtype=torch.long)), Noise.seeded(0, torch.arange(n)))


def test_looks_once_in_each_step_and_once_at_the_end() -> None:
    result = run([[0.1, 0.1, 0.1, 0.1]])
    assert result.forwards.tolist() == [4]
    assert run([[0.1, 0.1]], steps=0).forwards.tolist() == [1]


def test_keeps_the_best_not_the_last_and_says_when_it_was_found() -> None:
    result = run([[0.1, 0.25, 0.2, -0.3], [0.0, 0.1, 0.2, 0.25]])
    assert result.delta.flatten().tolist() == [0.25, 0.25]
    assert result.steps.tolist() == [1, 3]
    assert result.value.tolist() == pytest.approx([-0.05, -0.05])
    assert not result.met.any()
    assert result.status.tolist() == [Status.HELD, Status.HELD]


def test_of_equals_the_first_is_kept() -> None:
    assert run([[0.1, 0.2, 0.2, 0.2]]).steps.tolist() == [1]


def test_stops_each_sample_at_its_first_success() -> None:
    result = run([[0.1, 0.35, 0.44, 0.2], [0.31, 0.4, 0.4, 0.4], [0.1, 0.1, 0.1, 0.1]], compact_below=1.0)
    assert result.delta.flatten().tolist() == [0.35, 0.31, 0.1]
    assert result.steps.tolist() == [1, 0, 0]
    assert result.forwards.tolist() == [2, 1, 4]
    assert result.status.tolist() == [Status.FOOLED, Status.FOOLED, Status.HELD]


def test_the_first_success_stays_even_where_finished_samples_are_not_dropped() -> None:
    result = run([[0.31, 0.44, 0.44], [0.0, 0.0, 0.0]], compact_below=0.0)
    assert result.delta.flatten().tolist() == [0.31, 0.0]
    assert result.forwards.tolist() == [3, 3]


def test_finished_samples_are_dropped_when_few_enough_are_left() -> None:
    """A few of them may be asked along, where that makes the size of the batch a round one."""
    script = [[0.4] * 4] * 40 + [[0.0] * 4] * 24
    dropped = run(script, compact_below=0.75).forwards
    assert (dropped[:40] == 1).sum() >= 25
    assert (dropped[40:] == 4).all()
    assert (run(script, compact_below=0.3).forwards == 4).all()


def test_finished_samples_can_be_dropped_at_once() -> None:
    script = [[0.4] * 4, [0.0, 0.4, 0.4, 0.4], [0.0] * 4, [0.0] * 4]
    assert run(script, compact_below=1.0).forwards.tolist() == [1, 2, 4, 4]


def test_ends_when_all_are_finished() -> None:
    assert run([[0.4, 0.0, 0.0], [0.1, 0.4, 0.0]], compact_below=0.0).forwards.tolist() == [2, 2]


def test_goes_on_for_the_smallest_when_told_to() -> None:
    result = run([[0.44, 0.33, 0.2, 0.4], [0.1, 0.2, 0.1, 0.0]], order=smallest, stop_when_met=False)
    assert result.delta.flatten().tolist() == [0.33, 0.2]
    assert result.steps.tolist() == [1, 1]
    assert result.forwards.tolist() == [4, 4]


def test_a_trial_outside_the_ball_counts_for_nothing() -> None:
    result = run([[0.1, 0.44, 0.2, 0.0]], radius=0.3)
    assert result.delta.item() == 0.2
    assert result.steps.tolist() == [2]
    only_outside = run([[0.44, 0.4, 0.44, 0.4]], radius=0.3)
    assert only_outside.delta.item() == 0
    assert not only_outside.met.any()


def test_radii_of_the_call_win_over_the_attacks_own() -> None:
    deltas = torch.tensor([[0.2, 0.44]] * 3, dtype=torch.float64)
    attack: Iterate[ScoreAccess] = Iterate(Linf(), margin, Script(deltas), zero, 1, radius=0.1)
    x, goal = torch.full((3, 1), 0.5, dtype=torch.float64), untargeted(torch.zeros(3, dtype=torch.long))
    radius = torch.tensor([0.1, 0.3, 0.45], dtype=torch.float64)
    access = wrap(Threshold(), output="logits").access(3)
    assert isinstance(access, ScoreAccess)
    result = attack(access, x, goal, Noise.seeded(0, torch.arange(3)), radius)
    assert result.delta.flatten().tolist() == [0.0, 0.2, 0.44]


def test_a_given_start_is_projected_and_takes_the_place_of_the_initializer() -> None:
    seen: list[Tensor] = []

    @dc.dataclass(frozen=True)
    class Stay(Script):
        def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> ScriptState:
            seen.append(delta)
            return super().init(problem, delta)

    deltas = torch.zeros(2, 2, dtype=torch.float64)
    attack: Iterate[ScoreAccess] = Iterate(Linf(), margin, Stay(deltas), zero, 1, radius=0.2)
    x, goal = torch.full((2, 1), 0.5, dtype=torch.float64), untargeted(torch.zeros(2, dtype=torch.long))
    access = wrap(Threshold(), output="logits").access(2)
    assert isinstance(access, ScoreAccess)
    start = torch.tensor([[0.1], [0.9]], dtype=torch.float64)
    attack(access, x, goal, Noise.seeded(0, torch.arange(2)), start=start)
    assert seen[0].flatten().tolist() == [0.1, 0.2]


def test_batches_are_of_the_asked_size_and_change_nothing() -> None:
    script = [[0.01 * i, 0.02 * i, 0.05 * i] for i in range(7)]
    whole, parts = run(script), run(script, batch_size=3)
    assert torch.equal(whole.delta, parts.delta)
    assert torch.equal(whole.steps, parts.steps)


def test_out_of_memory_halves_the_batch_for_good_and_goes_on() -> None:
    script = [[0.01 * i, 0.02 * i, 0.05 * i] for i in range(9)]
    small = OutOfMemory(Threshold(), 2)
    result = run(script, network=small)
    assert torch.equal(result.delta, run(script).delta)
    assert small.largest == 2
    assert result.forwards.tolist() == run(script, batch_size=2).forwards.tolist()


def test_running_out_of_memory_costs_nothing_of_the_budget() -> None:
    script = [[0.01 * i, 0.02 * i, 0.05 * i] for i in range(9)]
    result = run(script, network=OutOfMemory(Threshold(), 2), budget=3)
    assert not (result.status == Status.OUT_OF_BUDGET).any()


def test_out_of_memory_with_one_sample_is_an_error_that_keeps_its_cause() -> None:
    with pytest.raises(ModelError, match="out of memory with a single sample") as error:
        run([[0.1, 0.1]], network=OutOfMemory(Threshold(), 0))
    assert "CUDA out of memory" in str(error.value.__cause__)


def test_other_errors_come_through() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run([[0.1, 0.1]], network=Broken())


def test_a_spent_budget_ends_a_sample_with_what_it_has() -> None:
    counting = CountingModel(Threshold())
    result = run([[0.1, 0.2, 0.44], [0.4, 0.0, 0.0]], network=counting, budget=2)
    assert result.status.tolist() == [Status.OUT_OF_BUDGET, Status.FOOLED]
    assert result.delta.flatten().tolist() == [0.2, 0.4]
    assert result.forwards.tolist() == [2, 1] or result.forwards.tolist() == [2, 2]
    assert int(counting.forwards) == int(result.forwards.sum())


def test_an_unanswered_question_is_no_progress() -> None:
    """Where only labels are asked, a smaller size counts as nearer: but not at a point nobody looked at."""

    @dc.dataclass(frozen=True)
    class Labels(Script):
        def finish(self, problem: Problem[Any], state: ScriptState) -> Trial:
            return look_at_labels(problem, state.script[:, state.t, None])

    deltas = torch.tensor([[-0.4, 0.1, 0.05]], dtype=torch.float64)
    attack: Iterate[ScoreAccess] = Iterate(Linf(), margin, Labels(deltas), zero, 2, radius=0.45, order=smallest)
    x, goal = torch.full((1, 1), 0.5, dtype=torch.float64), untargeted(torch.zeros(1, dtype=torch.long))
    for budget, kept in ((1, -0.4), (2, 0.1), (3, 0.05)):
        access = wrap(Threshold(), output="logits").access(1, budget)
        assert isinstance(access, ScoreAccess)
        result = attack(access, x, goal, Noise.seeded(0, torch.arange(1)))
        assert result.delta.item() == kept


def test_attacks_at_a_fixed_radius_refuse_a_set_without_one() -> None:
    need_radius(Linf(0.1), "pgd")
    with pytest.raises(ThreatError, match=r"pgd needs a radius.*linf:inf has none"):
        need_radius(Linf(), "pgd")
