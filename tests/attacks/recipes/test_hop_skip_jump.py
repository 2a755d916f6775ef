"""HopSkipJump end to end: closed-form optima, targets, candidates, budgets, honesty."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.testing import CountingModel, LabelOnly, LinearClassifier
from saddlepoint.zoo import data, models


def linear(n: int, classes: int = 4, side: int = 6) -> tuple[LinearClassifier, Tensor, Tensor]:
    model = LinearClassifier.random(classes, (1, side, side), seed=1)
    x = torch.rand(n, 1, side, side, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


@pytest.mark.parametrize(
    ("threat", "classes", "side", "steps"), [(sp.L2(), 2, 6, 16), (sp.L2(), 4, 10, 25), (sp.Linf(), 2, 6, 25)]
)
def test_reaches_the_closest_point_of_a_linear_model(threat: sp.L2, classes: int, side: int, steps: int) -> None:
    """n = 10, 36 or 100 entries, some 4500 (16 steps) or 9000 (25 steps) labels: 2 % in the median."""
    model, x, y = linear(10, classes, side)
    result = sp.attacks.hop_skip_jump(model, x, y, threat, steps=steps)
    ratio = result.size / model.closest_in_box(x, y, threat)
    assert bool(result.met.all())
    assert float(ratio.min()) >= 1 - 1e-9
    assert float(ratio.median()) < 1.02
    if classes == 2:
        assert float(ratio.max()) < 1.06


def test_knows_labels_only() -> None:
    model, x, y = linear(4)
    result = sp.attacks.hop_skip_jump(LabelOnly(model), x, y, sp.L2(), steps=3)
    answers = sp.wrap(lambda z: model(z).argmax(1), output="labels", classes=4)
    assert bool(result.met.all())
    assert torch.equal(sp.attacks.hop_skip_jump(answers, x, y, sp.L2(), steps=3).delta, result.delta)


def test_counts_are_those_of_a_counting_model() -> None:
    model, x, y = linear(7)
    counting = CountingModel(model)
    result = sp.attacks.hop_skip_jump(counting, x, y, sp.L2(), steps=4)
    assert counting.forwards == int(result.forwards.sum())
    assert int(result.backwards.sum()) == 0


def test_reaches_targets_from_candidates() -> None:
    model, x, y = linear(12)
    with torch.no_grad():
        pool = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
        known = {k: pool[model(pool).argmax(1) == k] for k in range(4)}
    target = (y + 1) % 4
    candidates = torch.cat([known[k][:3] for k in range(4)])
    result = sp.attacks.hop_skip_jump(model, x, sp.targeted(target), sp.L2(), steps=8, candidates=candidates, tries=1)
    with torch.no_grad():
        assert torch.equal(model(result.x_adv).argmax(1), target)
    nearest = torch.stack(
        [(known[int(t)][:3] - xi).flatten(1).norm(dim=1).min() for t, xi in zip(target, x, strict=True)]
    )
    assert bool((result.size < 0.9 * nearest).all())


def test_without_a_start_it_fails_honestly() -> None:
    """Class 4 is never the answer."""
    model, x, _ = linear(4)
    padded = torch.nn.Sequential(model, torch.nn.ConstantPad1d((0, 1), -1e9))
    goal = sp.targeted(torch.full((4,), 4))
    result = sp.attacks.hop_skip_jump(padded, x, goal, sp.L2(), steps=3, tries=20)
    assert not bool(result.met.any())
    assert bool((result.status == sp.Status.HELD).all())
    assert torch.equal(result.x_adv, x)
    assert result.forwards.tolist() == [1 + 20 + 1 + 1] * 4  # clean, tries, a look at x, confirmation


@pytest.mark.parametrize("budget", [3, 10, 100, 500])
@pytest.mark.parametrize("threat", [sp.L2(), sp.Linf()])
def test_budgets_are_kept(threat: sp.L2, budget: int) -> None:
    model, x, y = linear(9)
    counting = CountingModel(model)
    result = sp.attacks.hop_skip_jump(counting, x, y, threat, budget=budget)
    assert bool((result.forwards <= budget).all())
    assert counting.forwards == int(result.forwards.sum())
    with torch.no_grad():
        assert torch.equal(result.met, model(result.x_adv).argmax(1) != y)
    if budget >= 100:
        assert bool(result.met.all())
    assert bool((result.met | (result.status == sp.Status.OUT_OF_BUDGET)).all())


def test_a_budget_for_three_steps_is_three_steps() -> None:
    """Refused answers move nothing: the best point is that of a run of three steps, to the last bit."""
    model, x, y = linear(9)
    three = sp.attacks.hop_skip_jump(model, x, y, sp.L2(), steps=3, starts=1)
    budget = int(three.forwards.max()) + 150  # the fourth step asks 200 labels
    cut = sp.attacks.hop_skip_jump(model, x, y, sp.L2(), steps=25, starts=1, budget=budget)
    assert torch.equal(three.delta, cut.delta)
    assert torch.equal(three.forwards, cut.forwards)


def test_more_budget_is_never_worse() -> None:
    model, x, y = linear(12)
    sizes = [
        sp.attacks.hop_skip_jump(model, x, y, sp.L2(), budget=budget, starts=1).size.median()
        for budget in (60, 300, 1500)
    ]
    assert sizes[0] > sizes[1] > sizes[2]


def test_a_radius_is_an_upper_limit() -> None:
    model, x, y = linear(16, classes=2)
    smallest = model.closest_in_box(x, y, sp.L2())
    radius = float(smallest.median())
    result = sp.attacks.hop_skip_jump(model, x, y, sp.L2(radius), steps=12)
    assert bool((result.size <= radius * (1 + 1e-6)).all())
    assert bool((result.met <= (smallest <= radius)).all())
    assert int(result.met.sum()) >= 4


def test_a_trained_network_in_other_bounds() -> None:
    network = models.load("fashion-pgd-linf")
    images = data.load("fashion-mnist-1k[:6]")
    shifted = sp.wrap(lambda z: network((z + 1) / 2), bounds=(-1, 1))
    walk = {"steps": 3, "first_draws": 40, "starts": 3, "seed": 1}
    plain = sp.attacks.hop_skip_jump(network, images.x, images.y, sp.L2(), **walk)
    other = sp.attacks.hop_skip_jump(shifted, 2 * images.x - 1, images.y, sp.L2(), **walk)
    assert bool(plain.met.all())
    assert bool(other.met.all())
    torch.testing.assert_close(other.size.median(), 2 * plain.size.median(), rtol=0.15, atol=0)


def test_options_out_of_range_are_refused() -> None:
    model, x, y = linear(2)
    for knobs in ({"gamma": 0.0}, {"first_draws": 0}, {"tries": 0}, {"most_draws": 0}, {"starts": 0}):
        (name,) = knobs
        with pytest.raises(OptionError, match=name):
            sp.attacks.hop_skip_jump(model, x, y, **knobs)


def test_unbounded_inputs_are_refused_with_a_way_out() -> None:
    model, x, y = linear(2)
    with pytest.raises(ThreatError, match="bounds"):
        sp.attacks.hop_skip_jump(sp.wrap(model, bounds=(0, float("inf"))), x, y)


def test_the_attack_takes_a_start_as_a_part_of_others_does() -> None:
    """A start is looked at before it is believed: the second one does not meet the goal."""
    model, x, y = linear(2, classes=2)
    attack = sp.attacks.hop_skip_jump.build(sp.L2(), steps=3)
    mirrored = 1 - 2 * x  # x + δ = 1 - x, which an odd linear model puts in the other class
    start = torch.stack([mirrored[0], torch.zeros_like(mirrored[1])])
    access = sp.wrap(model).access(2)
    result = attack(access, x, sp.untargeted(y), Noise.seeded(0, torch.arange(2)), start=start)
    assert result.met.tolist() == [True, False]
    assert float(result.size[0]) < float(mirrored[0].norm())
    assert int(result.forwards[1]) == 1
