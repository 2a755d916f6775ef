from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.auditing import audit, read_spec
from saddlepoint.errors import AccessError, ModelError, OptionError, RunError
from saddlepoint.testing.problems import Map

Make = Callable[..., Any]


def hidden(network: nn.Module) -> nn.Module:
    """Answers labels alone, told as logits: neither slopes nor scores lead anywhere."""
    return Map(lambda x: nn.functional.one_hot(network(x.detach()).argmax(1), 4).to(x.dtype))


def test_what_is_crafted_on_a_twin_breaks_what_hides(network: Make, samples: Make) -> None:
    x, y = samples()
    told: dict[str, Any] = {"threat": sp.Linf(0.1), "attacks": ["pgd(steps=5)"], "curve": None}
    alone = audit(hidden(network()), x, y, **told)
    helped = audit(hidden(network()), x, y, surrogate=network(), **told)
    known = audit(network(), x, y, **{**told, "attacks": ["pgd(objective=margin)"]})
    assert alone.robust_accuracy > helped.robust_accuracy + 0.3
    assert helped.robust_accuracy <= known.robust_accuracy + 0.05
    assert "black-box" in {doubt.name for doubt in helped.doubts}
    assert "transfer" in next(doubt.found for doubt in helped.doubts if doubt.name == "black-box")
    (_, transfer) = helped.summary().threats[0].stages
    assert transfer.attack == "transfer"
    assert transfer.backwards == 0
    assert transfer.forwards == 4 * transfer.ran_on, "clean, tried, confirmed, recorded"
    assert helped.verify().ok


def test_the_surrogate_is_left_as_it_was_and_counts_for_the_run(quick: Make, network: Make, run: Path) -> None:
    twin = network().train()
    quick(run, surrogate=twin)
    assert twin.training
    stage = next(stage for stage in read_spec(run)["stages"] if stage["attack"] == "transfer")
    assert stage["options"]["recipe"] == "pgd"
    with torch.no_grad():
        twin[1].weight.mul_(2)
    with pytest.raises(RunError, match="holds another run"):
        quick(run, surrogate=twin)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (
            lambda net: nn.Sequential(nn.Flatten(), nn.Linear(18, 3)).double(),
            ModelError,
            "knows 3 classes, the model 4",
        ),
        (lambda net: nn.Linear(5, 4).double(), ModelError, r"does not take samples of shape \[2, 3, 3\]"),
        (lambda net: sp.wrap(net, bounds=(-1, 1)), OptionError, "they must agree"),
        (lambda net: sp.wrap(net, access="scores"), AccessError, "pgd: it needs gradients"),
    ],
)
def test_a_surrogate_that_does_not_fit_is_refused(
    make: Callable[[nn.Module], Any], error: type[Exception], says: str, quick: Make, network: Make
) -> None:
    with pytest.raises(error, match=says):
        quick(surrogate=make(network()))
