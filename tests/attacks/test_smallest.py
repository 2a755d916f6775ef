from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

from saddlepoint.access import ScoreAccess, wrap
from saddlepoint.attacks.smallest import CloserStarts, NearestTarget, Smallest
from saddlepoint.core import Goal, Result, targeted, untargeted
from saddlepoint.noise import Noise
from saddlepoint.sets import L2
from saddlepoint.testing.problems import LinearClassifier

N, K = 4, 5
MODEL = LinearClassifier.random(K, (6,), seed=1)
X = torch.rand(N, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = MODEL(X).argmax(1)
NOISE = Noise.seeded(0, torch.arange(N))


@dc.dataclass(frozen=True)
class Told:
    """Finds what ``sizes`` ([N, classes], infinite: nothing) says for each target; writes down how it was asked."""

    sizes: Tensor
    asked: list[tuple[Goal, Tensor | None, Tensor | None]]

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
        turn = len(self.asked)
        self.asked.append((goal, radius, start))
        column = goal.label if goal.toward else torch.full_like(goal.label, turn)
        size = self.sizes.gather(1, column[:, None]).squeeze(1)
        met = size.isfinite()
        one = torch.ones(len(x), dtype=torch.long)
        delta = torch.zeros_like(x)
        delta[:, 0] = size.nan_to_num(posinf=0.0)
        return Result(x + delta, delta, -size.nan_to_num(posinf=9.0), met, size, one, one, one, met.to(torch.int8))


def access() -> ScoreAccess:
    made = wrap(MODEL).access(N)
    assert isinstance(made, ScoreAccess)
    return made


def sizes(seed: int = 0) -> Tensor:
    drawn = torch.rand(N, K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.where(drawn < 0.3, torch.inf, drawn)


def test_every_target_is_pursued_and_the_smallest_kept() -> None:
    told, asked = sizes(), access()
    result = NearestTarget(Told(told, []), k=9)(asked, X, untargeted(Y), NOISE)
    best = told.scatter(1, Y[:, None], torch.inf).amin(1)
    assert torch.equal(result.met, best.isfinite())
    assert torch.equal(result.size[result.met], best[result.met])
    assert result.forwards.tolist() == [(K - 1) + 1] * N
    assert asked.ledger.forwards.tolist() == [1] * N


def test_targets_come_in_the_order_of_the_logits_each_within_the_size_found() -> None:
    asked: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    told = sizes()
    NearestTarget(Told(told, asked), k=3)(access(), X, untargeted(Y), NOISE, torch.full((N,), 0.9, dtype=torch.float64))
    order = MODEL(X).scatter(1, Y[:, None], -torch.inf).argsort(1, descending=True)
    found = torch.full((N,), 0.9, dtype=torch.float64)
    assert len(asked) == 3
    for turn, (goal, radius, _) in enumerate(asked):
        assert goal.toward
        assert torch.equal(goal.label, order[:, turn])
        assert goal.truth is not None
        assert torch.equal(goal.truth, Y)
        assert radius is not None
        assert torch.equal(radius, found)
        found = torch.minimum(found, told.gather(1, goal.label[:, None]).squeeze(1))


def test_a_goal_with_a_target_is_passed_on() -> None:
    asked: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    goal = targeted((Y + 1) % K)
    NearestTarget(Told(sizes(), asked))(access(), X, goal, NOISE)
    assert [entry[0] for entry in asked] == [goal]


def test_one_after_the_other_within_the_size_found() -> None:
    asked: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    told = sizes()
    one = Told(told, asked)
    result = Smallest([one, one, one])(access(), X, untargeted(Y), NOISE)
    assert torch.equal(torch.where(result.met, result.size, torch.inf), told[:, :3].amin(1))
    assert result.forwards.tolist() == [3] * N
    radii = [radius for _, radius, _ in asked]
    assert radii[1] is not None
    assert torch.equal(radii[1], told[:, 0])


def test_starts_come_closer_with_the_size_found() -> None:
    asked: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    told = sizes(seed=1)
    result = CloserStarts(Told(told, asked), L2(), 4)(access(), X, untargeted(Y), NOISE)
    assert torch.equal(torch.where(result.met, result.size, torch.inf), told[:, :4].amin(1))
    assert asked[0][2] is None
    for turn, (_, _, start) in enumerate(asked[1:], 1):
        found = told[:, :turn].amin(1)
        assert start is not None
        reach = torch.minimum(found, L2().largest(X)) / 2
        assert bool((L2().size(X, start) <= reach * (1 + 1e-9)).all())
        assert bool(start.any(1).all())


def test_without_bounds_and_success_a_restart_begins_at_the_input() -> None:
    from saddlepoint.access import Box

    asked: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    nothing = torch.full((N, K), torch.inf, dtype=torch.float64)
    endless = L2(box=Box(-torch.inf, torch.inf))
    result = CloserStarts(Told(nothing, asked), endless, 2)(access(), X, untargeted(Y), NOISE)
    assert not bool(result.met.any())
    assert asked[1][2] is not None
    assert not bool(asked[1][2].any())


@pytest.mark.parametrize("rows", [torch.tensor([2, 0]), torch.tensor([1])])
def test_random_starts_belong_to_their_samples(rows: Tensor) -> None:
    every: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    some: list[tuple[Goal, Tensor | None, Tensor | None]] = []
    told = sizes()
    CloserStarts(Told(told, every), L2(), 2)(access(), X, untargeted(Y), NOISE)
    narrow = access().view(rows)
    CloserStarts(Told(told[rows], some), L2(), 2)(narrow, X[rows], untargeted(Y[rows]), NOISE.rows(rows))
    assert every[1][2] is not None
    assert some[1][2] is not None
    assert torch.equal(every[1][2][rows], some[1][2])
