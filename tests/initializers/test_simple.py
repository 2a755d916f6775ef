from __future__ import annotations

import pytest
import scipy.stats
import torch

from saddlepoint.access import GradientAccess, wrap
from saddlepoint.core import Problem, untargeted
from saddlepoint.initializers import gaussian, surface, uniform, zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L0, L1, L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing.problems import MLP, SHAPE

N = 6
RADII = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], dtype=torch.float64)


def problem(ball: Ball, x: torch.Tensor | None = None, seed: int = 0) -> Problem[GradientAccess]:
    access = wrap(MLP()).access(N)
    assert isinstance(access, GradientAccess)
    gray = torch.full((N, *SHAPE), 0.5, dtype=torch.float64) if x is None else x
    noise = Noise.seeded(seed, torch.arange(N))
    return Problem(access, gray, untargeted(torch.zeros(N, dtype=torch.long)), ball, margin, noise, RADII, RADII)


def test_zero_is_no_perturbation() -> None:
    assert (zero(problem(Linf())) == 0).all()


@pytest.mark.parametrize("ball", [Linf(), L2(), L1(), L0()])
@pytest.mark.parametrize("start", [uniform, surface, gaussian])
def test_starts_are_feasible_random_and_differ_between_samples(ball: Ball, start: object) -> None:
    corners = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round()
    for x in (None, corners):
        asked = problem(ball, x)
        if isinstance(ball, L0):
            asked = Problem(**{**vars(asked), "radius": torch.arange(N, dtype=torch.float64)})
        delta = start(asked)  # type: ignore[operator]
        assert asked.within(ball.size(asked.x, delta)).all()
        assert ((asked.x + delta >= 0) & (asked.x + delta <= 1)).all()
        assert (delta[0] == 0).all()
        assert all(bool((delta[i] != delta[j]).any()) for i in range(1, N) for j in range(1, i))
        other = start(problem(ball, x, seed=1))  # type: ignore[operator]
        assert bool((other[5] != delta[5]).any())


def test_surface_starts_on_the_surface_where_the_box_allows() -> None:
    for ball in (Linf(), L2(), L1()):
        asked = problem(ball)
        assert torch.allclose(ball.size(asked.x, surface(asked)), RADII)


def test_uniform_starts_fill_the_ball_evenly() -> None:
    n, d = 4000, 36
    x = torch.full((n, *SHAPE), 0.5, dtype=torch.float64)
    radius = torch.full((n,), 0.25, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(n))
    sizes = L2().size(x, L2().sample(x, radius, noise))
    assert scipy.stats.kstest(((sizes / 0.25) ** d).numpy(), "uniform").pvalue > 1e-4
    entries = Linf().sample(x, radius, noise)[:, 0, 0, 0]
    assert scipy.stats.kstest((entries / 0.5 + 0.5).numpy(), "uniform").pvalue > 1e-4
