"""The Wasserstein ball against a solver of linear programs, and against what its plans must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import lil_matrix

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import parse

SIDE, KERNEL = 4, 3
X = torch.rand(2, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.4
X[0, 0, 1] = 0  # pixels with nothing to give
UPWARD = Box(0.0, math.inf)
BALL = sp.Wasserstein(kernel=KERNEL)


def program(x: np.ndarray, radius: float, gain: np.ndarray) -> np.ndarray:
    """max <gain, d> over plans d [C, k², H, W] of cost <= radius, as changes: by HiGHS."""
    channels, height, width = x.shape
    reach = KERNEL // 2
    cost = [math.hypot(j // KERNEL - reach, j % KERNEL - reach) for j in range(KERNEL**2)]
    shape = (channels, KERNEL**2, height, width)
    bounds, price = [], np.zeros(shape)
    rows = lil_matrix((channels * height * width, int(np.prod(shape))))
    for place in range(int(np.prod(shape))):
        c, j, i, k = np.unravel_index(place, shape)
        there = (i + j // KERNEL - reach, k + j % KERNEL - reach)
        inside = 0 <= there[0] < height and 0 <= there[1] < width
        bounds.append((0, None if inside else 0))
        price[c, j, i, k] = cost[j]
        rows[(c * height + i) * width + k, place] = 1
    share = x / x.sum()
    solved = linprog(
        -gain.ravel(), A_ub=price.reshape(1, -1), b_ub=[radius], A_eq=rows.tocsr(), b_eq=share.ravel(), bounds=bounds
    )
    assert solved.success
    plan = solved.x.reshape(shape)
    plan[:, KERNEL**2 // 2] -= share
    return plan


def random_like_plans(scale: float) -> torch.Tensor:
    return scale * torch.randn(BALL.zero(X).shape, generator=torch.Generator().manual_seed(1), dtype=X.dtype)


@pytest.mark.parametrize("radius", [0.0, 0.05, 0.3, 1.2, 5.0])
def test_the_oracle_is_that_of_a_solver(radius: float) -> None:
    gain = random_like_plans(1.0)
    free = sp.Wasserstein(kernel=KERNEL, box=UPWARD)
    own = free.lmo(X, gain, torch.full((2,), radius, dtype=X.dtype))
    assert bool((free.size(X, own) <= radius * (1 + 1e-9) + 1e-12).all())
    for i in range(2):
        best = program(X[i].numpy(), radius, gain[i].numpy())
        assert float((gain[i] * own[i]).sum()) == pytest.approx(
            float((gain[i].numpy() * best).sum()), rel=1e-6, abs=1e-9
        )


@pytest.mark.parametrize("radius", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("scale", [0.003, 0.03, 1.0])
def test_no_plan_is_nearer_than_the_projection(radius: float, scale: float) -> None:
    """Nearest in a convex set: no direction into the set makes less than a right angle with the way that is left."""
    far = random_like_plans(scale)
    near = BALL.nearest(X, far, torch.full((2,), radius, dtype=X.dtype))
    assert bool((BALL.size(X, near) <= radius * (1 + 1e-9)).all())
    for i in range(2):
        rest = (far[i] - near[i]).numpy()
        best = program(X[i].numpy(), radius, rest)
        slack = float((rest * (best - near[i].numpy())).sum())
        assert slack <= 1e-5 * np.abs(rest).max() * radius


def test_what_is_inside_stays() -> None:
    inside = BALL.sample(X, torch.full((2,), 0.1, dtype=X.dtype), Noise.seeded(0, torch.arange(2)))
    assert bool((BALL.size(X, inside) > 0).all())
    torch.testing.assert_close(BALL.nearest(X, inside, torch.full((2,), 0.2, dtype=X.dtype)), inside)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_a_plan_makes_has_the_same_brightness_and_fits_the_box(dtype: torch.dtype) -> None:
    x = torch.rand(5, 3, 9, 8, generator=torch.Generator().manual_seed(2)).to(dtype)
    x[0] = (x[0] > 0.5).to(dtype)  # black and white: every arrival is too much but where something left
    ball = sp.Wasserstein(kernel=5)
    radius = torch.full((5,), 0.2, dtype=dtype)
    for k in range(3):
        noise = Noise.seeded(k, torch.arange(5))
        for delta in (
            ball.project(x, 0.05 * noise.normal((3, 25, 9, 8), dtype=dtype), radius),
            ball.lmo(x, noise.normal((3, 25, 9, 8), dtype=dtype), radius),
            ball.sample(x, radius, noise),
        ):
            assert bool((ball.size(x, delta) <= radius * (1 + 1e-5)).all())
            assert bool((ball.size(x, delta) > 0.001).all())
            unclipped = sp.Wasserstein(kernel=5, box=UPWARD).apply(x, delta)
            assert -1e-5 <= float(unclipped.min()) <= float(unclipped.max()) <= 1 + 1e-5
            moved = ball.apply(x, delta)
            torch.testing.assert_close(moved.sum((2, 3)), x.sum((2, 3)), rtol=1e-4, atol=1e-4)


def test_a_picture_moved_by_a_pixel_has_a_size_of_one() -> None:
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    x[0, 0, 1:3, 1:3] = torch.tensor([[0.2, 0.4], [0.1, 0.8]])
    right = torch.zeros_like(BALL.zero(x))
    share = x / x.sum()
    right[:, :, 5], right[:, :, 4] = share, -share
    assert float(BALL.size(x, right)) == pytest.approx(1.0)
    torch.testing.assert_close(BALL.apply(x, right), x.roll(1, 3))
    torch.testing.assert_close(BALL.project(x, right, torch.ones(1, dtype=x.dtype)), right)


def test_what_is_no_plan_has_no_size() -> None:
    zero = BALL.zero(X)
    for place, value in (((0, 0, 0, 1, 1), -0.1), ((0, 0, 0, 1, 1), 0.1), ((0, 0, 4, 2, 2), -1.0)):
        wrong = zero.clone()
        wrong[place] = value
        assert BALL.size(X, wrong).tolist() == [math.inf, 0.0]
    stolen = zero.clone()  # more than there is
    stolen[0, 0, 5, 2, 1], stolen[0, 0, 4, 2, 1] = 0.5, -0.5
    assert BALL.size(X, stolen).tolist() == [math.inf, 0.0]


def test_black_pictures_have_nothing_to_give() -> None:
    x = torch.zeros(1, 1, 4, 4)
    delta = BALL.project(x, torch.randn(BALL.zero(x).shape), torch.ones(1))
    assert not bool(delta.any())
    assert torch.equal(BALL.apply(x, delta), x)


def test_the_distance_may_be_squared() -> None:
    x = torch.tensor([1.0, 0, 0, 0, 0], dtype=torch.float64).view(1, 1, 1, 5)
    two = torch.zeros(1, 1, 25, 1, 5, dtype=torch.float64)
    two[0, 0, 12, 0, 0], two[0, 0, 14, 0, 0] = -1, 1
    assert float(sp.Wasserstein().size(x, two)) == 2
    assert float(parse("wasserstein(power=2):1").size(x, two)) == 4


def test_impossible_kernels_are_refused() -> None:
    for kernel in (1, 4):
        with pytest.raises(ThreatError, match="odd side of at least 3"):
            sp.Wasserstein(kernel=kernel)
    with pytest.raises(ThreatError, match="is positive"):
        sp.Wasserstein(power=0.0)
