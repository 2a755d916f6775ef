"""Slopes that lead away from the data: closed forms of the alignment, and rules that raise it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import linear_backward, skip_backward, soft_backward
from saddlepoint.attacks.intrinsic import alignment, intrinsic
from saddlepoint.errors import AccessError, DataError, OptionError

D, N = 10, 400
X = 0.5 + 0.2 * torch.randn(N, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.zeros(N, dtype=torch.long)


class Bowl(nn.Module):
    """Class 0 the nearer to the middle: the slope of its loss leads straight away from it."""

    def __init__(self, sign: float = 1.0) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, x: Tensor) -> Tensor:
        value = self.sign * (x - 0.5).square().sum(1)
        return torch.stack([-value, torch.zeros_like(value)], 1)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last, self.head = nn.Linear(D, 8), nn.ReLU(), nn.Linear(8, D), nn.Linear(D, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x + self.last(self.act(self.first(x))))


@pytest.mark.parametrize("width", [0.05, 0.2])
def test_away_from_a_gaussian_it_is_the_length_of_the_score(width: float) -> None:
    """x̃ is normal of variance s² = 0.2² + width² around the middle: E |x̃ - m| / s² = √2 Γ((D+1)/2) / Γ(D/2) / s."""
    spread = math.sqrt(0.2**2 + width**2)
    best = math.sqrt(2) * math.gamma((D + 1) / 2) / math.gamma(D / 2) / spread
    wide = sp.wrap(Bowl(), bounds=(-9, 9))
    assert alignment(wide, X, Y, width=width, draws=8) == pytest.approx(best, rel=0.04)
    toward = sp.wrap(Bowl(-1.0), bounds=(-9, 9))
    assert alignment(toward, X, Y, width=width, draws=8) == pytest.approx(-best, rel=0.04)


def test_a_slope_that_knows_nothing_of_the_data_has_none() -> None:
    linear = nn.Sequential(nn.Linear(D, 3)).double()
    linear[0].weight.data[1:] = linear[0].weight.data[1]  # two classes: one direction everywhere
    assert alignment(sp.wrap(linear, bounds=(-9, 9)), X, Y) == pytest.approx(0, abs=1e-9)


def test_it_does_not_depend_on_batches_or_order() -> None:
    net = sp.wrap(Bowl(), bounds=(-9, 9))
    small = sp.wrap(Bowl(), bounds=(-9, 9), batch_size=7)
    assert alignment(net, X, Y) == pytest.approx(alignment(small, X, Y), rel=1e-12)
    assert alignment(net, X, Y) != alignment(net, X, Y, seed=1)


def test_soft_backward_is_the_slope_of_the_softplus() -> None:
    torch.manual_seed(0)
    for inplace in (False, True):
        net = nn.Sequential(nn.Linear(D, 6), nn.ReLU(inplace), nn.Linear(6, 3)).double()
        model = sp.wrap(net, bounds=(-9, 9), bpda=soft_backward(net, 3.0))
        with model.quiet():
            x = X[:5].clone().requires_grad_()
            out = model(x)
            (seen,) = torch.autograd.grad(out[:, 1].sum(), x)
        with torch.no_grad():
            assert torch.equal(out, net(X[:5]))
            gate = torch.sigmoid(3.0 * net[0](X[:5]))
            torch.testing.assert_close(seen, (gate * net[2].weight[1]) @ net[0].weight)
    hard = sp.wrap(net, bounds=(-9, 9), bpda=soft_backward(net, 1e9))
    with hard.quiet():
        (near,) = torch.autograd.grad(hard(x)[:, 1].sum(), x)
    (true,) = torch.autograd.grad(net(x)[:, 1].sum(), x)
    torch.testing.assert_close(near, true)


def test_the_best_of_what_is_tried_is_kept() -> None:
    torch.manual_seed(1)
    net = Residual().double()
    own = sp.wrap(net, bounds=(-9, 9))
    found = intrinsic(own, X, Y, stages=["last"], betas=(1.0, 5.0), decays=(0.1, 0.5, 1.0), draws=2)
    again = {}
    for beta in (1.0, 5.0):
        for decay in (0.1, 0.5, 1.0):
            rule = {**soft_backward(net, beta), **skip_backward(net, "last", decay)}
            again[beta, decay] = alignment(sp.wrap(net, bounds=(-9, 9), bpda=rule), X, Y, draws=2)
    assert found.alignment == again[found.beta, found.decays["last"]]
    assert again[found.beta, 1.0] == max(again[1.0, 1.0], again[5.0, 1.0])
    assert found.alignment == max(value for (beta, _), value in again.items() if beta == found.beta)
    assert found.before == alignment(own, X, Y, draws=2)
    assert own.stand_ins == {}
    assert set(found.model.stand_ins) == {"act", "last"}


def test_it_combines_with_every_attack_and_other_rules() -> None:
    data, net = sp.zoo.data.load("fashion-mnist-1k[:24]"), sp.zoo.load("fashion-standard")
    straight = sp.wrap(net, bpda=linear_backward(net, after="features.6"))
    found = intrinsic(straight, data.x, data.y, betas=(5.0, 20.0), draws=2)
    assert found.model.stand_ins["features.8"] is straight.stand_ins["features.8"]
    assert torch.equal(found.model(data.x), straight(data.x))
    for attack in (sp.attacks.mi_fgsm, sp.attacks.transferable):
        made = attack(found.model, data.x, data.y, sp.Linf(0.1), steps=3)
        assert not torch.equal(made.x_adv, attack(straight, data.x, data.y, sp.Linf(0.1), steps=3).x_adv)


def test_what_makes_no_sense_is_refused() -> None:
    net = nn.Sequential(nn.Linear(D, 3)).double()
    with pytest.raises(OptionError, match="no ReLU is a module"):
        soft_backward(net, 5.0)
    with pytest.raises(OptionError, match="beta must be a number above 0, got 0"):
        soft_backward(net, 0.0)
    with pytest.raises(OptionError, match="width must be more than 0"):
        alignment(sp.wrap(net, bounds=(-9, 9)), X, Y, width=0.0)
    with pytest.raises(DataError, match="there are no inputs"):
        alignment(sp.wrap(net, bounds=(-9, 9)), X[:0], Y[:0])
    with pytest.raises(AccessError, match="alignment needs gradients"):
        alignment(sp.wrap(net, bounds=(-9, 9), access="scores"), X, Y)
    with pytest.raises(OptionError, match="a backward rule is for modules"):
        intrinsic(lambda x: x, X, Y)
    with pytest.raises(OptionError, match="nothing to try"):
        intrinsic(Residual().double(), X, Y, betas=())
