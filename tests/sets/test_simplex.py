"""Weights none of which is below 0: known answers, and what makes a projection one."""

from __future__ import annotations

import math

import pytest
import torch

from saddlepoint.noise import Noise
from saddlepoint.sets.simplex import Simplex

N, WIDTH = 6, 5
SET, ZERO = Simplex(), torch.zeros(N, WIDTH, dtype=torch.float64)
RADIUS = torch.linspace(0.3, 1.5, N, dtype=torch.float64)


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(N, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def corners() -> torch.Tensor:
    """The vertices of the set: 0, and the radius at each entry. [WIDTH + 1, N, WIDTH]."""
    return torch.stack([ZERO, *(RADIUS[:, None] * one for one in torch.eye(WIDTH, dtype=torch.float64))])


@pytest.mark.parametrize("seed", range(5))
def test_a_projection_is_inside_and_no_corner_lies_ahead_of_it(seed: int) -> None:
    far = drawn(seed)
    near = SET.project(ZERO, far, RADIUS)
    assert bool((near >= 0).all())
    assert bool((near.sum(1) <= RADIUS * (1 + 1e-9)).all())
    ahead = ((far - near) * (corners() - near)).sum(-1)
    assert float(ahead.max()) <= 1e-9  # the optimality condition; linear, so that corners suffice
    torch.testing.assert_close(SET.project(ZERO, near, RADIUS), near)


def test_without_a_radius_only_what_is_below_0_is_cut_off() -> None:
    far = drawn(0)
    assert torch.equal(SET.project(ZERO, far, torch.full_like(RADIUS, math.inf)), far.clamp_min(0))


@pytest.mark.parametrize("seed", range(5))
def test_the_oracle_is_the_best_corner_and_the_steepest_direction_points_there(seed: int) -> None:
    slope = drawn(seed)
    slope[0] = -slope[0].abs()
    best = (slope * corners()).sum(-1).amax(0)
    torch.testing.assert_close((slope * SET.lmo(ZERO, slope, RADIUS)).sum(1), best)
    assert best[0] == 0
    torch.testing.assert_close(RADIUS * (slope * SET.steepest(ZERO, slope)).sum(1), best)


def test_what_is_below_0_has_no_size() -> None:
    delta = torch.tensor([[0.25, 0.5], [0.5, -1e-3], [0.0, 0.0]], dtype=torch.float64)
    assert SET.size(torch.zeros_like(delta), delta).tolist() == [0.75, math.inf, 0.0]


def test_draws_are_corners_and_all_of_them_occur() -> None:
    noise = Noise.seeded(0, torch.arange(600))
    zero, radius = torch.zeros(600, WIDTH), torch.full((600,), 0.75)
    weights = SET.sample(zero, radius, noise)
    assert torch.equal(weights.amax(1), radius)
    assert torch.equal(weights.sum(1), radius)
    counts = (weights > 0).sum(0)
    assert int(counts.sum()) == 600
    assert 75 < int(counts.min()) <= int(counts.max()) < 165  # 120 each: 4.6 standard deviations
