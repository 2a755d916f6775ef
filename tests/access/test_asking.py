from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.access import GradientAccess, LabelAccess, Ledger, ScoreAccess
from saddlepoint.access.asking import predict, require
from saddlepoint.errors import AccessError

WEIGHT = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)


class Asked:
    """A linear model of three classes that remembers how many rows it was asked for, call by call."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        return x @ WEIGHT.T


def inputs(n: int = 5) -> Tensor:
    return torch.linspace(-1, 1, 2 * n, dtype=torch.float64).view(n, 2)


def test_answers_are_those_of_the_model() -> None:
    access, x = GradientAccess(Asked(), Ledger(5)), inputs()
    logits = x @ WEIGHT.T
    assert torch.equal(access.scores(x), logits)
    assert torch.equal(access.labels(x), logits.argmax(1))
    assert torch.equal(access.logits(x), logits)


def test_leading_draws_are_folded_into_the_batch_and_back() -> None:
    ask = Asked()
    access, x = ScoreAccess(ask, Ledger(5)), inputs()
    draws = x + torch.arange(6, dtype=torch.float64).view(2, 3, 1, 1)
    assert torch.equal(access.scores(draws, lead=2), draws @ WEIGHT.T)
    assert ask.rows == [30]
    assert access.ledger.forwards.tolist() == [6] * 5
    assert access.labels(draws, lead=2).shape == (2, 3, 5)


def test_views_ask_and_are_charged_for_their_own_samples() -> None:
    access, x = GradientAccess(Asked(), Ledger(5)), inputs()
    view = access.view(torch.tensor([4, 1])).view(torch.tensor([1]))
    assert torch.equal(view.scores(x[1:2]), (x @ WEIGHT.T)[1:2])
    assert access.ledger.forwards.tolist() == [0, 1, 0, 0, 0]
    assert view.refused.tolist() == [False]


def test_scores_carry_no_graph_and_logits_do() -> None:
    access, x = GradientAccess(Asked(), Ledger(5)), inputs().requires_grad_()
    assert not access.scores(x).requires_grad
    assert access.logits(x).requires_grad


def test_a_backward_counts_when_a_gradient_flows_and_each_time() -> None:
    access, x = GradientAccess(Asked(), Ledger(5)), inputs().requires_grad_()
    logits = access.view(torch.tensor([0, 2])).logits(x[[0, 2]])
    assert access.ledger.backwards.tolist() == [0] * 5
    torch.autograd.grad(logits[:, 0].sum(), x, retain_graph=True)
    torch.autograd.grad(logits[:, 1].sum(), x)
    assert access.ledger.backwards.tolist() == [2, 0, 2, 0, 0]
    draws = torch.stack([x, x, x])
    torch.autograd.grad(access.logits(draws, lead=1).sum(), x)
    assert access.ledger.backwards.tolist() == [5, 3, 5, 3, 3]
    assert access.ledger.forwards.tolist() == [4, 3, 4, 3, 3]


def test_a_spent_budget_refuses_and_says_for_whom() -> None:
    ask = Asked()
    access, x = GradientAccess(ask, Ledger(5, budget=torch.tensor([2, 0, 1, 2, 1]))), inputs()
    first, second = access.scores(x), access.scores(x)
    assert first.isnan().any(1).tolist() == [False, True, False, False, False]
    assert second.isnan().any(1).tolist() == [False, True, True, False, True]
    assert access.labels(x).tolist() == [-1] * 5
    assert torch.equal(second[[0, 3]], (x @ WEIGHT.T)[[0, 3]])
    assert ask.rows == [4, 2]
    assert access.ledger.forwards.tolist() == [2, 0, 1, 2, 1]
    assert access.refused.tolist() == [True] * 5


def test_several_draws_are_granted_whole_or_not_at_all() -> None:
    access, x = ScoreAccess(Asked(), Ledger(2, budget=torch.tensor([3, 2]))), inputs(2)
    answer = access.scores(torch.stack([x, x, x]), lead=1)
    assert answer[:, 0].isfinite().all()
    assert answer[:, 1].isnan().all()
    assert access.ledger.forwards.tolist() == [3, 0]
    assert access.refused.tolist() == [False, True]
    assert access.view(torch.tensor([1])).scores(x[1:]).isfinite().all()


def test_the_answer_to_the_refused_has_as_many_columns_as_the_model() -> None:
    access, x = GradientAccess(Asked(), Ledger(5, budget=1)), inputs().requires_grad_()
    access.scores(x)
    assert access.logits(x).shape == (5, 3)
    assert access.scores(torch.stack([x, x]), lead=1).shape == (2, 5, 3)


def test_only_those_asked_are_charged_for_a_backward() -> None:
    access, x = GradientAccess(Asked(), Ledger(3, budget=torch.tensor([1, 0, 1]))), inputs(3).requires_grad_()
    logits = access.logits(x)
    (gradient,) = torch.autograd.grad(logits.nansum(), x)
    assert access.ledger.backwards.tolist() == [1, 0, 1]
    assert gradient[1].tolist() == [0, 0]


def test_a_gain_scales_the_logits_of_its_sample() -> None:
    gain = torch.tensor([1.0, 100.0, 0.01])
    access, x = GradientAccess(Asked(), Ledger(3), gain), inputs(3)
    assert torch.allclose(access.scores(x), (x @ WEIGHT.T) * gain[:, None].double())
    assert torch.allclose(access.view(torch.tensor([1])).scores(x[1:2]), (x @ WEIGHT.T)[1:2] * 100)
    assert torch.allclose(access.scores(torch.stack([x, x]), lead=1)[1], (x @ WEIGHT.T) * gain[:, None].double())


def test_lowered_access_cannot_be_asked_for_more() -> None:
    access = GradientAccess(Asked(), Ledger(3)).view(torch.tensor([2, 0]))
    poor = access.lower(LabelAccess)
    assert type(poor) is LabelAccess
    assert not isinstance(poor, ScoreAccess)
    assert poor.ledger is access.ledger
    poor.labels(inputs(2))
    assert access.ledger.forwards.tolist() == [1, 0, 1]


def test_require_names_both_sides_and_a_way_out() -> None:
    access = ScoreAccess(Asked(), Ledger(3))
    assert require(access, LabelAccess, "walk", "?") is access
    with pytest.raises(AccessError, match="pgd needs gradients; this model gives scores only: use another"):
        require(access, GradientAccess, "pgd", "use another")


def test_no_answer_is_no_label() -> None:
    nan = float("nan")
    assert predict(torch.tensor([[1.0, nan], [nan, nan], [0.0, 1.0]])).tolist() == [-1, -1, 1]
