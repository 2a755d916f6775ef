"""The minimum-norm attacks end to end, on linear models whose smallest perturbation is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.sets import L0, L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing import LinearClassifier

N, SHAPE = 32, (1, 8, 8)
WIDE = (-100.0, 100.0)
QUICK = {"fab_t": {"steps": 40}}
CASES = [
    # attack, set, median and worst of the ratio to the optimum where the box is out of reach, and worst where it is not
    ("deepfool", L2(), 1.02, 1.02, 1.021),
    ("deepfool", Linf(), 1.02, 1.02, 1.021),
    ("deepfool", L1(), 1.02, 1.02, 1.021),
    ("ddn", L2(), 1.01, 1.02, 1.02),
    ("fmn", L2(), 1.0002, 1.002, 1.005),
    ("fmn", Linf(), 1.0002, 1.002, 1.005),
    ("fmn", L1(), 1.0002, 1.005, 1.01),
    ("fab", L2(), 1.006, 1.006, 1.02),
    ("fab", Linf(), 1.006, 1.006, 1.02),
    ("fab", L1(), 1.006, 1.006, 1.5),  # it chooses the class without the box
    ("fab_t", L2(), 1.006, 1.006, 1.01),
    ("fab_t", Linf(), 1.006, 1.006, 1.01),
    ("fab_t", L1(), 1.006, 1.006, 1.01),
]
IDS = [f"{name}-{ball.name}" for name, ball, *_ in CASES]


def images(seed: int = 2) -> Tensor:
    return torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ratio(found: sp.Result, optimum: Tensor) -> Tensor:
    assert bool(found.met.all())
    assert bool((found.size >= optimum * (1 - 1e-9)).all())
    return found.size / optimum


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize(("name", "ball", "median", "worst", "boxed"), CASES, ids=IDS)
def test_without_a_box_every_sample_is_at_the_optimum(
    name: str, ball: Ball, median: float, worst: float, boxed: float, classes: int
) -> None:
    model, x = LinearClassifier.random(classes, SHAPE, seed=1), images()
    y = model(x).argmax(1)
    found = sp.attacks.get(name)(sp.wrap(model, bounds=WIDE), x, y, ball, **QUICK.get(name, {}))
    to_optimum = ratio(found, model.closest(x, y, ball))
    assert float(to_optimum.median()) <= median * (1 + 1e-9)
    assert float(to_optimum.max()) <= worst * (1 + 1e-9)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(("name", "ball", "median", "worst", "boxed"), CASES, ids=IDS)
def test_in_the_box_every_sample_is_at_the_optimum(
    name: str, ball: Ball, median: float, worst: float, boxed: float, corners: bool
) -> None:
    model, x = LinearClassifier.random(5, SHAPE, seed=1), images()
    x = x.round() if corners else x
    y = model(x).argmax(1)
    found = sp.attacks.get(name)(model, x, y, ball, **QUICK.get(name, {}))
    to_optimum = ratio(found, model.closest_in_box(x, y, ball))
    assert float(to_optimum.median()) <= median * (1 + 1e-9)
    assert float(to_optimum.max()) <= boxed


@pytest.mark.parametrize("name", ["fmn", "deepfool"])
@pytest.mark.parametrize("corners", [False, True])
def test_the_fewest_entries_are_changed(name: str, corners: bool) -> None:
    model, x = LinearClassifier.random(5, SHAPE, seed=1), images()
    x = x.round() if corners else x
    y = model(x).argmax(1)
    assert torch.equal(sp.attacks.get(name)(model, x, y, L0()).size, model.closest(x, y, L0()))


def test_the_optima_in_the_box_are_those_of_linear_programs() -> None:
    model, x = LinearClassifier.random(5, SHAPE, seed=1), images().round()
    y = model(x).argmax(1)
    for ball in (L1(), Linf()):
        found = sp.attacks.fmn(model, x, y, ball)
        for i in range(3):
            optimum = min(_program(model, x[i], int(y[i]), k, ball) for k in range(5) if k != y[i])
            assert optimum * (1 - 1e-9) <= float(found.size[i]) <= 1.005 * optimum


def _program(model: LinearClassifier, x: Tensor, y: int, k: int, ball: Ball) -> float:
    """min size(d) subject to z_k >= z_y and 0 <= x + d <= 1, infinite where there is none."""
    v, w = x.flatten().numpy(), (model.weight[k] - model.weight[y]).detach().numpy()
    z = model(x[None])[0].detach()
    d, gap = len(v), float(z[y] - z[k])
    shared = np.ones((d, 1)) if isinstance(ball, Linf) else np.eye(d)
    above = np.block([[np.eye(d), -shared], [-np.eye(d), -shared], [-w[None], np.zeros((1, shared.shape[1]))]])
    limits = np.r_[np.zeros(2 * d), -gap]
    bounds = [*zip(-v, 1 - v, strict=True), *[(0, None)] * shared.shape[1]]
    found = linprog(np.r_[np.zeros(d), np.ones(shared.shape[1])], above, limits, bounds=bounds)
    return float(found.fun) if found.status == 0 else np.inf


ATTACKS = [(name, ball) for name, ball, *_ in CASES] + [("fmn", L0()), ("deepfool", L0())]
ATTACK_IDS = [f"{name}-{ball.name}" for name, ball in ATTACKS]


@pytest.mark.parametrize(("name", "ball"), ATTACKS, ids=ATTACK_IDS)
def test_targets_are_reached(name: str, ball: Ball) -> None:
    model, x = LinearClassifier.random(3, SHAPE, seed=1), images()
    target = (model(x).argmax(1) + 1) % 3
    found = sp.attacks.get(name)(model, x, sp.targeted(target), ball)
    assert torch.equal(model(found.x_adv).argmax(1), target)
    away = model.closest_in_box(x, model(x).argmax(1), ball) if ball.name != "l0" else torch.zeros(N).double()
    assert bool((found.size >= away * (1 - 1e-9)).all())


@pytest.mark.parametrize("name", ["deepfool", "ddn", "fmn", "fab", "fab_t"])
def test_a_radius_is_a_limit(name: str) -> None:
    model, x = LinearClassifier.random(4, SHAPE, seed=1), images()
    y = model(x).argmax(1)
    optimum = model.closest_in_box(x, y, L2())
    radius = float(optimum.median())
    found = sp.attacks.get(name)(model, x, y, L2(radius), **QUICK.get(name, {}))
    assert bool((found.size <= radius * (1 + 1e-6)).all())
    assert torch.equal(found.met[optimum > radius], torch.zeros_like(found.met[optimum > radius]))
    assert bool(found.met[1.03 * optimum < radius].all())


@pytest.mark.parametrize("name", ["ddn", "fmn", "fab", "fab_t"])
def test_a_confidence_is_a_margin_at_the_price_of_its_size(name: str) -> None:
    model, x = LinearClassifier.random(2, SHAPE, seed=1), images()
    y = model(x).argmax(1)
    goal = sp.untargeted(y, confidence=1.5)
    model = LinearClassifier(model.weight.detach(), model.bias.detach())
    found = sp.attacks.get(name)(sp.wrap(model, bounds=WIDE), x, goal, L2())
    reached = goal.margin(model(found.x_adv).detach())
    assert bool((reached[found.met] >= 1.5 - 1e-9).all())
    optimum = model.closest(x, y, L2())
    margin = goal.margin(model(x).detach()).abs()
    beyond = optimum * (1 + 1.5 / margin)  # the margin is linear
    assert bool((found.size[found.met] >= beyond[found.met] * (1 - 1e-9)).all())


@pytest.mark.parametrize(("name", "ball"), ATTACKS, ids=ATTACK_IDS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 50.0), (1.0, -50.0), (1e4, 0.0), (1e-4, 0.0)])
def test_the_scale_and_shift_of_logits_do_not_matter(name: str, ball: Ball, scale: float, shift: float) -> None:
    model, x = LinearClassifier.random(4, SHAPE, seed=1), images()[:6]
    other = LinearClassifier(scale * model.weight.detach(), scale * model.bias.detach() + shift)
    y = model(x).argmax(1)
    plain, turned = (sp.attacks.get(name)(m, x, y, ball, steps=20) for m in (model, other))
    assert torch.equal(plain.met, turned.met)
    assert torch.allclose(plain.size, turned.size, rtol=1e-4)


@pytest.mark.parametrize("name", ["ddn", "fmn", "fab"])
def test_more_steps_find_smaller_perturbations(name: str) -> None:
    model, x = sp.testing.problems.MLP(seed=1), images()[:, :, :6, :6]
    y = model(x).argmax(1)
    few, many = (sp.attacks.get(name)(model, x, y, L2(), steps=steps) for steps in (5, 60))
    assert float(many.size.mean()) < float(few.size.mean())
    assert bool(many.met.all())


@pytest.mark.parametrize(("name", "ball"), [("fashion-pgd-linf", Linf()), ("fashion-pgd-l2", L2())])
def test_a_short_run_comes_as_near_as_a_long_one_where_the_first_guess_is_far_off(name: str, ball: Ball) -> None:
    model, data = sp.zoo.load(name), sp.zoo.data.load("fashion-mnist-1k[:64]")
    clean = model(data.x).argmax(1) == data.y
    short, long = (sp.attacks.fmn(model, data.x, data.y, ball, steps=steps).size[clean] for steps in (40, 200))
    assert float(short.median()) < 1.12 * float(long.median())


class TwoSided(nn.Module):
    """From 0.5, a gentle slope leads up to a boundary at 0.9; the one at 0.35 is nearer, behind a steep wall."""

    def forward(self, x: Tensor) -> Tensor:
        first = x[:, 0]
        margin = torch.maximum(first - 0.9, 20 * (0.35 - first))
        return torch.stack([torch.zeros_like(margin), margin], 1)


def test_restarts_find_the_boundary_that_the_slope_leads_away_from() -> None:
    x, y = torch.full((24, 2), 0.5, dtype=torch.float64), torch.zeros(24, dtype=torch.long)
    one, many = (sp.attacks.fab(TwoSided(), x, y, Linf(), steps=12, restarts=n) for n in (1, 12))
    assert torch.allclose(one.size, torch.tensor(0.4, dtype=torch.float64), rtol=0.03)
    near = many.size < 0.16
    assert int(near.sum()) >= 16
    assert bool((many.size <= one.size).all())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fmn", {"steps": 0}, "steps must be at least 1"),
        ("fmn", {"share": 1.0}, "share is the part"),
        ("fmn", {"rate": 0.0}, "rate is the length"),
        ("ddn", {"share": 0.0}, "share is the part"),
        ("deepfool", {"overshoot": 0.0}, "overshoot must be positive"),
        ("deepfool", {"k": 0}, "k must be at least 1"),
        ("fab", {"restarts": 0}, "restarts must be at least 1"),
        ("fab", {"eta": 0.9}, "eta is by how much"),
        ("fab_t", {"beta": 1.0}, "beta is the part"),
        ("fab_t", {"alpha_max": 1.5}, "alpha_max is the largest share"),
    ],
)
def test_options_out_of_range_are_refused(name: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(sp.errors.OptionError, match=said):
        sp.attacks.get(name).attack(L2(), **options)
