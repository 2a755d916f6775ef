from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.testing.problems import LinearClassifier

N, SHAPE = 12, (1, 6, 6)
QUICK = {"cw_l2": {"steps": 50, "rounds": 6}, "cw_linf": {"steps": 60, "rounds": 25}, "cw_l0": {"reductions": 30}}


@pytest.fixture(scope="module")
def model() -> LinearClassifier:
    return LinearClassifier.random(4, SHAPE, seed=3)


@pytest.fixture(scope="module")
def x() -> Tensor:
    return 0.3 + 0.4 * torch.rand(N, *SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("name", "threat", "worst"), [("cw_l2", sp.L2(), 1.03), ("cw_l0", sp.L0(), 2.0)])
def test_finds_the_closed_form_optimum(
    name: str, threat: sp.L2 | sp.L0, worst: float, model: LinearClassifier, x: Tensor
) -> None:
    y = model(x).argmax(1)
    result = sp.attacks.get(name)(model, x, y, threat)
    ratio = result.size / model.closest(x, y, threat)
    assert bool(result.met.all())
    assert float(ratio.median()) <= 1.02
    assert float(ratio.max()) <= worst
    assert float(ratio.min()) >= 1 - 1e-9


def test_linf_finds_the_optimum_down_to_a_256th_of_the_range(model: LinearClassifier, x: Tensor) -> None:
    y = model(x).argmax(1)
    result = sp.attacks.cw_linf(model, x, y, steps=60)
    closest = model.closest(x, y, sp.Linf())
    far = closest > 1 / 128  # nearer than that, the published loop stops
    assert int(far.sum()) >= N // 2
    ratio = (result.size / closest)[far]
    assert bool(result.met.all())
    assert float(ratio.median()) <= 1.02
    assert float(ratio.min()) >= 1 - 1e-9


@pytest.mark.parametrize("name", ["cw_l2", "cw_linf", "cw_l0"])
def test_a_confidence_is_a_margin(name: str, model: LinearClassifier, x: Tensor) -> None:
    y = model(x).argmax(1)
    plain = sp.attacks.get(name)(model, x, y, **QUICK[name])
    goal = sp.untargeted(y, confidence=1.0)
    result = sp.attacks.get(name)(model, x, goal, **QUICK[name])
    assert bool(result.met.all())
    assert float(goal.margin(model(result.x_adv).detach()).min()) >= 1.0 - 1e-6
    assert float(result.size.mean()) > float(plain.size.mean())


@pytest.mark.parametrize("name", ["cw_l2", "cw_linf", "cw_l0"])
def test_reaches_targets(name: str, model: LinearClassifier, x: Tensor) -> None:
    target = (model(x).argmax(1) + 1) % 4
    result = sp.attacks.get(name)(model, x, sp.targeted(target), **QUICK[name])
    assert torch.equal(model(result.x_adv).argmax(1), target)


@pytest.mark.parametrize("name", ["cw_l2", "cw_linf", "cw_l0"])
def test_black_and_white_pixels_move(name: str, model: LinearClassifier, x: Tensor) -> None:
    corners = (x > 0.5).to(x.dtype)
    y = model(corners).argmax(1)
    result = sp.attacks.get(name)(model, corners, y, **QUICK[name])
    assert float(result.met.double().mean()) == 1.0
    assert float(result.x_adv.min()) >= 0
    assert float(result.x_adv.max()) <= 1


def test_l0_freezes_for_good(model: LinearClassifier, x: Tensor) -> None:
    y = model(x).argmax(1)
    few = sp.attacks.cw_l0(model, x, y, reductions=2)
    many = sp.attacks.cw_l0(model, x, y, reductions=100)
    assert bool((many.size <= few.size).all())
    assert float(many.size.mean()) < float(few.size.mean())


def test_l0_leaves_masked_entries_alone(model: LinearClassifier, x: Tensor) -> None:
    mask = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0))[None] > 0.3
    y = model(x).argmax(1)
    result = sp.attacks.cw_l0(model, x, y, sp.L0(mask=mask))
    assert not bool((result.x_adv - x)[~mask.expand_as(x)].any())


def test_l0_leaves_alone_what_needs_more_than_the_radius(model: LinearClassifier, x: Tensor) -> None:
    y = model(x).argmax(1)
    free = sp.attacks.cw_l0(model, x, y, sp.L0())
    limit = float(free.size.median())
    held = sp.attacks.cw_l0(model, x, y, sp.L0(limit))
    assert held.size.max() <= limit
    assert held.met.tolist() == (free.met & (free.size <= limit)).tolist()
    assert 0 < held.met.sum() < len(x)
    assert torch.equal(held.x_adv[~held.met], x[~held.met])
