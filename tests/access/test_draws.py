"""Budgets for many questions at once, and how they are split into forwards."""

from __future__ import annotations

import torch

from saddlepoint.access.asking import LabelAccess, Ledger
from saddlepoint.access.draws import affordable, covered, parts


def access(n: int, budget: int | None = None, batch_size: int = 256) -> LabelAccess:
    return LabelAccess(lambda x: x, Ledger(n, budget, batch_size))


def test_without_a_budget_everything_is_affordable() -> None:
    asked = access(3)
    assert affordable(asked, 10**9).tolist() == [True] * 3
    assert covered(asked, 10**9).tolist() == [True] * 3
    assert not bool(asked.refused.any())


def test_a_budget_covers_what_is_left_of_it() -> None:
    asked = access(3, budget=5)
    asked.view(torch.tensor([1])).labels(torch.zeros(1, 2))
    assert affordable(asked, 5).tolist() == [True, False, True]
    assert not bool(asked.refused.any())
    assert covered(asked.view(torch.tensor([1, 2])), 5).tolist() == [False, True]
    assert asked.refused.tolist() == [False, True, False]
    assert asked.ledger.forwards.tolist() == [0, 1, 0]


def test_parts_fit_in_a_forward_and_cover_all_draws() -> None:
    for n, batch_size, draws in ((3, 10, 8), (300, 256, 4), (1, 1000, 7), (0, 5, 3)):
        runs = parts(access(n, batch_size=batch_size), draws)
        assert [k for run in runs for k in run] == list(range(draws))
        assert all(len(run) == 1 or len(run) * n <= batch_size for run in runs)
