from __future__ import annotations

import pytest
import torch
from torch import Tensor

from saddlepoint.core import Goal, targeted, untargeted
from saddlepoint.core.goal import best_other, own, without

Z = torch.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0], [1.0, 1.0, 1.0]])
Y = torch.tensor([0, 0, 1])


def test_own_others_and_the_best_of_them() -> None:
    assert own(Z, Y).tolist() == [3, 0, 1]
    assert best_other(Z, Y).tolist() == [2, 5, 1]
    assert without(Z, Y)[0].tolist() == [-torch.inf, 1, 2]


def test_leading_draws_are_carried_through() -> None:
    draws = torch.stack([Z, -Z, Z + 1])
    assert own(draws, Y).tolist() == [[3, 0, 1], [-3, 0, -1], [4, 1, 2]]
    assert best_other(draws, Y).shape == (3, 3)
    assert targeted(Y).margin(draws).shape == (3, 3)
    assert untargeted(Y).reached(draws).tolist() == [[False, True, True], [True, False, True], [False, True, True]]


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        (untargeted(Y), [False, True, False, False]),
        (targeted(Y), [True, False, True, False]),
        (Goal(Y, toward=True, truth=torch.tensor([1, 2, 1])), [True, True, False, False]),
    ],
)
def test_what_is_met(goal: Goal, expected: list[bool]) -> None:
    predicted = torch.tensor([0, 1, 1])
    assert goal.met(predicted).tolist() == expected[:3]
    assert goal.met(torch.tensor([-1, -1, -1])).tolist() == [False] * 3


def test_the_margin_is_positive_exactly_where_the_goal_is_met() -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(500, 5, generator=generator)
    label = torch.randint(5, (500,), generator=generator)
    for goal in (untargeted(label), targeted(label)):
        assert torch.equal(goal.margin(z) > 0, goal.reached(z))
    assert torch.equal(untargeted(label).margin(z), -targeted(label).margin(z))
    assert (untargeted(label).sign, targeted(label).sign) == (1, -1)


def test_a_confidence_asks_for_a_margin_on_top() -> None:
    z = torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]])
    y = torch.zeros(3, dtype=torch.long)
    assert untargeted(y, confidence=2.0).reached(z).tolist() == [False, True, True]
    assert targeted(1 - y, confidence=2.5).reached(z).tolist() == [False, False, True]
    assert untargeted(y).reached(z).tolist() == [True, True, True]


def test_rows_narrow_everything() -> None:
    goal = Goal(Y, toward=True, truth=torch.tensor([1, 2, 0]), confidence=1.0).rows(torch.tensor([2, 0]))
    assert goal.label.tolist() == [1, 0]
    assert isinstance(goal.truth, Tensor)
    assert goal.truth.tolist() == [0, 1]
    assert (goal.toward, goal.confidence) == (True, 1.0)
    assert untargeted(Y).rows(torch.tensor([1])).truth is None


def test_not_a_number_meets_nothing() -> None:
    z = torch.full((3, 3), float("nan"))
    assert not untargeted(Y).reached(z).any()
    assert not targeted(Y).reached(z).any()
