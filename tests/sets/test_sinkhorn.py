"""Projected Sinkhorn against the quadratic problem it approximates, and beside the exact projection of plans."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import ThreatError
from saddlepoint.sets import Sinkhorn, parse
from saddlepoint.sets.sinkhorn import omega


def pushed(x: Tensor, ball: sp.Wasserstein, size: float, seed: int) -> Tensor:
    """A plan dearer than the ball allows."""
    slope = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
    return size * ball.steepest(x, ball.around(slope))


def nearest_picture(x: Tensor, wanted: Tensor, radius: float) -> np.ndarray:
    """min |z - w|² over pictures z of a row of pixels that plans to neighbors reach for at most the radius."""
    n = x.numel()
    ways = [(i, j) for i in range(n) for j in (i - 1, i, i + 1) if 0 <= j < n]
    dear = np.array([abs(i - j) for i, j in ways], dtype=float)
    out, into = (np.array([[float(way[k] == p) for way in ways] for p in range(n)]) for k in (0, 1))
    x_, w = x.flatten().numpy(), wanted.flatten().numpy()
    found = optimize.minimize(
        lambda plan: ((into @ plan - w) ** 2).sum(),
        np.array([x_[i] * (i == j) for i, j in ways]),
        jac=lambda plan: 2 * into.T @ (into @ plan - w),
        bounds=[(0, None)] * len(ways),
        constraints=[
            optimize.LinearConstraint(out, x_, x_),
            optimize.LinearConstraint(dear[None], -np.inf, radius),
        ],
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-14},
    )
    picture: np.ndarray = into @ found.x
    return picture


def test_with_a_high_price_it_is_the_nearest_picture_and_with_a_low_one_it_is_not() -> None:
    x = torch.tensor([0.3, 0.1, 0.25, 0.05, 0.3], dtype=torch.float64).view(1, 1, 1, 5)
    ball = sp.Wasserstein(kernel=3)
    delta = pushed(x, ball, 0.6, 4)
    wanted = x + ball.arriving(delta.flatten(0, 1)).view_as(x)
    best = nearest_picture(x, wanted, 0.1)
    apart = []
    for price in (10.0, 100.0, 1000.0):
        plan = Sinkhorn(price=price, rounds=5000, close=1e-9)(ball, x, delta, torch.tensor([0.1], dtype=torch.float64))
        assert float(ball.size(x, plan)) <= 0.1 + 1e-9
        made = x + ball.arriving(plan.flatten(0, 1)).view_as(x)
        apart.append(float((made.flatten() - torch.from_numpy(best)).abs().max()))
    assert apart == sorted(apart, reverse=True)
    assert apart[-1] < 2e-3


def test_what_it_makes_is_a_plan_within_the_radius_on_pictures() -> None:
    x = sp.zoo.data.load("fashion-mnist-1k[:6]").x
    ball, radius = sp.Wasserstein(projection=Sinkhorn(rounds=100)), torch.full((6,), 0.1)
    delta = pushed(x, ball, 0.3, 1)
    found = ball.project(x, delta, radius)
    assert (ball.size(x, found) <= 0.1 * (1 + 1e-5)).all()
    assert (ball.size(x, found) > 0.05).all()
    torch.testing.assert_close(ball.project(x, found, radius), found)
    moved = ball.apply(x, found)
    torch.testing.assert_close(moved.sum((1, 2, 3)), x.sum((1, 2, 3)), rtol=1e-4, atol=1e-4)


def test_masked_pixels_keep_what_they_have() -> None:
    x = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    mask = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    mask[..., 2:] = False
    ball = sp.Wasserstein(kernel=3, mask=mask, projection=Sinkhorn(rounds=100))
    found = ball.project(x, pushed(x, sp.Wasserstein(kernel=3), 0.5, 2), torch.full((2,), 0.05).double())
    assert (ball.size(x, found) <= 0.05 * (1 + 1e-6)).all()
    assert torch.equal(ball.apply(x, found)[..., 2:], x[..., 2:])
    assert float(found[..., 2:].abs().max()) < 1e-9


def test_attacks_take_it_and_find_about_as_much() -> None:
    """n = 12, ten steps; one picture may make the difference."""
    net, data = sp.zoo.load("fashion-pgd-linf"), sp.zoo.data.load("fashion-mnist-1k[:12]")
    balls = (sp.Wasserstein(0.3), sp.Wasserstein(0.3, projection=Sinkhorn(rounds=50)))
    exact, entropic = (sp.attacks.pgd(net, data.x, data.y, ball, steps=10) for ball in balls)
    assert (entropic.size <= 0.3 * (1 + 1e-5)).all()
    assert int(entropic.met.sum()) > 3
    assert int(entropic.met.sum()) <= int(exact.met.sum()) + 1


def test_omega_solves_its_equation() -> None:
    u = torch.linspace(-29, 1e4, 4000, dtype=torch.float64)
    w = omega(u)
    torch.testing.assert_close(w + w.log(), u, rtol=1e-9, atol=1e-9)
    assert omega(torch.tensor([-torch.inf])).tolist() == [0.0]


def test_it_is_named() -> None:
    assert parse("wasserstein(projection=sinkhorn):0.1") == sp.Wasserstein(0.1, projection=Sinkhorn())
    assert str(parse("wasserstein(projection=dual):0.1")) == "wasserstein:0.1"
    with pytest.raises(ThreatError, match=r"no projection is called 'simplex' .* dual, sinkhorn"):
        parse("wasserstein(projection=simplex):0.1")
    with pytest.raises(ThreatError, match="above 0"):
        Sinkhorn(price=0.0)
