"""The length of a slope, remembered: of a linear value, when it is asked for, and what it costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.access.model import Model
from saddlepoint.auditing.estimate import passes
from saddlepoint.core import Problem, untargeted
from saddlepoint.errors import OptionError
from saddlepoint.gradients import Biased, Measured, PriorGuided
from saddlepoint.noise import Noise
from saddlepoint.optimizers import Ascent, Remembering
from saddlepoint.optimizers.remembering import RememberingState
from saddlepoint.optimizers.schedules import constant

SHAPE, D, N = (1, 20, 20), 400, 300
DRAWS, PROBES = 7, 10
W = torch.linspace(-1.0, 40.0, D, dtype=torch.float64).sin().view(SHAPE)
ACROSS = torch.linspace(0.0, 90.0, D, dtype=torch.float64).cos().view(SHAPE)
ACROSS = ACROSS - (ACROSS * W).sum() / W.square().sum() * W


def along(cosine: float) -> Model:
    """A linear model whose slope has that cosine with W."""
    slope = cosine * W / W.norm() + (1 - cosine**2) ** 0.5 * ACROSS / ACROSS.norm()
    return sp.wrap(lambda x: logits(x, slope), output="logits")


def logits(x: Tensor, slope: Tensor = W) -> Tensor:
    value = (x * slope).flatten(1).sum(1)
    return torch.stack([torch.full_like(value, 1e3), value], 1)


def second(logits: Tensor, goal: object) -> Tensor:
    """The value is the second logit; it never leads."""
    return logits[..., 1]


def problem(budget: int | None = None) -> Problem[ScoreAccess]:
    access = sp.wrap(logits, output="logits", access="scores").access(N, budget)
    assert isinstance(access, ScoreAccess)
    x, radii = torch.full((N, *SHAPE), 0.5, dtype=torch.float64), torch.full((N,), 0.1, dtype=torch.float64)
    y = torch.zeros(N, dtype=torch.long)
    return Problem(access, x, untargeted(y), sp.Linf(), second, Noise.seeded(0, torch.arange(N)), radii, radii)


Climb = Remembering[ScoreAccess]
RATE = constant(0.1)


def guided(cosine: float) -> PriorGuided:
    return PriorGuided(along(cosine), Biased(DRAWS), probes=PROBES)


def climb(cosine: float) -> Climb:
    return Remembering(Measured(guided(cosine)), lambda slope: Ascent(slope, RATE))


def states(task: Problem[ScoreAccess], optimizer: Climb, steps: int) -> list[tuple[RememberingState, Tensor]]:
    """The state after each step, and what was asked until then."""
    state, seen = optimizer.init(task, torch.zeros_like(task.x)), []
    for t in range(steps):
        state, _ = optimizer.step(task.at(t), state)
        seen.append((state, task.access.ledger.forwards.clone()))
    return seen


def test_the_length_of_a_linear_slope_is_found_within_the_error_of_its_probes() -> None:
    """|cos|² with a random direction is 1/d on average, with a variance of 2/d²: 300 samples of ten probes each."""
    length = states(problem(), climb(0.05), 1)[0][0].memory.length
    ratio = (length / W.norm()).square()
    assert abs(float(ratio.mean()) - 1) < 4 * (2 / PROBES / N) ** 0.5
    assert 0.8 < float(ratio.std()) / (2 / PROBES) ** 0.5 < 1.2


def test_the_length_is_measured_at_few_steps_and_remembered_between() -> None:
    seen = states(problem(), climb(0.05), 24)
    lengths = [torch.zeros(N, dtype=torch.float64), *(state.memory.length for state, _ in seen)]
    changed = [t for t in range(24) if not torch.equal(lengths[t], lengths[t + 1])]
    assert changed == [0, 3, 10, 20]


def test_probes_are_asked_for_at_these_steps_alone() -> None:
    totals = torch.stack(
        [torch.zeros(N, dtype=torch.long), *(asked for _, asked in states(problem(), climb(0.05), 24))]
    )
    assert [set(row.tolist()) for row in totals.diff(dim=0)] == [
        {1 + 1 + DRAWS + (PROBES if t in (0, 3, 10, 20) else 0)} for t in range(24)
    ]


def test_where_the_prior_is_the_slope_two_questions_are_a_step() -> None:
    seen = states(problem(), climb(1.0), 5)
    assert set(seen[-1][1].tolist()) == {5 * 2 + 2 * PROBES}
    torch.testing.assert_close(seen[-1][0].climb.delta, (0.05 * W.sign()).expand(N, *SHAPE))


def test_steps_are_those_of_ascent_on_the_estimate_with_that_length() -> None:
    """At the first step the one with a length of its own; at the second the one with the first one's length."""
    gradient = guided(0.1)
    (first, _), (second, _) = states(problem(), climb(0.1), 2)
    task = problem()
    alone = Ascent(gradient, RATE)
    state, _ = alone.step(task.at(0), alone.init(task, torch.zeros_like(task.x)))
    torch.testing.assert_close(first.climb.delta, state.delta)
    here = (task.x + state.delta).mul(W).flatten(1).sum(1)
    slope = gradient.estimate(task.at(1), state.delta, here, first.memory.length)
    torch.testing.assert_close(second.climb.delta, state.delta + 0.1 * 0.1 * slope.sign())


def test_a_budget_is_never_exceeded_and_an_estimate_asked_for_in_whole_or_not_at_all() -> None:
    whole = 1 + PROBES + 1 + DRAWS
    task = problem(whole - 1)
    state, asked = states(task, climb(0.05), 1)[0]
    assert set(asked.tolist()) == {1}
    assert not state.climb.delta.any()
    assert not state.memory.length.any()
    assert bool(task.access.refused.all())
    later = states(problem(whole + 2 + DRAWS + 5), climb(0.05), 3)
    assert [set(asked.tolist()) for _, asked in later] == [{whole}, {whole + 2 + DRAWS}, {whole + 3 + DRAWS}]
    assert torch.equal(later[-1][0].memory.length, later[0][0].memory.length)


def test_the_recipe_asks_what_is_estimated_of_it() -> None:
    made = sp.attacks.get("p_rgf").attack(sp.Linf(0.1), surrogate=along(0.05), steps=12, samples=DRAWS)
    task = problem()
    found = made(task.access, task.x, task.goal, task.noise)
    assert passes(made, classes=2) == 12 * (2 + DRAWS) + 3 * PROBES + 2
    assert set(found.forwards.tolist()) == {12 * (2 + DRAWS) + 3 * PROBES + 1}


def test_joined_asks_one_question_more_a_step() -> None:
    told = {"surrogate": along(0.05), "steps": 12, "samples": DRAWS, "mix": "joined"}
    made = sp.attacks.get("p_rgf").attack(sp.Linf(0.1), **told)
    task = problem()
    found = made(task.access, task.x, task.goal, task.noise, task.radius)
    assert set(found.forwards.tolist()) == {12 * (3 + DRAWS) + 3 * PROBES + 1}
    with pytest.raises(OptionError, match="mix is one of biased, joined; got 'averaged'"):
        sp.attacks.get("p_rgf").attack(sp.Linf(0.1), mix="averaged")
