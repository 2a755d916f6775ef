from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from saddlepoint.access import wrap
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.testing.problems import MLP, SHAPE, stochastic

X = torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Steps(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.round(8 * x.detach()) / 8


def stepped() -> nn.Sequential:
    return nn.Sequential(Steps(), MLP(seed=0))


def slope(model: nn.Module, x: Tensor, **how: object) -> tuple[Tensor, Tensor]:
    wrapped = wrap(model, **how)  # type: ignore[arg-type]
    x = x.clone().requires_grad_()
    with wrapped.quiet():
        answer = wrapped(x)
    if not answer.requires_grad:
        return answer.detach(), torch.zeros_like(x)
    return answer.detach(), torch.autograd.grad(answer[:, 0].sum(), x)[0]


def test_the_slope_passes_the_identity_and_the_answer_stays_bit_for_bit() -> None:
    network = stepped()
    bare, none = slope(network, X)
    answer, through = slope(network, X, bpda=["0"])
    assert torch.equal(answer, bare)
    assert not none.any()
    rounded = (torch.round(8 * X) / 8).requires_grad_()
    expected = torch.autograd.grad(network[1](rounded)[:, 0].sum(), rounded)[0]
    torch.testing.assert_close(through, expected)


def test_the_slope_passes_another_stand_in() -> None:
    network = stepped()
    _, one = slope(network, X, bpda={"0": lambda x: x})
    _, two = slope(network, X, bpda={"0": lambda x: 3 * x})
    torch.testing.assert_close(two, 3 * one)


def test_nothing_is_left_behind() -> None:
    network = stepped()
    slope(network, X, bpda=["0"])
    assert not network[0]._forward_hooks
    assert not slope(network, X)[1].any()


def test_slopes_pass_rounding_as_if_nothing_were_rounded() -> None:
    for rounding in (torch.round, torch.floor, torch.ceil, torch.trunc, lambda t: t.round()):
        network = nn.Sequential(MLP(seed=1))
        wrapped = wrap(lambda x, r=rounding, net=network: net(r(16 * x) / 16))  # type: ignore[misc]
        x = X.clone().requires_grad_()
        bare = wrapped(x)
        assert not torch.autograd.grad(bare.sum(), x)[0].any()
        wrapped.smooth_rounding = True
        answer = wrapped(x)
        assert torch.equal(answer, bare)
        assert torch.autograd.grad(answer[:, 0].sum(), x)[0].abs().min() > 0


@pytest.mark.parametrize(
    ("given", "says"), [(["1.9"], "no module '1.9'"), ("0", "list of names"), ({"x": 1}, "it has 0")]
)
def test_unknown_modules_are_refused(given: object, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        wrap(stepped(), bpda=given)  # type: ignore[arg-type]


def test_a_stand_in_of_another_shape_is_refused() -> None:
    with pytest.raises(ModelError, match="of the same shape"):
        slope(stepped(), X, bpda={"0": lambda x: x.flatten(1)})


def test_an_answer_is_the_mean_over_the_draws_and_each_is_counted() -> None:
    wrapped = wrap(stochastic(MLP(seed=0)), draws=400)
    with wrapped.quiet(seed=1):
        access = wrapped.access(len(X))
        mean = access.scores(X)  # type: ignore[attr-defined]
    wrapped.draws = 1
    with wrapped.quiet(seed=2):
        singles = torch.stack([wrapped(X).detach() for _ in range(400)])
    assert access.ledger.forwards.tolist() == [400] * 5
    error = singles.std(0) / 20
    assert ((mean - singles.mean(0)).abs() < 6 * error + 1e-9).all()
    assert error.max() > 0


def test_backwards_count_each_draw_and_the_budget_is_in_forwards() -> None:
    wrapped = wrap(MLP(seed=0), draws=3)
    access = wrapped.access(len(X), budget=5)
    x = X.clone().requires_grad_()
    access.logits(x).sum().backward()  # type: ignore[attr-defined]
    assert access.ledger.forwards.tolist() == access.ledger.backwards.tolist() == [3] * 5
    assert access.labels(X).tolist() == [-1] * 5
    with pytest.raises(OptionError, match="draws must be at least 1"):
        wrap(MLP(seed=0), draws=0)
