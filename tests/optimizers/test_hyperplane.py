from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, minimize
from torch import Tensor

from saddlepoint.optimizers.hyperplane import Nearest, nearest_l0, nearest_l1, nearest_l2, nearest_linf

ALL = [nearest_l0, nearest_l1, nearest_l2, nearest_linf]


def problems(n: int, d: int, seed: int = 0, reach: float = 0.6) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random hyperplanes at ``reach`` of the way to the farthest corner of a random box; a few entries without room."""
    generator = torch.Generator().manual_seed(seed)
    w = torch.randn(n, d, generator=generator, dtype=torch.float64)
    low = -torch.rand(n, d, generator=generator, dtype=torch.float64)
    high = torch.rand(n, d, generator=generator, dtype=torch.float64)
    low[:, 0], high[:, 1] = 0, 0
    sign = torch.where(torch.rand(n, generator=generator, dtype=torch.float64) < 0.5, -1.0, 1.0)
    farthest = torch.maximum(sign[:, None] * w * low, sign[:, None] * w * high).sum(1)
    return w, sign * farthest * reach * torch.rand(n, generator=generator, dtype=torch.float64), low, high


def linear_program(w: np.ndarray, b: float, low: np.ndarray, high: np.ndarray, shared: bool) -> float:
    """min Σ t_i, or min t for one t shared by all entries, subject to |d_i| <= t_i: the optimum by a solver."""
    d = len(w)
    t = 1 if shared else d
    eye, ones = np.eye(d), (np.ones((d, 1)) if shared else np.eye(d))
    above = np.block([[eye, -ones], [-eye, -ones]])
    cost = np.r_[np.zeros(d), np.ones(t)]
    bounds = [*zip(low, high, strict=True), *[(0, None)] * t]
    found = linprog(cost, above, np.zeros(2 * d), np.r_[w, np.zeros(t)][None], [b], bounds)
    assert found.status == 0
    return float(found.fun)


@pytest.mark.parametrize("nearest", ALL)
def test_the_point_is_on_the_hyperplane_and_in_the_box(nearest: Nearest) -> None:
    w, b, low, high = problems(200, 30)
    d = nearest(w, b, low, high)
    assert torch.allclose((w * d).sum(1), b, atol=1e-12)
    assert bool(((d >= low) & (d <= high)).all())


@pytest.mark.parametrize(("nearest", "shared", "p"), [(nearest_l1, False, 1), (nearest_linf, True, torch.inf)])
def test_the_size_is_that_of_a_linear_program(nearest: Nearest, shared: bool, p: float) -> None:
    w, b, low, high = problems(25, 9)
    size = torch.linalg.vector_norm(nearest(w, b, low, high), p, dim=1)
    optimum = [
        linear_program(*[part.numpy() for part in (wi, bi, lo, hi)], shared=shared)
        for wi, bi, lo, hi in zip(w, b, low, high, strict=True)
    ]
    assert torch.allclose(size, torch.tensor(optimum, dtype=torch.float64), atol=1e-8)


def test_the_l2_point_is_that_of_a_quadratic_program() -> None:
    w, b, low, high = problems(25, 9)
    d = nearest_l2(w, b, low, high)
    for i in range(len(w)):
        wi, bounds = w[i].numpy(), list(zip(low[i].numpy(), high[i].numpy(), strict=True))
        plane = {"type": "eq", "fun": lambda v, wi=wi, i=i: wi @ v - float(b[i]), "jac": lambda v, wi=wi: wi}
        start = d[i].numpy() * 0.5
        found = minimize(
            lambda v: v @ v,
            start,
            jac=lambda v: 2 * v,
            bounds=bounds,
            constraints=[plane],
            method="SLSQP",
            options={"ftol": 1e-15, "maxiter": 500},
        )
        assert found.success
        np.testing.assert_allclose(d[i].numpy(), found.x, atol=1e-6)


def test_the_l0_count_is_the_smallest_of_all_supports() -> None:
    w, b, low, high = problems(25, 8)
    d = nearest_l0(w, b, low, high)
    best = torch.where(b.sign()[:, None] * w > 0, high, low)
    gains = (b.sign()[:, None] * w * best).numpy()
    for i in range(len(w)):
        count = int((d[i] != 0).sum())
        fewer = [sum(c) for c in itertools.combinations(gains[i], count - 1)]
        assert all(total < abs(float(b[i])) for total in fewer)


@pytest.mark.parametrize("nearest", ALL)
def test_out_of_reach_gives_the_corner(nearest: Nearest) -> None:
    w, b, low, high = problems(20, 10, reach=1.0)
    corner = torch.where(b.sign()[:, None] * w > 0, high, low)
    assert torch.equal(nearest(w, 100 * b.sign(), low, high), corner)


@pytest.mark.parametrize("nearest", ALL)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_the_scale_of_the_hyperplane_does_not_matter(nearest: Nearest, scale: float) -> None:
    w, b, low, high = (part.float() for part in problems(20, 10))
    scaled = nearest(w * scale, b * scale, low, high)
    assert torch.allclose(scaled, nearest(w, b, low, high), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("nearest", ALL)
def test_flat_or_missing_slopes_move_nothing(nearest: Nearest) -> None:
    one = torch.ones(3, 4, dtype=torch.float64)
    w = torch.stack([torch.zeros(4), torch.ones(4), torch.full((4,), torch.nan)]).double()
    d = nearest(w, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64), -one, one)
    assert torch.equal(d[:2], torch.zeros(2, 4, dtype=torch.float64))


@pytest.mark.parametrize("nearest", ALL)
def test_without_a_box_the_size_is_the_gap_over_the_dual_norm(nearest: Nearest) -> None:
    w, b, _, _ = problems(20, 10)
    wide = torch.full_like(w, torch.finfo(w.dtype).max)
    d = nearest(w, b, -wide, wide)
    p, q = {nearest_l0: (0, 0), nearest_l1: (1, torch.inf), nearest_l2: (2, 2), nearest_linf: (torch.inf, 1)}[nearest]
    size = torch.linalg.vector_norm(d, p, dim=1)
    expected = torch.ones_like(size) if nearest is nearest_l0 else b.abs() / torch.linalg.vector_norm(w, q, dim=1)
    assert torch.allclose(size, expected)


@pytest.mark.parametrize("nearest", ALL)
def test_samples_do_not_mix(nearest: Nearest) -> None:
    w, b, low, high = problems(8, 12)
    alone = [nearest(w[i : i + 1], b[i : i + 1], low[i : i + 1], high[i : i + 1]) for i in range(8)]
    assert torch.allclose(nearest(w, b, low, high), torch.cat(alone), atol=1e-12)
