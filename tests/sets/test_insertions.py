"""Units put in, against every way to put them in."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Insertions, parse

BOX = Box(0.0, 3.0)


def everything(x: Tensor, radius: int) -> Tensor:
    """All perturbations of one input [1, d] of whole numbers, [n, d]."""
    ways = itertools.product(*(range(int(3 - v) + 1) for v in x[0].tolist()))
    return torch.tensor([way for way in ways if sum(way) <= radius], dtype=x.dtype)


@pytest.mark.parametrize("seed", range(12))
def test_the_projection_is_the_nearest_of_all(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 4, (1, 4), generator=g).double()
    delta = 2.5 * torch.randn(1, 4, generator=g, dtype=torch.float64)
    radius = seed % 6
    every = everything(x, radius)
    least = (every - delta).square().sum(1).min()
    found = Insertions(box=BOX).project(x, delta, torch.tensor([float(radius)]).double())
    assert (every == found).all(1).any()
    torch.testing.assert_close((found - delta).square().sum(), least)


def test_of_equals_no_more_are_kept_than_the_radius_allows() -> None:
    x, delta = torch.zeros(1, 5), torch.full((1, 5), 2.0)
    found = Insertions(box=BOX).project(x, delta, torch.tensor([7.0]))
    assert sorted(found[0].tolist()) == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("seed", range(8))
def test_the_oracle_is_the_best_of_all(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    x, slope = torch.randint(0, 4, (1, 4), generator=g).double(), torch.randn(1, 4, generator=g, dtype=torch.float64)
    radius = torch.tensor([float(1 + seed % 5)]).double()
    every = everything(x, int(radius))
    threat = Insertions(box=BOX)
    found = threat.lmo(x, slope, radius)
    torch.testing.assert_close((found * slope).sum(), (every * slope).sum(1).max())
    one = everything(x, 1)
    torch.testing.assert_close((threat.steepest(x, slope) * slope).sum(), (one * slope).sum(1).max())


def test_what_is_taken_out_or_no_whole_unit_has_no_size() -> None:
    threat = Insertions(unit=0.5)
    deltas = torch.tensor([[0.5, 1.0], [-0.5, 0.0], [0.25, 0.0], [0.0, 0.0]])
    assert threat.size(torch.zeros(4, 2), deltas).tolist() == [3, torch.inf, torch.inf, 0]


def test_draws_are_of_the_set() -> None:
    x = torch.randint(0, 2, (50, 9), generator=torch.Generator().manual_seed(0)).double()
    threat, radius = Insertions(), torch.full((50,), 4.0).double()
    drawn = threat.sample(x, radius, Noise.seeded(0, torch.arange(50)))
    assert torch.equal(threat.size(x, drawn), torch.minimum(radius, (x == 0).sum(1)))
    assert set((x + drawn).flatten().tolist()) == {0, 1}
    torch.testing.assert_close(threat.project(x, drawn, radius), drawn)


def test_written_as_it_is_read() -> None:
    assert str(parse("insertions(unit=0.5):7")) == "insertions(unit=0.5):7.0"
    with pytest.raises(ThreatError, match="above 0"):
        Insertions(unit=0)
