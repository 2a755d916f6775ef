"""What a poor camera does: nothing at 0, something by each number, the same each time."""

from __future__ import annotations

import pytest
import torch

import saddlepoint as sp
from saddlepoint.zoo.camera import CAMERA, pairs, spoiled

X = sp.zoo.data.load("fashion-mnist-1k[:6]").x.double()
UNIT = torch.eye(CAMERA.width, dtype=torch.float64)


def test_nothing_happens_at_0() -> None:
    assert torch.equal(spoiled(X, CAMERA.encode(X)), X)


@pytest.mark.parametrize("i", range(CAMERA.width))
def test_every_number_does_something(i: int) -> None:
    before = 0.3 * UNIT[6].expand(len(X), -1)  # something covers a part, so that its place matters
    after = spoiled(X, before + 0.7 * UNIT[i])
    apart = (after - spoiled(X, before)).flatten(1).abs().amax(1)
    assert float(apart.min()) > 0.02
    assert 0 <= float(after.min()) <= float(after.max()) <= 1


def test_light_and_contrast_are_what_they_say() -> None:
    gray = torch.full((1, 3, 8, 8), 0.5, dtype=torch.float64)
    inside = (slice(None), slice(None), slice(3, 5), slice(3, 5))  # where no blur reaches beyond the border
    assert float(spoiled(gray, UNIT[4:5])[inside].mean()) == pytest.approx(0.7)
    assert float(spoiled(gray, -UNIT[5:6])[inside].mean()) == pytest.approx(0.3)


def test_what_covers_is_gray_a_quarter_of_the_side_and_moves() -> None:
    black = torch.zeros(1, 1, 32, 32, dtype=torch.float64)
    corner = spoiled(black, UNIT[6:7] - UNIT[7:8] - UNIT[8:9])[0, 0]
    expected = torch.zeros(32, 32, dtype=torch.float64)
    expected[:8, :8] = 0.5
    assert float((corner - expected).abs().sum()) < 0.1 * 32  # but for the soft edges
    assert torch.equal(spoiled(black, -UNIT[6:7]), black)


def test_slopes_are_those_of_differences() -> None:
    at = torch.linspace(0.11, 0.53, CAMERA.width, dtype=torch.float64)[None]
    way = torch.randn(1, CAMERA.width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    told = torch.autograd.functional.jvp(lambda d: spoiled(X[:1], d), at, way)[1]
    seen = (spoiled(X[:1], at + 1e-6 * way) - spoiled(X[:1], at - 1e-6 * way)) / 2e-6
    assert float((told - seen).abs().quantile(0.99)) < 1e-4  # the rest lies at a kink


def test_pairs_owe_themselves_to_the_seed() -> None:
    assert torch.equal(pairs(X), pairs(X))
    torch.testing.assert_close(pairs(X)[:2], pairs(X[:2]))
    assert not torch.allclose(pairs(X), pairs(X, seed=1), atol=1e-2)
