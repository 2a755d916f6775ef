"""Rotations, shifts, flows and maps of colors against what they must give."""

from __future__ import annotations

import math

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.objectives.roughness import roughness
from saddlepoint.sets.recolor import from_rgb, to_rgb
from saddlepoint.sets.spatial import grid

X = torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def turned(*parameters: float, x: torch.Tensor = X, **options: float) -> torch.Tensor:
    delta = torch.tensor([parameters], dtype=x.dtype).expand(len(x), 3)
    return sp.Spatial(**options).apply(x, delta)


def test_a_quarter_turn_is_that_of_the_grid() -> None:
    torch.testing.assert_close(turned(1, 0, 0, degrees=90), X.rot90(1, (2, 3)))
    torch.testing.assert_close(turned(-1, 0, 0, degrees=90), X.rot90(-1, (2, 3)))
    torch.testing.assert_close(turned(1, 0, 0, degrees=180), X.rot90(2, (2, 3)))
    wide = torch.rand(1, 1, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(turned(1, 0, 0, x=wide, degrees=180), wide.flip(2, 3))


def test_a_shift_moves_right_and_down_and_lets_black_in() -> None:
    right = turned(0, 1, 0, pixels=2)
    torch.testing.assert_close(right[..., 2:], X[..., :-2])
    assert float(right[..., :2].abs().max()) < 1e-12
    down = turned(0, 0, 0.5, pixels=2)
    torch.testing.assert_close(down[:, :, 1:], X[:, :, :-1])
    below = sp.Spatial(pixels=1, box=Box(-1.0, 1.0)).apply(X, torch.tensor([[0.0, -1, 0]], dtype=X.dtype).expand(2, 3))
    torch.testing.assert_close(below[..., :-1], X[..., 1:])
    torch.testing.assert_close(below[..., -1], torch.full_like(below[..., -1], -1))


def test_a_turn_and_a_shift_are_a_turn_then_a_shift() -> None:
    first = sp.Spatial(degrees=90).apply(X, torch.tensor([[1.0, 0, 0]], dtype=X.dtype).expand(2, 3))
    second = sp.Spatial(pixels=1).apply(first, torch.tensor([[0.0, 1, 0]], dtype=X.dtype).expand(2, 3))
    torch.testing.assert_close(turned(1, 1, 0, degrees=90, pixels=1), second)


def test_the_grid_holds_all_and_begins_with_nothing() -> None:
    points = grid(31, 5)
    assert len(points) == len(set(points)) == 775
    assert points[0] == (0, 0, 0)
    assert sorted({round(point[0] * 30, 9) for point in points}) == [2 * k for k in range(-15, 16)]
    assert sorted({point[1] for point in points}) == [-1, -0.5, 0, 0.5, 1]
    assert grid(1, 1) == [(0, 0, 0)]


def test_the_grid_finds_the_one_turn_that_fools() -> None:
    class Upright(torch.nn.Module):
        """Class 1 for a bright top left corner."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.full_like(x[:, 0, 0, 0], 0.5), x[:, 0, 0, 0]], 1)

    x = torch.zeros(1, 1, 5, 5)
    x[0, 0, 0, 4] = 1  # a quarter turn counterclockwise brings it to the top left
    threat, y = sp.Spatial(1.0, degrees=90, pixels=0), torch.tensor([0])
    found = sp.attacks.grid(Upright(), x, y, threat, angles=5, shifts=1)
    assert found.met.tolist() == [True]
    assert found.delta.tolist() == [[1.0, 0.0, 0.0]]
    assert not bool(sp.attacks.grid(Upright(), x, y, threat, angles=3, shifts=1, budget=4).met.any())
    assert not bool(sp.attacks.pgd(Upright(), x, y, threat, steps=20).met.any())  # no slope leads there


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ThreatError, match="0 or more"):
        sp.Spatial(degrees=-1)
    with pytest.raises(ThreatError, match="at least 2 nodes"):
        sp.Recolor(nodes=1)


def test_the_same_flow_everywhere_is_a_shift_and_not_rough() -> None:
    flow = torch.zeros(2, 2, 6, 6, dtype=X.dtype)
    flow[:, 0] = -1
    torch.testing.assert_close(sp.Flow().apply(X, flow)[..., 1:], X[..., :-1])
    problem = None
    assert roughness(problem, flow).tolist() == [0, 0]  # type: ignore[arg-type]
    flow[0, 1, 2, 2] += 3  # four neighbors
    assert roughness(problem, flow).tolist() == pytest.approx([12, 0], abs=1e-2)  # type: ignore[arg-type]


def test_the_size_of_a_flow_is_its_longest_vector() -> None:
    flow = torch.zeros(2, 2, 6, 6, dtype=X.dtype)
    flow[0, :, 1, 1], flow[1, :, 2, 3] = torch.tensor([3.0, 4.0]), torch.tensor([0.0, -2.0])
    assert sp.Flow().size(X, flow).tolist() == [5, 2]
    near = sp.Flow().project(X, flow, torch.tensor([1.0, 3.0], dtype=X.dtype))
    torch.testing.assert_close(near[0, :, 1, 1], torch.tensor([0.6, 0.8], dtype=X.dtype))
    assert torch.equal(near[1], flow[1])


def test_slopes_are_finite_where_nothing_flows() -> None:
    flow = torch.zeros(2, 2, 6, 6, dtype=X.dtype, requires_grad=True)
    (sp.Flow().apply(X, flow).square().sum() + roughness(None, flow).sum()).backward()  # type: ignore[arg-type]
    assert flow.grad is not None
    assert bool(flow.grad.isfinite().all())
    assert bool(flow.grad.any())


def test_colors_survive_the_way_to_luv_and_back() -> None:
    corners = torch.tensor([0.0, 0.02, 0.2, 0.5, 1.0], dtype=torch.float64)
    colors = torch.cartesian_prod(corners, corners, corners).T.reshape(1, 3, 125, 1)
    back = to_rgb(from_rgb(colors))
    torch.testing.assert_close(back, colors, atol=1e-3, rtol=0)
    white = from_rgb(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, torch.tensor([1.0, 0.5, 0.5]), atol=1e-3, rtol=0)
    red = from_rgb(torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)).flatten()  # L 53.2, u 175, v 37.8
    torch.testing.assert_close(red, torch.tensor([0.532, 1.375, 0.689]), atol=2e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_colors_stay_equal(channels: int) -> None:
    palette = torch.rand(1, channels, 1, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = palette.repeat(1, 1, 5, 1)
    threat = sp.Recolor(nodes=5)
    delta = 0.1 * torch.randn(threat.zero(x).shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    out = threat.apply(x, delta)
    torch.testing.assert_close(out, out[:, :, :1].expand_as(out))
    assert float((out - x).abs().max()) > 0.01


def test_a_color_between_nodes_moves_in_proportion() -> None:
    x = torch.tensor([0.25], dtype=torch.float64).view(1, 1, 1, 1)
    delta = torch.tensor([0.0, 0.1, 0.0], dtype=torch.float64).view(1, 1, 3, 1, 1)
    assert float(sp.Recolor(nodes=3).apply(x, delta)) == pytest.approx(0.30)


def test_slopes_are_finite_at_black_and_white() -> None:
    for level in (0.0, 1.0):
        x = torch.full((1, 3, 2, 2), level)
        delta = torch.zeros_like(sp.Recolor(nodes=3).zero(x)).requires_grad_()
        sp.Recolor(nodes=3).apply(x, delta).sum().backward()
        assert delta.grad is not None
        assert bool(delta.grad.isfinite().all())


def test_channels_that_are_no_colors_are_refused() -> None:
    with pytest.raises(ThreatError, match="1 or 3 channels, these have 2"):
        sp.Recolor(0.1).radii(torch.rand(1, 2, 4, 4))
    with pytest.raises(ThreatError, match="black and white"):
        sp.Recolor(0.1, box=Box(0.0, math.inf)).radii(torch.rand(1, 3, 4, 4))
