"""Stripes and the grid of bumps: what they look like, and that they spend the radius."""

from __future__ import annotations

import pytest
import torch

import saddlepoint as sp
from saddlepoint.core import Problem, untargeted
from saddlepoint.core.problem import PerturbationSet
from saddlepoint.initializers import BumpGrid, stripes
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin


def problem(x: torch.Tensor, threat: PerturbationSet, radius: float) -> Problem:
    n = len(x)
    access = sp.wrap(lambda z: z.flatten(1)[:, :2]).access(n)
    goal = untargeted(torch.zeros(n, dtype=torch.long))
    noise = Noise.seeded(0, torch.arange(n))
    return Problem(access, x, goal, threat, margin, noise, x.new_full((n,), radius), x.new_zeros(n))


def test_stripes_are_constant_down_each_column_of_each_channel() -> None:
    x = torch.full((40, 3, 6, 7), 0.5)
    delta = stripes(problem(x, sp.Linf(0.25), 0.25))
    assert torch.equal(delta.abs(), torch.full_like(x, 0.25))
    assert torch.equal(delta, delta[:, :, :1].expand_as(delta))
    assert abs(float(delta.mean())) < 4 * 0.25 / (40 * 21) ** 0.5


def test_stripes_stop_at_the_box() -> None:
    x = torch.tensor([0.0, 1.0]).expand(8, 2).reshape(8, 1, 1, 2).contiguous()
    delta = stripes(problem(x, sp.Linf(0.25), 0.25))
    assert set(delta.flatten().tolist()) == {-0.25, 0.0, 0.25}
    assert bool(((x + delta >= 0) & (x + delta <= 1)).all())


@pytest.mark.parametrize(("p", "threat"), [(2, sp.L2(0.5)), (1, sp.L1(3.0))])
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 9, 12), (1, 3, 3), (2, 30), (50,), (1,)])
def test_the_grid_spends_the_radius(p: int, threat: sp.L2, shape: tuple[int, ...]) -> None:
    x = torch.full((4, *shape), 0.5, dtype=torch.float64)
    delta = BumpGrid(p)(problem(x, threat, threat.radius))
    reach = torch.minimum(torch.full((4,), threat.radius, dtype=torch.float64), threat.largest(x))
    torch.testing.assert_close(threat.size(x, delta), reach)


def test_the_grid_has_five_by_five_cells_inside_a_margin() -> None:
    x = torch.full((1, 1, 28, 28), 0.5, dtype=torch.float64)
    delta = BumpGrid(2)(problem(x, sp.L2(0.1), 0.1))[0, 0]
    used = delta.abs() > 0
    assert bool(used[1:26, 1:26].all())
    assert int(used.sum()) == 25 * 25
    norms = delta[1:26, 1:26].reshape(5, 5, 5, 5).transpose(1, 2).flatten(2).norm(dim=2)
    torch.testing.assert_close(norms, torch.full((5, 5), 0.1 / 5, dtype=torch.float64))


def test_samples_have_their_own_signs() -> None:
    x = torch.full((6, 1, 10, 10), 0.5)
    for begin, threat in ((stripes, sp.Linf(0.1)), (BumpGrid(2), sp.L2(0.1))):
        delta = begin(problem(x, threat, 0.1))
        assert len({tuple(row.flatten().sign().tolist()) for row in delta}) == 6
