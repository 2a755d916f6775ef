"""Every line must stay on its side of its function, seen on a far finer grid than the one it was found on."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.lines import Entrywise, LeakyReLU
from saddlepoint.certificates.pooling import MaxPool
from saddlepoint.certificates.rows import Dense
from saddlepoint.certificates.smooth import GELUS, SIGMOID, SILU, TANH, Smooth, softplus

SMOOTH: dict[str, Smooth] = {
    "silu": SILU,
    "tanh": TANH,
    "sigmoid": SIGMOID,
    "gelu": GELUS["none"],
    "gelu-tanh": GELUS["tanh"],
    "softplus": softplus(3.0, 20.0),
}
SHAPES: dict[str, tuple[Entrywise, float]] = {
    **{name: (f, 0.03) for name, f in SMOOTH.items()},
    "relu": (LeakyReLU(), 0.0),
    "leaky": (LeakyReLU(0.3), 0.0),
}


def ends(n: int = 300) -> Interval:
    """Intervals of widths from 0 to 20, around points from -8 to 8: [1, n]."""
    generator = torch.Generator().manual_seed(0)
    center = 16 * torch.rand(1, n, generator=generator, dtype=torch.float64) - 8
    width = 20 * torch.rand(1, n, generator=generator, dtype=torch.float64) ** 4
    width[0, :5] = 0
    return Interval(center - width / 2, center + width / 2)


def value(shape: Entrywise, z: torch.Tensor) -> torch.Tensor:
    return shape.f(z) if isinstance(shape, Smooth) else functional.leaky_relu(z, shape.slope)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SHAPES)
def test_lines_and_intervals_hold_the_function(name: str) -> None:
    shape, _ = SHAPES[name]
    z = ends()
    lines, (low, high) = shape.relax(z), shape.interval(z)
    for share in torch.linspace(0, 1, 1999, dtype=torch.float64):
        point = (z.low + share * (z.high - z.low)).clamp(z.low, z.high)
        f = value(shape, point)
        assert bool((lines.slope_low * point + lines.low <= f).all())
        assert bool((f <= lines.slope_high * point + lines.high).all())
        assert bool(((low <= f) & (f <= high)).all())


@pytest.mark.parametrize("name", SHAPES)
def test_lines_touch_the_function_where_the_interval_is_short(name: str) -> None:
    shape, slack = SHAPES[name]
    z = ends()
    short = ((z.high - z.low) < 0.5).squeeze(0)
    z = Interval(z.low[:, short], z.high[:, short])
    lines, middle = shape.relax(z), (z.low + z.high) / 2
    gap = (lines.slope_high - lines.slope_low) * middle + lines.high - lines.low
    stable = (z.low >= 0) | (z.high <= 0)
    assert float(gap[stable].max()) <= 1e-6 + 3 * slack
    point = Interval(middle, middle)
    assert float((shape.relax(point).high - shape.relax(point).low).max()) < 1e-6


@pytest.mark.parametrize("name", SMOOTH)
def test_the_stated_bend_is_at_least_the_true_one_and_near_it(name: str) -> None:
    shape = SMOOTH[name]
    z = torch.linspace(-6, 6, 40001, dtype=torch.float64)
    h = 1e-3
    bend = float(((shape.f(z + h) - 2 * shape.f(z) + shape.f(z - h)) / h**2).abs().max())
    assert bend <= shape.bend * (1 + 1e-6)
    assert shape.bend < 1.1 * bend
    slope = (shape.f(z + h) - shape.f(z - h)) / (2 * h)
    assert float((slope - shape.slope(z)).abs().max()) < 2e-2


def test_the_maximum_lies_between_its_bounds() -> None:
    """n = 400 points in each of 4 samples, every one with rows of both signs; some windows have a sure maximum."""
    generator = torch.Generator().manual_seed(0)
    center, width = (torch.rand(4, 2, 6, 6, generator=generator, dtype=torch.float64) for _ in range(2))
    scale = torch.tensor([1e-3, 0.1, 0.5, 2.0], dtype=torch.float64).view(-1, 1, 1, 1)
    z = Interval(center - scale * width, center + scale * width)
    for pool in (
        MaxPool((2, 6, 6), (2, 2), (2, 2), (0, 0), (1, 1)),
        MaxPool((2, 6, 6), (3, 2), (2, 1), (1, 0), (1, 2)),
    ):
        out = pool.interval(z)
        a = torch.randn(4, 5, *out.low.shape[1:], generator=generator, dtype=torch.float64)
        chosen = pool.relax(z)
        assert 0 < float(chosen.above.sum()) < float(chosen.below.sum())
        (rows,), constant = chosen.back(Dense(a))
        for _ in range(400):
            ends_only = torch.rand(4, 2, 6, 6, generator=generator, dtype=torch.float64).round()
            x = torch.where(ends_only > 0, z.high, z.low)
            value = functional.max_pool2d(x, pool.kernel, pool.stride, pool.padding, pool.dilation)
            true = (a * value.unsqueeze(1)).flatten(2).sum(2)
            bound = (rows.a * x.unsqueeze(1)).flatten(2).sum(2) + constant
            assert bool((bound <= true + 1e-12).all())
