from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.auditing.chance import ANSWERS
from saddlepoint.testing.problems import Map

Make = Callable[..., Any]
X, Y = torch.full((40, 1, 2, 2), 0.5, dtype=torch.float64), torch.zeros(40, dtype=torch.long)


class Coin(nn.Module):
    """Says 0 with probability 3/4 where x is bright, and with 1/4 where it is not: drawn for each sample."""

    def forward(self, x: Tensor) -> Tensor:
        bright = x.flatten(1).mean(1) > 0.45
        p = torch.where(bright, 0.75, 0.25).to(x.dtype)
        zero = (torch.rand(len(x), dtype=x.dtype) < p).to(x.dtype)
        steep = 1e-3 * x.flatten(1).mean(1)
        return torch.stack([zero + steep, 1 - zero - steep], 1)


def test_single_answers_have_the_accuracy_of_a_single_draw(run: Path) -> None:
    done = audit(Coin(), X, Y, threat=sp.Linf(0.1), attacks=["square(steps=30)"], curve=None, out=run)
    shares = json.loads((run / "spread.json").read_text())["spread"]
    assert set(shares) == {"clean", "linf:0.1"}
    assert all(len(one) == ANSWERS for one in shares.values())
    clean, attacked = (sum(one) / ANSWERS for one in shares.values())
    assert done.clean_accuracy > 0.95, "the mean of twenty draws is nearly always right"
    assert abs(clean - 0.75) < 0.06
    fell = 1 - done.robust_accuracy
    assert fell > 0.7
    assert abs(attacked - (0.75 - 0.5 * fell)) < 0.06


def test_the_same_run_is_not_asked_again(run: Path) -> None:
    asked = []
    noisy = Map(lambda x: asked.append(len(x)) or Coin()(x))  # type: ignore[func-returns-value]
    how: dict[str, Any] = {"threat": sp.Linf(0.1), "attacks": ["square(steps=3)"], "curve": None, "out": run}
    audit(noisy, X, Y, **how)
    first = (run / "spread.json").read_bytes()
    before = sum(asked)
    audit(noisy, X, Y, **how)
    assert sum(asked) - before <= 2, "the probe of the number of classes alone"
    assert (run / "spread.json").read_bytes() == first


def test_a_model_that_is_not_random_is_not_asked(run: Path, quick: Make) -> None:
    quick(run)
    assert not (run / "spread.json").exists()
