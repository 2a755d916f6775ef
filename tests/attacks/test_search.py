from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, Ledger
from saddlepoint.attacks import SearchWeight
from saddlepoint.core import Goal, Result, untargeted
from saddlepoint.noise import Noise


@dc.dataclass(frozen=True)
class Threshold:
    """Succeeds where weight < ``most``; the larger the weight the smaller the size; the value falls with it."""

    most: Tensor
    tried: list[list[float]]

    def __call__(
        self,
        access: LabelAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        assert weight is not None
        self.tried.append(weight.tolist())
        met = weight < self.most
        ones = torch.ones(len(x), dtype=torch.long)
        return Result(x, weight[:, None], -weight, met, 1 / weight, ones, 2 * ones, ones, met.to(torch.int8))


def search(
    most: list[float], rounds: int, weight: Tensor | None = None, **knobs: float
) -> tuple[Result, list[list[float]]]:
    tried: list[list[float]] = []
    bounds = torch.tensor(most, dtype=torch.float64)
    attack = SearchWeight(Threshold(bounds, tried), rounds, **knobs)  # type: ignore[arg-type]
    n = len(most)
    access = LabelAccess(lambda x: x, Ledger(n))
    x, goal = torch.zeros(n, 1, dtype=torch.float64), untargeted(torch.zeros(n, dtype=torch.long))
    return attack(access, x, goal, Noise.seeded(0, torch.arange(n)), weight=weight), tried


def test_grows_while_it_succeeds_shrinks_while_it_fails_bisects_between() -> None:
    _, tried = search([1e9, 1e-9, 31.0], 5)
    grows, shrinks, between = zip(*tried, strict=True)
    assert grows == pytest.approx([1, 10, 100, 1000, 10000])
    assert shrinks == pytest.approx([1, 0.1, 0.01, 1e-3, 1e-4])
    assert between == pytest.approx([1, 10, 100, 1000**0.5, 10**1.25])


def test_finds_the_largest_weight_that_succeeds() -> None:
    most = [0.37, 1.0, 42.0, 5e-3]
    result, _ = search(most, 30)
    assert result.met.all()
    assert (1 / result.size).tolist() == pytest.approx(most, rel=1e-3)


def test_keeps_the_smallest_success_and_never_a_failure_over_it() -> None:
    result, tried = search([0.5], 6)
    successes = [w for (w,) in tried if w < 0.5]
    assert result.size.item() == pytest.approx(1 / max(successes))
    assert result.met.all()


def test_where_nothing_succeeds_keeps_the_largest_value() -> None:
    result, tried = search([0.0], 4)
    assert not result.met.any()
    assert result.value.item() == pytest.approx(-min(w for (w,) in tried))


def test_counts_every_round_and_starts_where_told() -> None:
    result, tried = search([5.0, 5.0], 3, torch.tensor([4.0, 6.0], dtype=torch.float64), factor=2.0)
    assert tried[0] == [4.0, 6.0]
    assert tried[1] == [8.0, 3.0]
    assert result.forwards.tolist() == [3, 3]
    assert result.backwards.tolist() == [6, 6]


def test_one_round_is_the_attack_itself() -> None:
    result, tried = search([5.0], 1, first=2.0)
    assert tried == [[2.0]]
    assert result.size.item() == 0.5
