"""Patches: against all places tried one by one, and on a network."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Patch, parse

N, SHAPE = 4, (2, 6, 5)


def drawn(seed: int) -> Tensor:
    return torch.randn(N, *SHAPE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def inputs() -> Tensor:
    return torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(9), dtype=torch.float64)


def every_place(delta: Tensor, side: int) -> list[Tensor]:
    """δ in one square after the other, 0 outside."""
    out = []
    for i in range(SHAPE[1] - side + 1):
        for j in range(SHAPE[2] - side + 1):
            one = torch.zeros_like(delta)
            one[:, :, i : i + side, j : j + side] = delta[:, :, i : i + side, j : j + side]
            out.append(one)
    return out


@pytest.mark.parametrize("side", [1, 3])
def test_weighted_projection_is_the_best_of_all_places(side: int) -> None:
    ball, x, delta, radius = Patch(), inputs(), drawn(1), torch.full((N,), float(side)).double()
    weight = drawn(2).square()
    inside = (x + delta).clamp(0, 1) - x
    far = torch.stack([(weight * (one - delta).square()).flatten(1).sum(1) for one in every_place(inside, side)])
    found = ball.project_weighted(x, delta, radius, weight)
    torch.testing.assert_close((weight * (found - delta).square()).flatten(1).sum(1), far.amin(0))
    assert (ball.size(x, found) <= side).all()


@pytest.mark.parametrize("side", [1, 2, 4, 5])
def test_projection_and_oracle_are_the_best_of_all_places(side: int) -> None:
    ball, x, delta, radius = Patch(), inputs(), drawn(1), torch.full((N,), side + 0.5).double()
    found = ball.project(x, delta, radius)
    inside = (x + delta).clamp(0, 1) - x
    apart = torch.stack([(one - delta).flatten(1).norm(dim=1) for one in every_place(inside, side)])
    torch.testing.assert_close((found - delta).flatten(1).norm(dim=1), apart.amin(0))
    best = ball.lmo(x, delta, radius)
    corner = torch.where(delta > 0, 1 - x, -x)
    gains = torch.stack([(one * delta).flatten(1).sum(1) for one in every_place(corner, side)])
    torch.testing.assert_close((best * delta).flatten(1).sum(1), gains.amax(0))
    for one in (found, best, ball.sample(x, radius, Noise.seeded(0, torch.arange(N)))):
        assert (ball.size(x, one) <= side).all()
        assert ((x + one >= -1e-12) & (x + one <= 1 + 1e-12)).all()


def test_the_size_is_the_side_of_the_smallest_square() -> None:
    x, delta = inputs(), torch.zeros(N, *SHAPE).double()
    delta[1, 0, 2, 3] = 1.0
    delta[2, 0, 1, 1] = delta[2, 1, 4, 2] = 0.1
    delta[3] = 1.0
    assert Patch().size(x, delta).tolist() == [0, 1, 4, 6]
    fixed = Patch(row=1, column=2)
    assert fixed.size(x, delta).tolist() == [0, 2, torch.inf, torch.inf]
    assert not fixed.project(x, drawn(2), torch.full((N,), 2.0).double())[:, :, 3:].any()
    assert fixed.project(x, drawn(2), torch.full((N,), 2.0).double())[:, :, 1:3, 2:4].all()


def test_each_sample_has_its_own_side_and_a_mask_holds() -> None:
    mask = torch.ones(1, *SHAPE, dtype=torch.bool)
    mask[..., :3] = False
    ball, x, radius = Patch(mask=mask), inputs(), torch.tensor([0.0, 1.0, 2.0, 9.0]).double()
    found = ball.project(x, drawn(3), radius)
    assert ball.size(x, found).tolist() == [0, 1, 2, 6]
    assert not (found * ~mask).any()


def test_it_is_written_with_a_place_or_without() -> None:
    assert parse("patch:5@3,4") == Patch(5.0, row=3, column=4)
    assert str(parse("patch:5@3,4")) == "patch(row=3,column=4):5.0"
    assert parse(str(parse("patch:5@3,4"))) == parse("patch:5@3,4")
    assert parse("patch:5") == Patch(5.0)
    for words, says in (("patch:5@3", "a row and a column"), ("patch:5@-1,2", "a row"), ("patch(row=3):5", "neither")):
        with pytest.raises(ThreatError, match=says):
            parse(words)


def test_the_best_place_misleads_more_than_a_fixed_one_and_slopes_more_than_scores() -> None:
    """n = 30."""
    net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:30]")
    anywhere, there = Patch(5.0), Patch(5.0, row=0, column=0)
    free, fixed = (sp.attacks.triage(net, data.x, data.y, t, steps=20, rounds=2) for t in (anywhere, there))
    assert int(free.met.sum()) > int(fixed.met.sum()) + 5
    scores = sp.wrap(net, access="scores")
    asked = sp.attacks.sparse_rs(scores, data.x, data.y, anywhere, steps=150)
    assert int(fixed.met.sum()) < int(asked.met.sum())
    assert (asked.size <= 5).all()
    least = sp.attacks.fmn(net, data.x, data.y, Patch(), steps=30)
    assert least.met.all()
    assert float(least.size.median()) <= 5


def test_a_patch_outside_of_the_picture_is_refused() -> None:
    x = torch.rand(2, 1, 6, 8)
    sp.Patch(2, row=5, column=7).radii(x)
    for row, column in ((6, 0), (0, 8)):
        with pytest.raises(ThreatError, match="pictures have 6 rows and 8 columns: it would change nothing"):
            sp.Patch(2, row=row, column=column).radii(x)


@pytest.mark.parametrize("bounds", [(0.0, 255.0), (-100.0, 100.0)])
def test_steps_are_as_long_as_the_box_is_wide(bounds: tuple[float, float]) -> None:
    """The same attack, in other units, finds the same."""
    low, high = bounds
    net = sp.zoo.load("fashion-standard")
    data = sp.zoo.data.load("fashion-mnist-1k[:8]")
    inside = sp.wrap(lambda z: net((z - low) / (high - low)), bounds=bounds)
    other = sp.attacks.bim(inside, low + (high - low) * data.x, data.y, sp.Patch(6))
    plain = sp.attacks.bim(net, data.x, data.y, sp.Patch(6))
    torch.testing.assert_close((other.x_adv - low) / (high - low), plain.x_adv, atol=2e-3, rtol=0)


def test_pgd_leaves_a_random_place_for_the_best_one() -> None:
    """On a linear model 40 steps reach most of what the oracle does."""
    weights = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    net[1].weight.data = torch.cat([torch.zeros(1, 36), weights.view(1, 36)])
    net[1].bias.data = torch.tensor([50.0, 0.0])
    x, threat = torch.full((8, 1, 6, 6), 0.5), sp.Patch(3)
    best = (weights * threat.lmo(x, weights.expand_as(x), threat.radii(x))).flatten(1).sum(1)
    found = sp.attacks.pgd(net, x, torch.zeros(8, dtype=torch.long), threat)
    assert float(((weights * found.delta).flatten(1).sum(1) / best).min()) > 0.99
