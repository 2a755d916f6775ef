"""NES from the likeliest classes and from labels, end to end: closed forms, budgets, refusals, a trained network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.auditing.estimate import passes
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.testing import CountingModel, LabelOnly, LinearClassifier
from saddlepoint.zoo import data

FEW: dict[str, dict[str, Any]] = {"nes_partial": {}, "nes_labels": {"pairs": 40}}
ATTACKS = pytest.mark.parametrize("name", FEW)


def linear(n: int, classes: int = 2) -> tuple[LinearClassifier, Tensor, Tensor]:
    model = LinearClassifier.random(classes, (1, 6, 6), seed=1)
    x = torch.rand(n, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def attack(name: str, model: object, *asked: Any, **options: Any) -> sp.Result:
    return sp.attacks.get(name)(model, *asked, **{**FEW[name], **options})


@ATTACKS
@pytest.mark.parametrize("threat", [sp.Linf(), sp.L2()])
def test_it_comes_home_where_the_closed_form_says_it_can(name: str, threat: sp.Linf) -> None:
    """At 1.2 times the smallest radius nearly all, just below it none."""
    model, x, y = linear(20)
    least = model.closest_in_box(x, y, threat)
    ample = attack(name, sp.wrap(model, top=1), x, y, type(threat)(1.2 * least), steps=60)
    assert int(ample.met.sum()) >= 18
    assert bool((threat.size(x, ample.delta) <= 1.2 * least * (1 + 1e-6)).all())
    short = attack(name, sp.wrap(model, top=1), x, y, type(threat)(0.98 * least), steps=20)
    assert not bool(short.met.any())
    assert bool((short.status == sp.Status.HELD).all())


@ATTACKS
@pytest.mark.parametrize("budget", [3, 60, 61, 500])
def test_a_budget_is_held_exactly(name: str, budget: int) -> None:
    model, x, y = linear(8)
    counting = CountingModel(model)
    found = attack(name, sp.wrap(counting, top=1), x, y, sp.Linf(1e-4), steps=50, budget=budget)
    assert counting.forwards == int(found.forwards.sum())
    assert int(found.forwards.max()) <= budget
    assert bool((found.status == sp.Status.OUT_OF_BUDGET).all())


def test_labels_are_all_that_is_asked_for() -> None:
    model, x, y = linear(4)
    threat = sp.Linf(1.5 * model.closest_in_box(x, y, sp.Linf()))
    assert bool(attack("nes_labels", LabelOnly(model), x, y, threat).met.all())


@ATTACKS
def test_a_target_that_is_never_named_is_not_reached_and_costs_the_tries(name: str) -> None:
    """Class 2 is never the answer: clean, ten tries, a look at x, and the confirmation."""
    model, x, _ = linear(4)
    padded = torch.nn.Sequential(model, torch.nn.ConstantPad1d((0, 1), -1e9))
    goal = sp.targeted(torch.full((4,), 2))
    found = attack(name, sp.wrap(padded, top=1), x, goal, sp.Linf(0.2), tries=10)
    assert not bool(found.met.any())
    assert found.forwards.tolist() == [13] * 4
    assert torch.equal(found.x_adv, x)


def test_targets_are_reached_from_candidates() -> None:
    model, x, y = linear(12, classes=4)
    pool = torch.rand(60, 1, 6, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    target = (y + 1) % 4
    found = attack("nes_partial", sp.wrap(model, top=1), x, sp.targeted(target), sp.Linf(0.25), candidates=pool)
    assert int(found.met.sum()) >= 10
    with torch.no_grad():
        assert torch.equal(model(found.x_adv).argmax(1) == target, found.met)


@ATTACKS
def test_the_estimate_of_its_cost_is_no_less_than_what_it_asks(name: str) -> None:
    model, x, y = linear(4)
    found = attack(name, sp.wrap(model, top=1), x, y, sp.Linf(1e-4), steps=6)
    most = passes(sp.attacks.get(name).attack(sp.Linf(1e-4), **{**FEW[name], "steps": 6}), 2)
    assert int(found.forwards.max()) <= most


def test_what_cannot_be_is_refused() -> None:
    model, x, y = linear(2)
    with pytest.raises(ThreatError, match="needs bounds"):
        sp.attacks.nes_partial(sp.wrap(model, bounds=(-torch.inf, torch.inf), top=1), x, y, sp.Linf(0.1))
    with pytest.raises(ThreatError, match="finite radius"):
        sp.attacks.nes_labels(model, x, y, sp.Linf())
    with pytest.raises(OptionError, match="blur is the length"):
        sp.attacks.nes_labels(model, x, y, sp.Linf(0.1), blur=-0.1)


@pytest.mark.parametrize(
    ("name", "k", "budget", "least"),
    [("nes_partial", 3, 2500, 9), ("nes_partial", 1, 2500, 8), ("nes_labels", 1, 4000, 6)],
)
def test_a_trained_network_is_led_to_targets(name: str, k: int, budget: int, least: int) -> None:
    """Twelve images of Fashion-MNIST, each toward a class of its own, in Linf 0.2."""
    images, others = data.load("fashion-mnist-1k[:12]"), data.load("fashion-mnist-1k[960:]")
    target = (images.y + 1 + torch.arange(12) % 9) % 10
    model = sp.wrap(sp.zoo.load("fashion-standard"), top=k, batch_size=1024)
    found = sp.attacks.get(name)(model, images.x, sp.targeted(target), sp.Linf(0.2), candidates=others.x, budget=budget)
    assert int(found.met.sum()) >= least
    assert bool((found.size[found.met] <= 0.2 + 1e-6).all())
