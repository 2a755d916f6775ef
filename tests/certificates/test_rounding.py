"""Bounds computed in single precision must hold for the network in exact arithmetic, and as it is computed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.certificates import certify
from saddlepoint.certificates.examine import examined
from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.passes import intervals
from saddlepoint.sets import Linf


@pytest.mark.parametrize("name", ["fashion-standard", "fashion-smooth"])
def test_intervals_around_a_point_hold_its_logits_in_both_precisions(name: str) -> None:
    """n = 20 images: what the intervals are wide is rounding alone, and the two answers are different."""
    x = sp.zoo.data.load("fashion-mnist-1k[:20]").x
    net, exact = sp.zoo.load(name), sp.zoo.models.load(name, torch.float64)
    with examined(sp.wrap(net), x) as (graph, clean):
        low, high = intervals(graph, Interval(x, x))[graph.output]
        true = exact(x.double())
    assert not torch.equal(clean.double(), true)
    for logits in (clean, true):
        assert bool(((low <= logits) & (logits <= high)).all())


@pytest.mark.parametrize("name", ["fashion-standard", "fashion-smooth"])
def test_at_radius_zero_every_bound_is_below_both_margins_and_near(name: str) -> None:
    """n = 6 images. The whole gap is the allowance for rounding."""
    data = sp.zoo.data.load("fashion-mnist-1k[:6]")
    net, exact = sp.zoo.load(name), sp.zoo.models.load(name, torch.float64)
    with torch.no_grad():
        y = net(data.x).argmax(1)
        margins = []
        for logits in (net(data.x).double(), exact(data.x.double())):
            top = logits.topk(2, dim=1).values
            margins.append(top[:, 0] - top[:, 1])
    least = torch.minimum(*margins)
    for method in ("ibp", "crown-ibp", "crown"):
        bound = certify(net, data.x, y, Linf(0.0), method=method).margin  # type: ignore[arg-type]
        assert bool((bound <= least).all())
        assert float((least - bound).max()) < 0.5


def test_a_sum_that_cancels_is_bounded_below_its_exact_value() -> None:
    """n = 50 sums of 64 products that nearly cancel, where single precision has no right digit left."""
    generator = torch.Generator().manual_seed(0)
    wrong_sign = 0
    for _ in range(50):
        net = nn.Linear(64, 2, bias=False)
        half = 1e3 * torch.randn(1, 32, generator=generator)
        row = torch.cat([half, -half * (1 + 1e-7 * torch.randn(1, 32, generator=generator))], 1)
        net.weight.data = torch.cat([row, torch.zeros(1, 64)])
        x = torch.rand(1, 32, generator=generator).repeat(1, 2)
        exact = float((row.double() * x.double()).sum())
        computed = float((net(x)[0, 0] - net(x)[0, 1]).detach())
        wrong_sign += computed * exact < 0
        proof = certify(net, x, torch.tensor([0]), Linf(0.0))
        assert float(proof.margin) <= min(exact, computed)
    assert wrong_sign > 2


def test_a_hidden_sum_that_cancels_is_bounded_below_its_exact_value() -> None:
    """n = 50: the coefficients on the input vanish, so that only the rounding inside the network is left."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        net = nn.Sequential(nn.Linear(32, 64, bias=False), nn.Linear(64, 2, bias=False))
        half = 1e3 * torch.randn(1, 32, generator=generator)
        row = torch.cat([half, -half * (1 + 1e-7 * torch.randn(1, 32, generator=generator))], 1)
        net[0].weight.data = torch.eye(32).repeat(2, 1)
        net[1].weight.data = torch.cat([row, torch.zeros(1, 64)])
        x = torch.rand(1, 32, generator=generator)
        exact = float((row.double() * x.double().repeat(1, 2)).sum())
        computed = float((net(x)[0, 0] - net(x)[0, 1]).detach())
        for method in ("ibp", "crown"):
            proof = certify(net, x, torch.tensor([0]), Linf(0.0), method=method)  # type: ignore[arg-type]
            assert float(proof.margin) <= min(exact, computed)
