from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from saddlepoint.access import wrap
from saddlepoint.sets import L0, L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing import Snapshot
from saddlepoint.testing.problems import (
    MLP,
    SHAPE,
    Constant,
    ConvNet,
    LinearClassifier,
    not_a_number,
    saturated,
    shifted,
    single_sigmoid,
    stochastic,
    undecided,
    zero_gradient,
)

D = 5
BALLS: list[Ball] = [Linf(), L2(), L1()]
GENERATOR = torch.Generator().manual_seed(0)
MODEL = LinearClassifier.random(3, (D,), seed=4)
X = 0.1 + 0.8 * torch.rand(6, D, generator=GENERATOR, dtype=torch.float64)
Y = MODEL(X).argmax(1)


def margin(model: LinearClassifier, x: Tensor, y: Tensor) -> Tensor:
    logits = model(x).detach()
    others = logits.scatter(1, y[:, None], -torch.inf)
    return others.amax(1) - logits.gather(1, y[:, None]).squeeze(1)


def by_scipy(x: Tensor, y: int, k: int, ball: Ball) -> float:
    """min |δ| such that class k overtakes y and x + δ stays in the box, by a general solver."""
    w = (MODEL.weight[k] - MODEL.weight[y]).detach().numpy()
    gap = float((MODEL(x[None])[0, y] - MODEL(x[None])[0, k]).detach())
    low, high = (-x).numpy(), (1 - x).numpy()
    n = len(w)
    if ball.name == "l2":
        found = scipy.optimize.minimize(
            lambda d: float(d @ d),
            np.zeros(n),
            jac=lambda d: 2 * d,
            bounds=list(zip(low, high, strict=True)),
            constraints=[{"type": "ineq", "fun": lambda d: w @ d - gap, "jac": lambda d: w}],
            method="SLSQP",
            options={"ftol": 1e-14},
        )
        return float(np.sqrt(found.fun)) if found.success else np.inf
    # variables (d, t): |d_i| <= t for Linf with cost t; or |d_i| <= t_i for L1 with cost Σ t_i
    m = 1 if ball.name == "linf" else n
    bound = np.ones((n, 1)) if m == 1 else np.eye(n)
    upper = np.vstack([np.hstack([np.eye(n), -bound]), np.hstack([-np.eye(n), -bound]), np.r_[-w, np.zeros(m)][None]])
    found = scipy.optimize.linprog(
        np.r_[np.zeros(n), np.ones(m)],
        upper,
        np.r_[np.zeros(2 * n), -gap],
        bounds=[*zip(low, high, strict=True), *[(0, None)] * m],
    )
    return float(found.fun) if found.success else np.inf


@pytest.mark.parametrize("ball", BALLS)
def test_the_closest_perturbation_in_the_box_is_that_of_a_general_solver(ball: Ball) -> None:
    expected = [min(by_scipy(x, int(y), k, ball) for k in range(3) if k != y) for x, y in zip(X, Y, strict=True)]
    assert torch.allclose(MODEL.closest_in_box(X, Y, ball), torch.tensor(expected, dtype=torch.float64), rtol=1e-5)


@pytest.mark.parametrize("ball", BALLS)
def test_the_closed_form_agrees_where_the_box_is_out_of_reach(ball: Ball) -> None:
    near, _, y = undecided(3, gap=0.02)
    x = torch.full((2, *SHAPE), 0.5, dtype=torch.float64)
    closed = near.closest(x, y[:2], ball)
    assert torch.allclose(closed, near.closest_in_box(x, y[:2], ball), rtol=1e-9)
    assert (closed > 0).all()
    step = (1 + 1e-9) * closed
    assert (near.margin_at(x, y[:2], ball, step) >= 0).all()
    assert (near.margin_at(x, y[:2], ball, step * 0.999) < 0).all()


@pytest.mark.parametrize("ball", [*BALLS, L0()])
def test_no_random_perturbation_beats_the_best_margin(ball: Ball) -> None:
    radius = torch.full((len(X),), 2.0 if ball.name == "l0" else 0.3, dtype=torch.float64)
    best = MODEL.margin_at(X, Y, ball, radius)
    reached = torch.full_like(best, -torch.inf)
    for _ in range(300):
        delta = ball.project(X, torch.randn(X.shape, generator=GENERATOR, dtype=torch.float64), radius)
        reached = torch.maximum(reached, margin(MODEL, X + delta, Y))
    assert (reached <= best + 1e-9).all()
    attained = torch.full_like(best, -torch.inf)
    for k in range(3):
        delta = ball.lmo(X, MODEL.weight.detach()[k] - MODEL.weight.detach()[Y], radius)
        attained = torch.maximum(attained, margin(MODEL, X + delta, Y))
    assert torch.allclose(attained, best)


def test_l0_counts_the_fewest_entries_by_trying_all() -> None:
    for x, y, least in zip(X, Y, MODEL.closest(X, Y, L0()), strict=True):
        found = next(
            (
                size
                for size in range(D + 1)
                for chosen in itertools.combinations(range(D), size)
                for ends in itertools.product((0.0, 1.0), repeat=size)
                if bool(margin(MODEL, put(x, chosen, ends), y[None]) >= 0)
            ),
            torch.inf,
        )
        assert float(least) == found


def put(x: Tensor, chosen: tuple[int, ...], ends: tuple[float, ...]) -> Tensor:
    moved = x.clone()
    for i, end in zip(chosen, ends, strict=True):
        moved[i] = end
    return moved[None]


def test_masks_and_hopeless_samples_are_known() -> None:
    nothing = L2(mask=torch.zeros(1, D, dtype=torch.bool))
    assert MODEL.closest_in_box(X, Y, nothing).isinf().all()
    assert torch.equal(MODEL.margin_at(X, Y, nothing, torch.full((len(X),), 9.0)), margin(MODEL, X, Y))
    wrong = (Y + 1) % 3
    assert (MODEL.closest(X, wrong, L2()) == 0).all()
    assert (MODEL.closest_in_box(X, wrong, L2()) == 0).all()


@pytest.mark.parametrize("network", [LinearClassifier.random(), MLP()])
def test_logits_do_not_depend_on_the_batch_to_the_last_bit(network: torch.nn.Module) -> None:
    x = torch.rand(50, *SHAPE, generator=GENERATOR, dtype=torch.float64)
    whole = network(x)
    for i in (0, 17, 49):
        assert torch.equal(network(x[i : i + 1])[0], whole[i])


@pytest.mark.parametrize("corners", [False, True])
def test_undecided_problems_are_close_and_solvable_from_everywhere(corners: bool) -> None:
    for classes in (2, 3, 4):
        network, x, y = undecided(classes, corners=corners)
        logits = network(x).detach()
        assert torch.allclose(
            logits[:, :1] - logits[:, 1:], torch.full((len(x), classes - 1), 0.01, dtype=torch.float64)
        )
        assert (x.min() >= 0) & (x.max() <= 1)
        assert bool(((x == 0) | (x == 1)).all()) == corners
        assert (network.closest_in_box(x, y, Linf()) < 0.01).all()
        assert (network.closest(x, y, L0()) == 1).all()


def test_troubles_are_what_they_are_called() -> None:
    x = torch.rand(4, *SHAPE, generator=GENERATOR, dtype=torch.float64)
    network = MLP()
    assert torch.allclose(saturated(network)(x), 1e4 * network(x))
    assert torch.allclose(shifted(network)(x), network(x) + 50)
    assert not_a_number()(x).isnan().all()
    assert Constant()(x).argmax(1).tolist() == [0] * 4
    assert not torch.equal(stochastic(network)(x), stochastic(network)(x))
    z = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(zero_gradient(network)(z).sum(), z)
    assert (slope == 0).all()
    assert not torch.equal(zero_gradient(network)(x), zero_gradient(network)(1 - x))
    sigmoid = single_sigmoid()(x)
    assert sigmoid.shape == (4, 1)
    assert torch.equal(wrap(single_sigmoid())(x).argmax(1), MLP(2)(x).argmax(1))


def test_making_networks_leaves_the_random_state_alone_and_is_repeatable() -> None:
    before = Snapshot.of(torch.nn.Identity())
    first, second = ConvNet(), ConvNet()
    MLP()
    LinearClassifier.random()
    assert Snapshot.of(torch.nn.Identity()).differences(before) == []
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    modes = {name: module.training for name, module in first.named_modules()}
    assert modes["features.1"] is False
    assert modes["dropout"] is True
