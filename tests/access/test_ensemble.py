"""Several models as one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.access import ensemble, linear_backward
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.testing.problems import MLP, SHAPE

X = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ONE, TWO = MLP(seed=0), MLP(seed=1)


def test_logits_and_probabilities_are_averaged() -> None:
    torch.testing.assert_close(ensemble([ONE, TWO], [1, 3])(X), (ONE(X) + 3 * TWO(X)) / 4)
    fused = ensemble([ONE, TWO], [1, 3], fuse="probabilities")(X)
    torch.testing.assert_close(fused.exp(), (ONE(X).softmax(1) + 3 * TWO(X).softmax(1)) / 4)


def test_of_one_model_it_is_the_model() -> None:
    y = ONE(X).argmax(1)
    alone, same = (sp.attacks.get("pgd")(m, X, y, sp.Linf(0.05), steps=5) for m in (ONE, ensemble([ONE])))
    torch.testing.assert_close(alone.x_adv, same.x_adv)
    assert torch.equal(alone.forwards, same.forwards)


def test_a_weight_of_zero_leaves_a_model_out() -> None:
    torch.testing.assert_close(ensemble([ONE, TWO], [0, 1])(X), TWO(X))
    torch.testing.assert_close(ensemble([ONE, TWO], [0, 1], "probabilities")(X), TWO(X).log_softmax(1))


def test_each_member_keeps_its_own_preparation_and_backward_rule() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.ReLU(), nn.Linear(8, 4)).double()
    mine = sp.wrap(net, mean=[0.5], std=[0.1], bpda=linear_backward(net))
    both = ensemble([mine, TWO])
    torch.testing.assert_close(both(X), (mine(X) + TWO(X)) / 2)
    with both.quiet():
        x = X.clone().requires_grad_()
        (slope,) = torch.autograd.grad(both(x)[:, 0].sum(), x)
        other = X.clone().requires_grad_()
        (rest,) = torch.autograd.grad(TWO(other)[:, 0].sum(), other)
    straight = (net[3].weight @ net[1].weight)[0].view(1, *SHAPE) / 0.1
    torch.testing.assert_close(slope, (straight.expand_as(rest) + rest) / 2)


def test_members_are_left_as_found() -> None:
    nets = [nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(36, 4)).double().train() for _ in range(2)]
    sp.attacks.get("fgsm")(ensemble(nets), X, torch.zeros(6, dtype=torch.long), sp.Linf(0.1))
    assert all(net.training and net[1].training and net[2].weight.requires_grad for net in nets)


def test_more_sources_carry_further() -> None:
    """From two networks trained differently to a third: further than from either on average. n = 300."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:300]"), sp.Linf(0.1)
    one, two, third = (sp.zoo.load(f"fashion-{name}") for name in ("fgsm", "pgd-linf", "standard"))
    nets = {"one": one, "two": two, "both": ensemble([one, two]), "third": third}
    made = sp.transfer(nets, data=data, threat=threat, attacks=["mi_fgsm"], sources=["one", "two", "both"])
    single = [made.rate("mi_fgsm", name, "third").value for name in ("one", "two")]
    assert made.rate("mi_fgsm", "both", "third").value > sum(single) / 2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(OptionError, match="an ensemble needs a model"):
        ensemble([])
    with pytest.raises(OptionError, match="they must agree"):
        ensemble([sp.wrap(ONE, bounds=(0, 1)), sp.wrap(TWO, bounds=(-1, 1))])
    with pytest.raises(OptionError, match="gives no gradients"):
        ensemble([ONE, sp.wrap(TWO, access="scores")])
    with pytest.raises(OptionError, match="one for each of 2 models"):
        ensemble([ONE, TWO], [1.0])
    with pytest.raises(ModelError, match=r"know \[3, 4\] classes"):
        ensemble([ONE, MLP(3)])(X)
