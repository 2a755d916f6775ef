from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

from saddlepoint.access import GradientAccess, ScoreAccess, wrap
from saddlepoint.attacks import EachTarget, Iterate
from saddlepoint.core import Goal, Result, targeted, untargeted
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform, zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import toward_target
from saddlepoint.optimizers import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2, Linf
from saddlepoint.testing import LinearClassifier
from saddlepoint.testing.problems import MLP, SHAPE
from saddlepoint.testing.tripwire import OutOfMemory

N = 6
NETWORK = LinearClassifier.random(5, seed=2)
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LOGITS = NETWORK(X).detach()
Y = LOGITS.argmax(1)
NOISE = Noise.seeded(0, torch.arange(N))
RADIUS = torch.full((N,), 0.03, dtype=torch.float64)


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
    EachTarget(Listening(goals), 3)(access(N), X, untargeted(Y), NOISE)
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
    EachTarget(Listening(goals), k)(access(N), X, untargeted(Y), NOISE)
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
    sides = []
    for batch_size in (256, N):
        listening = Listening([])
        EachTarget(listening, 3)(access(batch_size), X, untargeted(Y), NOISE)
        sides.append(torch.cat(listening.keys))
        assert len(sides[-1].unique()) == 3 * N
    assert torch.equal(*sides)


def test_confidence_is_handed_on() -> None:
    goals: list[Goal] = []
    for batch_size in (256, N):
        EachTarget(Listening(goals), 2)(access(batch_size), X, untargeted(Y, confidence=1.5), NOISE)
    assert [goal.confidence for goal in goals] == [1.5, 1.5, 1.5]


def climb(steps: int = 12) -> Iterate[GradientAccess]:
    return Iterate(Linf(), toward_target, Ascent(backprop, constant(0.3)), uniform, steps)


def test_pursuits_side_by_side_answer_as_one_after_the_other() -> None:
    """The first success of each sample counts, else the best value; half of the samples fall."""
    network = MLP(seed=0)
    y = network(X).argmax(1)
    found = []
    for batch_size in (256, N):
        model = wrap(network, batch_size=batch_size).access(N)
        assert isinstance(model, GradientAccess)
        found.append((model, EachTarget(climb(), 4)(model, X, untargeted(y), NOISE, RADIUS)))
    (beside, at_once), (after, in_turn) = found
    assert 0 < int(at_once.met.sum()) < N
    for name in ("met", "steps", "status"):
        assert torch.equal(getattr(at_once, name), getattr(in_turn, name))
    for name in ("x_adv", "delta", "value", "size"):
        torch.testing.assert_close(getattr(at_once, name), getattr(in_turn, name))
    for model, result in found:
        assert torch.equal(result.forwards, model.ledger.forwards)
        assert torch.equal(result.backwards, model.ledger.backwards)
    held = ~at_once.met
    assert torch.equal(beside.ledger.forwards[held], after.ledger.forwards[held])
    assert bool((beside.ledger.forwards >= after.ledger.forwards).all())


def test_where_every_question_counts_nothing_is_asked_ahead() -> None:
    network = MLP(seed=0)
    y = network(X).argmax(1)
    spent = []
    for batch_size in (256, N):
        model = wrap(network, batch_size=batch_size).access(N, budget=1000)
        assert isinstance(model, GradientAccess)
        spent.append(EachTarget(climb(), 4)(model, X, untargeted(y), NOISE, RADIUS).forwards)
    assert torch.equal(*spent)


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
