"""NES end to end: nearly what exact slopes reach, counts, budgets."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import OptionError
from saddlepoint.testing import CountingModel, LinearClassifier, ScoresOnly

THREATS = [sp.Linf(), sp.L2()]


def linear(n: int, classes: int = 4) -> tuple[LinearClassifier, Tensor, Tensor]:
    model = LinearClassifier.random(classes, (1, 6, 6), seed=1)
    x = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


@pytest.mark.parametrize("objective", ["cross-entropy", "margin"])
@pytest.mark.parametrize("threat", THREATS)
def test_comes_near_the_optimum_of_a_linear_model(threat: sp.Linf, objective: str) -> None:
    """At 1.1 times the smallest radius, two classes: 30 steps of 25 pairs."""
    model, x, y = linear(24, classes=2)
    ample = type(threat)(1.1 * model.closest_in_box(x, y, threat))
    result = sp.attacks.nes(ScoresOnly(model), x, y, ample, steps=30, objective=objective)
    assert result.success_rate > 0.95


def test_below_the_smallest_radius_nothing_is_found() -> None:
    model, x, y = linear(12)
    result = sp.attacks.nes(model, x, y, sp.Linf(0.98 * model.closest_in_box(x, y, sp.Linf())), steps=10)
    assert not bool(result.met.any())


def test_reaches_targets() -> None:
    model, x, y = linear(12)
    target = (y + 1) % 4
    result = sp.attacks.nes(model, x, sp.targeted(target), sp.Linf(0.25), steps=25)
    assert result.success_rate > 0.9
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1) == target, result.met)


@pytest.mark.parametrize("pairs", [1, 6])
def test_counts_are_those_of_a_counting_model(pairs: int) -> None:
    model, x, y = linear(8)
    counting = CountingModel(model)
    result = sp.attacks.nes(counting, x, y, sp.Linf(1e-4), steps=4, pairs=pairs)
    assert result.forwards.tolist() == [1 + 4 * (2 * pairs + 1) + 1 + 1] * 8
    assert counting.forwards == int(result.forwards.sum())
    assert int(result.backwards.sum()) == 0


def test_success_stops_the_questions_of_its_sample_alone() -> None:
    model, x, y = linear(16)
    result = sp.attacks.nes(model, x, y, sp.Linf(0.1), steps=20, pairs=3)
    assert int(result.met.sum()) > 0
    clean, look, confirmation = 1, 1, 1  # no slope where the look succeeds
    assert torch.equal(result.forwards[result.met], (clean + 7 * result.steps + look + confirmation)[result.met])


@pytest.mark.parametrize("budget", [3, 10, 100])
def test_budgets_are_kept(budget: int) -> None:
    model, x, y = linear(8)
    counting = CountingModel(model)
    result = sp.attacks.nes(counting, x, y, sp.Linf(1e-4), pairs=4, budget=budget)
    looks, rest = divmod(budget - 2, 9)
    assert result.forwards.tolist() == [2 + 9 * looks + min(rest, 1)] * 8
    assert counting.forwards == int(result.forwards.sum())
    assert bool((result.status == sp.Status.OUT_OF_BUDGET).all())


def test_options_out_of_range_are_refused() -> None:
    model, x, y = linear(2)
    for knobs in ({"sigma": 0.0}, {"pairs": 0}, {"steps": 0}):
        (name,) = knobs
        with pytest.raises(OptionError, match=name):
            sp.attacks.nes(model, x, y, sp.Linf(0.1), **knobs)
