from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, ScoreAccess, wrap
from saddlepoint.access.model import Model
from saddlepoint.attacks.run import ask_clean, ask_once, check_goal
from saddlepoint.core import Goal, Result, Status, untargeted
from saddlepoint.errors import AccessError, DataError, OptionError, SaddlepointError
from saddlepoint.noise import Noise
from saddlepoint.sets import L2
from saddlepoint.testing.problems import MLP, SHAPE
from saddlepoint.testing.tripwire import OutOfMemory

N = 6
NETWORK = MLP(seed=1)
X = torch.rand(N, *SHAPE, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
with torch.no_grad():
    Y = NETWORK(X).argmax(1)


@dc.dataclass(frozen=True)
class Says:
    """Returns the perturbations ``delta(x)``, after ``questions`` forwards, and says of each that it meets its goal."""

    delta: Callable[[Tensor], Tensor]
    met: bool = True
    questions: int = 0
    status: int = Status.FOOLED

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
        for _ in range(self.questions):
            access.labels(x)
        delta, n = self.delta(x), len(x)
        count = torch.full((n,), self.questions)
        met = torch.full((n,), self.met)
        size = torch.full((n,), 123.0, dtype=x.dtype)
        status = torch.full((n,), int(self.status), dtype=torch.int8)
        return Result(x * 0, delta, size, met, size, count, count * 0, count, status)


def toward_others(x: Tensor) -> Tensor:
    """Straight to the input of another sample with another label."""
    rows = [next(j for j in range(N) if Y[j] != Y[i]) for i in range(N)]
    where = [int((one == X).flatten(1).all(1).nonzero()[0]) for one in x]
    return X[[rows[i] for i in where]] - x


def ask(
    attack: Says, *, y: Tensor | Goal = Y, radius: float = 100.0, budget: int | None = None, model: Model | None = None
) -> Result:
    asked = wrap(NETWORK) if model is None else model
    radii = torch.full((N,), radius, dtype=X.dtype)
    return ask_once(attack, LabelAccess, "mine", asked, X, y, L2(), radii, seed=0, budget=budget, ids=None)


def test_what_an_attack_says_is_recomputed() -> None:
    result = ask(Says(toward_others, met=False, status=Status.HELD))
    assert result.met.all()
    assert (result.status == Status.FOOLED).all()
    assert torch.allclose(result.x_adv, X + toward_others(X))
    assert torch.allclose(result.size, toward_others(X).flatten(1).norm(dim=1))


def test_a_success_that_does_not_repeat_is_unconfirmed() -> None:
    result = ask(Says(torch.zeros_like))
    assert not result.met.any()
    assert (result.status == Status.UNCONFIRMED).all()


def test_out_of_budget_stays_unless_the_goal_is_met_after_all() -> None:
    spent = ask(Says(torch.zeros_like, met=False, status=Status.OUT_OF_BUDGET))
    assert (spent.status == Status.OUT_OF_BUDGET).all()
    lucky = ask(Says(toward_others, met=False, status=Status.OUT_OF_BUDGET))
    assert (lucky.status == Status.FOOLED).all()


@pytest.mark.parametrize("bad", [lambda x: x * 0 + 1, lambda x: x * torch.nan, lambda x: x * 0 + 0.1 * (1 + 1e-5) / 6])
def test_a_perturbation_outside_its_radius_is_never_passed_on(bad: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(SaddlepointError, match="this is a fault of the attack"):
        ask(Says(bad), radius=0.1)


def test_samples_that_need_no_attack_are_not_attacked() -> None:
    y = Y.clone()
    y[[1, 4]] = (y[[1, 4]] + 1) % 4
    result = ask(Says(toward_others, questions=3), y=y)
    assert (result.status == Status.CLEAN).tolist() == [False, True, False, False, True, False]
    assert result.forwards.tolist() == [5, 1, 5, 5, 1, 5]
    assert result.size[[1, 4]].tolist() == [0, 0]
    assert torch.equal(result.x_adv[[1, 4]], X[[1, 4]])


def test_the_budget_covers_the_clean_look_and_the_confirmation() -> None:
    result = ask(Says(toward_others, questions=50), budget=9)
    assert result.forwards.tolist() == [9] * N
    assert result.met.all()


def test_a_confidence_is_confirmed_by_what_the_attack_saw() -> None:
    goal = untargeted(Y, confidence=1e-3)
    assert ask(Says(toward_others, met=True), y=goal).met.all()
    assert not ask(Says(toward_others, met=False), y=goal).met.any()


def test_the_clean_look_fits_into_memory_and_remembers_what_did() -> None:
    model = wrap(OutOfMemory(NETWORK, 4))
    assert torch.equal(ask_clean(model, X), NETWORK(X).detach())
    assert model.batch_size == 3
    assert model.access(N).ledger.batch_size == 3


def test_too_poor_a_model_is_refused_by_name() -> None:
    model = wrap(NETWORK, access="labels")
    with pytest.raises(AccessError, match="mine needs scores; this model gives labels only"):
        ask_once(
            Says(torch.zeros_like), ScoreAccess, "mine", model, X, Y, L2(), X[:, 0, 0, 0], seed=0, budget=None, ids=None
        )


def test_budgets_below_three_are_refused() -> None:
    with pytest.raises(OptionError, match=r"budget is 2; at least 3 forwards are needed \(clean, one try, confirm\)"):
        ask(Says(torch.zeros_like), budget=2)


def test_labels_become_goals_on_the_right_device_in_the_right_dtype() -> None:
    goal = check_goal(Y.to(torch.int32), X, 4)
    assert goal.label.dtype == torch.long
    assert not goal.toward
    pursuit = check_goal(Goal(Y.to(torch.int16), toward=True, truth=Y.to(torch.int16)), X, 4)
    assert pursuit.truth is not None
    assert pursuit.truth.dtype == torch.long


def test_one_class_cannot_be_fooled() -> None:
    with pytest.raises(DataError, match="one class only"):
        check_goal(torch.zeros(N, dtype=torch.long), X, 1)


@pytest.mark.parametrize(
    ("truth", "said"),
    [(Y[:3], "6 inputs but 3 true labels"), (Y + 4, "4 classes"), (Y.double(), "must be integers")],
)
def test_the_truth_of_a_pursuit_is_checked_like_a_label(truth: Tensor, said: str) -> None:
    with pytest.raises(DataError, match=said):
        check_goal(Goal((Y + 1) % 4, toward=True, truth=truth), X, 4)


def test_a_perturbation_may_exceed_its_radius_by_rounding() -> None:
    result = ask(Says(lambda x: x * 0 + 0.1 * (1 + 5e-7) / 6), radius=0.1)
    assert (result.size > 0.1).all()
