from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

from saddlepoint.access import GradientAccess, ScoreAccess, wrap
from saddlepoint.attacks import EachTarget, Iterate
from saddlepoint.core import Goal, Result, targeted, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.initializers import zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import toward_target
from saddlepoint.optimizers import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2
from saddlepoint.testing import LinearClassifier
from saddlepoint.testing.problems import SHAPE
from saddlepoint.testing.tripwire import OutOfMemory

N = 6
NETWORK = LinearClassifier.random(5, seed=2)
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LOGITS = NETWORK(X).detach()
Y = LOGITS.argmax(1)
NOISE = Noise.seeded(0, torch.arange(N))


@dc.dataclass(frozen=True)
class Listening:
    """Fails always; notes the goals it was given."""

    goals: list[Goal]
    keys: list[Tensor] = dc.field(default_factory=list)

    def __call__(
        self,
        access: ScoreAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        self.goals.append(goal)
        self.keys.append(noise.keys)
        none, value = torch.zeros(len(x), dtype=torch.long), torch.zeros(len(x), dtype=x.dtype)
        return Result(x, 0 * x, value, none > 0, value, none, none, none, none.to(torch.int8))


def access(batch_size: int = 256) -> GradientAccess:
    made = wrap(NETWORK, batch_size=batch_size).access(N)
    assert isinstance(made, GradientAccess)
    return made


def test_pursues_the_most_likely_wrong_classes_in_order_and_counts_any_departure() -> None:
    goals: list[Goal] = []
    EachTarget(Listening(goals), 3)(access(), X, untargeted(Y), NOISE)
    ranked = LOGITS.sort(1, descending=True).indices[:, 1:]
    assert len(goals) == 3
    for i, goal in enumerate(goals):
        assert torch.equal(goal.label, ranked[:, i])
        assert goal.toward
        assert goal.truth is not None
        assert torch.equal(goal.truth, Y)


@pytest.mark.parametrize(("k", "pursued"), [(1, 1), (4, 4), (9, 4)])
def test_never_more_targets_than_wrong_classes(k: int, pursued: int) -> None:
    goals: list[Goal] = []
    EachTarget(Listening(goals), k)(access(), X, untargeted(Y), NOISE)
    assert len(goals) == pursued


def test_wrong_classes_of_a_label_that_is_not_the_prediction() -> None:
    goals: list[Goal] = []
    wrong = (Y + 1) % 5
    EachTarget(Listening(goals), 1)(access(), X, untargeted(wrong), NOISE)
    assert torch.equal(goals[0].label, Y)


def test_ranking_costs_one_forward_and_is_counted() -> None:
    for batch_size in (256, 4):
        result = EachTarget(Listening([]), 3)(access(batch_size), X, untargeted(Y), NOISE)
        assert result.forwards.tolist() == [1] * N


def test_ranking_fits_into_memory() -> None:
    model = wrap(OutOfMemory(NETWORK, 2)).access(N)
    assert isinstance(model, ScoreAccess)
    result = EachTarget(Listening([]), 2)(model, X, untargeted(Y), NOISE)
    assert result.forwards.tolist() == [1] * N


def test_a_goal_toward_a_label_is_passed_on() -> None:
    goals: list[Goal] = []
    goal = targeted((Y + 1) % 5)
    result = EachTarget(Listening(goals), 3)(access(), X, goal, NOISE)
    assert goals == [goal]
    assert result.forwards.tolist() == [0] * N


def test_each_pursuit_draws_its_own_randomness() -> None:
    listening = Listening([])
    EachTarget(listening, 3)(access(), X, untargeted(Y), NOISE)
    assert len(torch.cat(listening.keys).unique()) == 3 * N


def test_confidence_is_handed_on() -> None:
    goals: list[Goal] = []
    EachTarget(Listening(goals), 2)(access(), X, untargeted(Y, confidence=1.5), NOISE)
    assert [goal.confidence for goal in goals] == [1.5, 1.5]


def test_finds_the_nearest_class_where_it_is_not_the_most_likely_one() -> None:
    """Just above the true distance every sample of a linear model falls, whichever class is the nearest.

    One class has steep weights: it is near even where it is unlikely.
    """
    steep = torch.tensor([1.0, 1.0, 1.0, 4.0, 1.0], dtype=torch.float64)[:, None] * NETWORK.weight.detach()
    network = LinearClassifier(steep, -steep.sum(1) / 2)
    y = network(X).argmax(1)
    radius = 1.001 * network.closest_in_box(X, y, L2())
    one = Iterate(L2(), toward_target, Ascent(backprop, constant(0.5)), zero, 30)
    all_met = []
    for k in (4, 1):
        model = wrap(network).access(N)
        assert isinstance(model, GradientAccess)
        all_met.append(bool(EachTarget(one, k)(model, X, untargeted(y), NOISE, radius).met.all()))
    assert all_met == [True, False]
