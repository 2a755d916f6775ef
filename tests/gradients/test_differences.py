"""Estimates along other directions: known slopes, projections, costs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import ScoreAccess
from saddlepoint.core import Problem, untargeted
from saddlepoint.gradients import RGF, Differences, Tiled, coordinates, gaussian, sphere
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin

SHAPE = (2, 6, 5)
D = 60
W = torch.linspace(-2, 1, D, dtype=torch.float64).cos().view(SHAPE)


def problem(n: int, curved: float = 0.0) -> Problem[ScoreAccess]:
    """f(x) = <w, x> + curved · |x - 1/2|²."""

    def network(x: Tensor) -> Tensor:
        value = (x * W).flatten(1).sum(1) + curved * (x - 0.5).square().flatten(1).sum(1)
        return torch.stack([0 * value, value], 1)

    access = sp.wrap(network, output="logits").access(n)
    assert isinstance(access, ScoreAccess)
    zero = torch.zeros(n, dtype=torch.float64)
    x = torch.full((n, *SHAPE), 0.5, dtype=torch.float64)
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, untargeted(torch.zeros(n, dtype=torch.long)), sp.Linf(), margin, noise, zero + 0.1, zero)


def estimates(made: Differences, n: int, curved: float = 0.0) -> Tensor:
    return made(problem(n, curved), torch.zeros(n, *SHAPE, dtype=torch.float64))[1]


def tiles_of(slope: Tensor, side: int) -> Tensor:
    """The mean over each tile, by a loop."""
    _, height, width = slope.shape
    rows, columns = max(round(height / side), 1), max(round(width / side), 1)
    out = torch.zeros_like(slope)
    for i in range(height):
        for j in range(width):
            same = [
                (a, b)
                for a in range(height)
                for b in range(width)
                if (a * rows // height, b * columns // width) == (i * rows // height, j * columns // width)
            ]
            out[:, i, j] = torch.stack([slope[:, a, b] for a, b in same]).mean(0)
    return out


@pytest.mark.parametrize("opposite", [True, False])
@pytest.mark.parametrize("directions", [gaussian, sphere, Tiled(2), Tiled(3, sphere), Tiled(9)])
def test_the_mean_estimate_of_a_linear_slope_is_the_slope_or_its_projection(directions: object, opposite: bool) -> None:
    n = 4000
    found = estimates(Differences(directions, 2, 1e-3, opposite), n)  # type: ignore[arg-type]
    expected = tiles_of(W, directions.side) if isinstance(directions, Tiled) else W
    error = (found.mean(0) - expected) / (found.std(0) / n**0.5)
    assert float(error.square().mean()) < 1.9


@pytest.mark.parametrize("opposite", [True, False])
def test_all_coordinates_give_the_slope_itself(opposite: bool) -> None:
    found = estimates(Differences(coordinates, D, 1e-5, opposite), 3)
    torch.testing.assert_close(found, W.expand_as(found), rtol=1e-6, atol=1e-6)


def test_opposite_steps_cancel_what_is_even() -> None:
    """|x|² has no slope at 0; a step to one side sees σ |u|²."""
    even = estimates(Differences(coordinates, D, 1e-3), 2, curved=5.0)
    torch.testing.assert_close(even, W.expand_as(even), rtol=1e-6, atol=1e-6)
    odd = estimates(Differences(coordinates, D, 1e-3, opposite=False), 2, curved=5.0)
    torch.testing.assert_close(odd, (W + 5.0 * 1e-3 * D**0.5).expand_as(odd), rtol=1e-6, atol=1e-6)


def test_each_coordinate_comes_once_and_samples_begin_elsewhere() -> None:
    like, noise = torch.zeros(9, 7, 4), Noise.seeded(0, torch.arange(9))
    seen = torch.stack([coordinates(like, noise, k) for k in range(28)])
    assert torch.equal((seen > 0).sum(0), torch.ones(9, 7, 4, dtype=torch.long))
    assert len({tuple(row.flatten().tolist()) for row in seen[0]}) > 3


@pytest.mark.parametrize("directions", [gaussian, sphere, coordinates])
def test_directions_are_about_as_long_as_a_normal_one(directions: object) -> None:
    u = directions(torch.zeros(500, 60, dtype=torch.float64), Noise.seeded(0, torch.arange(500)), 3)  # type: ignore[operator]
    assert float(u.square().sum(1).mean()) == pytest.approx(60, rel=0.05)


def test_costs_are_counted() -> None:
    for made, price in ((RGF(7), 8), (Differences(sphere, 7), 15)):
        task = problem(3)
        made(task, torch.zeros_like(task.x))
        assert task.access.ledger.forwards.tolist() == [price] * 3
