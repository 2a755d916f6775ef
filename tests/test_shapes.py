from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from saddlepoint import shapes
from saddlepoint.core import Goal, Trial, best_value, slope
from saddlepoint.core.goal import own
from saddlepoint.objectives import margin


@jaxtyped(typechecker=beartype)
def losses(logits: shapes.Logits, label: shapes.Labels) -> shapes.PerSample:
    return logits.gather(1, label[:, None]).squeeze(1)


@jaxtyped(typechecker=beartype)
def drawn(logits: shapes.DrawnLogits, label: shapes.Labels) -> shapes.DrawnValues:
    return logits.sum(-1)


def test_what_fits_passes() -> None:
    assert losses(torch.zeros(3, 5), torch.zeros(3, dtype=torch.long)).shape == (3,)
    assert drawn(torch.zeros(2, 7, 3, 5), torch.zeros(3, dtype=torch.long)).shape == (2, 7, 3)


@pytest.mark.parametrize(
    ("logits", "label"),
    [
        (torch.zeros(3, 5), torch.zeros(4, dtype=torch.long)),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(3, 5), torch.zeros(3)),
        (torch.zeros(3, 5, dtype=torch.long), torch.zeros(3, dtype=torch.long)),
    ],
)
def test_what_does_not_fit_is_refused(logits: torch.Tensor, label: torch.Tensor) -> None:
    with pytest.raises(TypeCheckError):
        losses(logits, label)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: margin(torch.zeros(3, 5, dtype=torch.long), Goal(torch.zeros(3, dtype=torch.long))),
        lambda: own(torch.zeros(3, 5), torch.zeros(4, dtype=torch.long)),
        lambda: slope(torch.tensor(0.0), torch.zeros(3, dtype=torch.long)),
        lambda: Trial(torch.zeros(3, 2), torch.zeros(3), torch.zeros(4, dtype=torch.bool), torch.zeros(3)),
        lambda: Trial(torch.zeros(3, 2), torch.zeros(3), torch.zeros(3), torch.zeros(3)),
    ],
)
def test_the_package_is_checked_in_the_test_run(wrong: Callable[[], object]) -> None:
    with pytest.raises(TypeCheckError):
        wrong()


def trial(n: int) -> Trial:
    return Trial(torch.zeros(n, 2), torch.zeros(n), torch.zeros(n, dtype=torch.bool), torch.zeros(n))


def test_right_shapes_pass() -> None:
    assert margin(torch.zeros(2, 3, 5), Goal(torch.zeros(3, dtype=torch.long))).shape == (2, 3)
    assert not best_value(trial(3), trial(3)).any()
