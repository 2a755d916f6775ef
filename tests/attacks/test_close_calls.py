from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import GradientAccess, ScoreAccess, wrap
from saddlepoint.attacks import CloseCalls, Round
from saddlepoint.attacks.recipes.triage import climb
from saddlepoint.core import Goal, Result, untargeted
from saddlepoint.noise import Noise
from saddlepoint.objectives import margin
from saddlepoint.sets import L2
from saddlepoint.testing import LinearClassifier
from saddlepoint.testing.problems import SHAPE

N = 8
NETWORK = LinearClassifier.random(2, SHAPE, seed=2)
X = 0.3 + 0.4 * torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
with torch.no_grad():
    LOGITS = NETWORK(X)
Y = LOGITS.argmax(1)
CLEAN = untargeted(Y).margin(LOGITS)
FIRST = torch.tensor([0.0, 0.2, 0.45, 0.55, 0.8, 0.95, 0.6, 1.1], dtype=torch.float64)


@dc.dataclass(frozen=True)
class GoesFar:
    """Goes a known fraction of the way to the boundary, says so in its own unit, and notes whom it was given."""

    fractions: Tensor
    boast: float = 0.0
    seen: list[list[int]] = dc.field(default_factory=list)

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
        rows = access.rows
        self.seen.append(rows.tolist())
        way = NETWORK.weight[1] - NETWORK.weight[0]
        way = torch.where((goal.label == 0)[:, None], way, -way) / way.square().sum()
        far = self.fractions[rows] * -CLEAN[rows]
        delta = (far[:, None] * way).view_as(x)
        none, value = torch.zeros(len(x), dtype=torch.long), far + self.boast
        met = self.fractions[rows] > 1
        return Result(x + delta, delta, value, met, value, none, none, none, none.to(torch.int8))


def run(*rounds: Round[ScoreAccess]) -> tuple[Result, GradientAccess]:
    access = wrap(NETWORK).access(N)
    assert isinstance(access, GradientAccess)
    return CloseCalls(L2(10.0), rounds)(access, X, untargeted(Y), Noise.seeded(0, torch.arange(N))), access


def test_a_round_is_for_those_who_came_as_close_as_it_asks() -> None:
    later = [GoesFar(0 * FIRST) for _ in range(3)]
    run(Round(GoesFar(FIRST)), *(Round(one, share) for one, share in zip(later, (1.0, 0.5, 0.1), strict=True)))
    assert later[0].seen == [[0, 1, 2, 3, 4, 5, 6]]
    assert later[1].seen == [[3, 4, 5, 6]]
    assert later[2].seen == [[5]]


def test_the_closest_of_all_rounds_counts_whatever_they_say_of_themselves() -> None:
    second = 0.7 * torch.ones(N, dtype=torch.float64)
    third = GoesFar(0 * FIRST)
    result, access = run(Round(GoesFar(FIRST, boast=99.0)), Round(GoesFar(second)), Round(third, 0.25))
    best = torch.maximum(FIRST, second)
    torch.testing.assert_close(result.value, (1 - best) * CLEAN)
    torch.testing.assert_close(NETWORK(X + result.delta).detach(), NETWORK(result.x_adv).detach())
    assert result.met.tolist() == [False] * 7 + [True]
    assert third.seen == [[4, 5]]
    assert result.forwards.tolist() == [3, 3, 3, 3, 4, 4, 3, 2] == access.ledger.forwards.tolist()


def test_nobody_close_is_no_reason_to_fail() -> None:
    nobody = GoesFar(FIRST)
    result, _ = run(Round(GoesFar(0.1 * FIRST)), Round(nobody, 0.01))
    assert not nobody.seen
    assert not bool(result.met.any())


@pytest.mark.parametrize(("kind", "ample"), [(sp.Linf, 1.02), (sp.L2, 1.02), (sp.L1, 1.1)])
def test_triage_breaks_what_can_be_broken_on_a_linear_model(kind: type[sp.Linf], ample: float) -> None:
    model = LinearClassifier.random(4, SHAPE, seed=3)
    y = model(X).argmax(1)
    closest = model.closest_in_box(X, y, kind())
    assert bool(sp.attacks.triage(model, X, y, kind(ample * closest)).met.all())
    assert not bool(sp.attacks.triage(model, X, y, kind(0.98 * closest)).met.any())


def test_who_climbs_the_margin_tells_it_and_is_not_asked_again() -> None:
    slow = climb(L2(0.05), margin, 3)
    found = [run(Round(slow, tells=tells), Round(GoesFar(FIRST), 0.9)) for tells in (True, False)]
    (told, access), (asked, other) = found
    assert (other.ledger.forwards - access.ledger.forwards).tolist() == [1] * N
    torch.testing.assert_close(told.value, asked.value)
    torch.testing.assert_close(told.delta, asked.delta)


@pytest.mark.parametrize("threat", [sp.Linf(0.05), sp.L2(1.0), sp.L1(8.0)], ids=lambda threat: threat.name)
def test_the_values_that_triage_takes_for_margins_are_margins(threat: sp.sets.Neighborhood) -> None:
    data, model = sp.zoo.data.load("fashion-mnist-1k[:12]"), sp.zoo.load("fashion-standard")
    attack = sp.attacks.triage.attack(threat, steps=10, rounds=2)
    telling = [one.attack for one in attack.rounds if one.tells]  # type: ignore[attr-defined]
    assert len(telling) == 2
    access = wrap(model).access(len(data.x))
    assert isinstance(access, GradientAccess)
    goal, noise = untargeted(data.y), Noise.seeded(0, data.ids)
    for one in telling:
        found = one(access, data.x, goal, noise, threat.radii(data.x))
        torch.testing.assert_close(found.value, goal.margin(model(data.x + found.delta)), rtol=1e-4, atol=1e-4)


def test_triage_leaves_no_more_than_far_longer_attacks() -> None:
    data, model, threat = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.zoo.load("fashion-pgd-linf"), sp.Linf(0.1)
    found = sp.attacks.triage(model, data.x, data.y, threat)
    others = [sp.attacks.get(name)(model, data.x, data.y, threat) for name in ("apgd_ce", "apgd_dlr", "multi_targeted")]
    assert int(found.met.sum()) >= int(torch.stack([one.met for one in others]).any(0).sum())
    passes = [int((one.forwards + one.backwards).sum()) for one in (found, *others)]
    assert passes[0] < 0.25 * sum(passes[1:])
