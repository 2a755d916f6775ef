"""SignHunter and RayS: chunks of signs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.optimizers.chunks import chunk
from saddlepoint.testing import LinearClassifier

D = 24
N = 6
X = torch.rand(N, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.6 + 0.2


class Rising(torch.nn.Module):
    """Two classes, z_1 - z_0 = <w, x> - threshold."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.w = torch.linspace(-1.0, 1.33, D, dtype=torch.float64).sin()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        value = x @ self.w - self.threshold
        return torch.stack([torch.zeros_like(value), value], 1)


@pytest.mark.parametrize("d", [1, 2, 5, 8, 784])
def test_each_level_covers_every_entry_once(d: int) -> None:
    passes, t = [], 0
    while not passes or chunk(t, d) != (0, d) or len(passes) < 2:
        passes.append(chunk(t, d))
        t += 1
        if len(passes) > 4 * d + 8:
            break
        if chunk(t, d) == (0, d):
            break
    at = 0
    for first, last in passes:
        assert first in (0, at)
        at = last
    assert passes[-1][1] == d
    assert passes[-1][1] - passes[-1][0] == 1
    assert len(passes) <= 2 ** (math.ceil(math.log2(d)) + 1) if d > 1 else len(passes) == 1


@pytest.mark.parametrize("threat", [sp.Linf(0.1), sp.L2(0.3)])
def test_one_pass_finds_the_best_corner_of_a_linear_problem(threat: sp.Linf | sp.L2) -> None:
    """The signs of w, whatever the order; 2^(ceil(log2 d) + 1) questions are enough."""
    model = Rising(1e9)
    found = sp.attacks.get("sign_hunter")(model, X, torch.zeros(N, dtype=torch.long), threat, steps=64)
    scale = 0.1 if isinstance(threat, sp.Linf) else 0.3 / D**0.5
    torch.testing.assert_close(found.delta, (scale * model.w.sign()).expand(N, D))
    assert not found.met.any()


def test_entries_at_a_bound_are_turned_inward() -> None:
    """At 0 an entry cannot fall: its sign is down nevertheless, and can be turned up."""
    model = Rising(1e9)
    x = torch.where(torch.arange(D) % 2 == 0, 0.0, 1.0).double().expand(3, D).contiguous()
    found = sp.attacks.get("sign_hunter")(model, x, torch.zeros(3, dtype=torch.long), sp.Linf(0.1), steps=64)
    best = (x[0] + 0.1 * model.w.sign()).clamp(0, 1) - x[0]
    torch.testing.assert_close(found.delta, best.expand(3, D))


def test_the_smallest_size_of_a_linear_problem_is_found_from_labels() -> None:
    model = Rising(0.0)
    with torch.no_grad():
        model.threshold = float((X @ model.w).max()) + 0.8
    y = torch.zeros(N, dtype=torch.long)
    labels = sp.wrap(model, access="labels", output="logits")
    found = sp.attacks.get("rays")(labels, X, y, sp.Linf(), steps=200, tolerance=1e-4)
    # The largest value at a size r is that of the signs of w, entries held in the box.
    for i in range(N):
        low, high = 0.0, 1.0
        for _ in range(40):
            r = (low + high) / 2
            value = float((X[i] + r * model.w.sign()).clamp(0, 1) @ model.w) - model.threshold
            low, high = (low, r) if value > 0 else (r, high)
        assert bool(found.met[i])
        assert high - 1e-9 <= float(found.size[i]) <= high + 2e-4


def test_where_no_corner_meets_the_goal_nothing_is_claimed() -> None:
    labels = sp.wrap(Rising(1e9), access="labels", output="logits")
    found = sp.attacks.get("rays")(labels, X, torch.zeros(N, dtype=torch.long), sp.Linf(), steps=20)
    assert not found.met.any()
    # clean, the first corner, one for each step
    assert found.forwards.tolist() == [22 + 1] * N


def test_signs_beat_slopes_that_are_not_there() -> None:
    """A network that rounds its inputs has slopes of zero: on n = 60 images signs fool most, gradients none but few."""
    data, threat = sp.zoo.data.load("fashion-mnist-1k[:60]"), sp.Linf(0.1)
    net = sp.zoo.load("fashion-masked")
    signs = sp.attacks.get("sign_hunter")(net, data.x, data.y, threat, steps=300)
    slopes = sp.attacks.get("pgd")(net, data.x, data.y, threat, steps=10)
    assert int(signs.met.sum()) > 50 > int(slopes.met.sum()) + 20


def test_the_corner_of_a_linear_classifier_is_the_optimum() -> None:
    model = LinearClassifier.random(2, seed=1)
    x = torch.rand(5, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = model(x).argmax(1)
    radius = torch.full((5,), 0.01, dtype=torch.float64)
    found = sp.attacks.get("sign_hunter")(model, x, y, sp.Linf(0.01), steps=130)
    best = model.margin_at(x, y, sp.Linf(), radius)
    held = ~found.met
    assert held.any()
    torch.testing.assert_close(found.value[held], best[held])
