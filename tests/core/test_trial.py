from __future__ import annotations

import itertools

import torch

from saddlepoint.access import LabelAccess, ScoreAccess, wrap
from saddlepoint.core import Problem, Trial, best_value, look, look_at_labels, smallest, untargeted
from saddlepoint.core.trial import Order
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L2
from saddlepoint.testing.problems import MLP, SHAPE


def trials(*rows: tuple[float, bool, float]) -> Trial:
    """(value, met, size) of each sample."""
    value, met, size = zip(*rows, strict=True)
    return Trial(torch.zeros(len(rows), 2), torch.tensor(value), torch.tensor(met), torch.tensor(size))


def better(order: Order, new: tuple[float, bool, float], old: tuple[float, bool, float]) -> bool:
    return bool(order(trials(new), trials(old)))


def test_best_value_puts_success_first_then_value() -> None:
    assert better(best_value, (0.0, True, 9.0), (5.0, False, 1.0))
    assert not better(best_value, (5.0, False, 1.0), (0.0, True, 9.0))
    assert better(best_value, (2.0, False, 9.0), (1.0, False, 1.0))
    assert better(best_value, (2.0, True, 9.0), (1.0, True, 1.0))
    assert not better(best_value, (1.0, True, 1.0), (2.0, True, 9.0))


def test_smallest_puts_success_first_then_size_then_value() -> None:
    assert better(smallest, (0.0, True, 9.0), (5.0, False, 1.0))
    assert better(smallest, (1.0, True, 1.0), (2.0, True, 9.0))
    assert not better(smallest, (2.0, True, 9.0), (1.0, True, 1.0))
    assert better(smallest, (2.0, False, 9.0), (1.0, False, 1.0))
    assert not better(smallest, (5.0, False, 1.0), (0.0, True, 9.0))


def test_both_are_strict_orders() -> None:
    kinds = list(itertools.product((0.0, 1.0), (False, True), (1.0, 2.0)))
    for order in (best_value, smallest):
        for a, b, c in itertools.product(kinds, repeat=3):
            assert not better(order, a, a)
            assert not (better(order, a, b) and better(order, b, a))
            assert better(order, a, c) or not (better(order, a, b) and better(order, b, c))


def test_not_a_number_is_never_better() -> None:
    nan = float("nan")
    for order in (best_value, smallest):
        assert not better(order, (nan, False, 1.0), (-torch.inf, False, torch.inf))


def test_a_look_costs_one_forward_and_says_what_is_seen() -> None:
    x = torch.rand(3, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    network = MLP()
    goal = untargeted(torch.tensor([0, 1, 2]))
    delta = 0.3 * torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    radius = torch.ones(3, dtype=torch.float64)
    seen = network((x + delta).clamp(0, 1))
    for kind, see in ((ScoreAccess, look), (LabelAccess, look_at_labels)):
        access = wrap(network).access(3).lower(kind)
        problem = Problem(access, x, goal, L2(), margin, Noise.seeded(0, torch.arange(3)), radius, radius)
        trial = see(problem, delta)  # type: ignore[operator]
        assert access.ledger.forwards.tolist() == [1, 1, 1]
        assert access.ledger.backwards.tolist() == [0, 0, 0]
        assert torch.equal(trial.met, seen.argmax(1) != goal.label)
        assert torch.allclose(trial.size, delta.flatten(1).norm(dim=1))
        expected = margin(seen, goal) if kind is ScoreAccess else -trial.size
        assert torch.allclose(trial.value, expected)
