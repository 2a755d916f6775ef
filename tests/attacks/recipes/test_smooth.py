"""stAdv and ReColorAdv where the best smooth change can be written down."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.objectives.roughness import roughness
from saddlepoint.testing.problems import Map

RADIUS = 0.5
STEPS = 300
SIDE, HEIGHT, SLOPE = 4, 6, 0.04
AWAY = 100.0
"""So far away, in the unit of values, is the other class: nobody reaches it, all go on to the best they find."""


def pulling(pull: Tensor, x: Tensor) -> sp.Model:
    """Two classes, the second ahead by Σ pull · (x' - x) - ``AWAY``."""

    def scores(changed: Tensor) -> Tensor:
        ahead = (pull * (changed - x)).flatten(1).sum(1, keepdim=True) - AWAY
        return torch.cat([-ahead, ahead], 1) / 2

    return sp.wrap(Map(scores), bounds=(0.0, 1.0))


def ramp() -> Tensor:
    """A picture [1, 1, H, W] that grows from left to right, by ``SLOPE`` a pixel; two columns wider on each side."""
    columns = 0.2 + SLOPE * torch.arange(2 * SIDE + 4, dtype=torch.float64)
    return columns.expand(1, 1, HEIGHT, -1).clone()


@pytest.mark.parametrize("weight", [0.0, 0.01, 0.02])
def test_a_flow_on_a_ramp_is_torn_where_that_pays(weight: float) -> None:
    # Left pulls up by 1 a pixel, right down by 1/2: a field u left and v right gains SLOPE · H · SIDE · (u - v / 2),
    # and its tear costs weight · H · |u - v|. So both part where weight < SLOPE · SIDE / 2 = 0.08; no smaller part has
    # a better ratio of inside to border.
    pull = torch.zeros(1, 1, HEIGHT, 2 * SIDE + 4, dtype=torch.float64)
    pull[..., 2 : 2 + SIDE], pull[..., 2 + SIDE : -2] = 1.0, -0.5
    best = RADIUS * (SLOPE * HEIGHT * SIDE * 1.5 - 2 * weight * HEIGHT)
    x, y = ramp(), torch.zeros(1, dtype=torch.long)
    found = sp.attacks.stadv(pulling(pull, x), x, y, sp.Flow(RADIUS), steps=STEPS, weight=weight / AWAY)
    gained = (pull * (found.x_adv - x)).sum() - weight * roughness(None, found.delta).sum()
    assert float(gained) <= 1.001 * best  # the root in the penalty is rounded off
    assert float(gained) > 0.9 * best
    left, right = (found.delta[0, 0, :, at].mean() for at in (slice(2, 2 + SIDE), slice(2 + SIDE, -2)))
    assert float(left) > 0.9 * RADIUS
    assert float(right) < -0.8 * RADIUS


@pytest.mark.parametrize("weight", [0.0, 0.2, 0.5])
def test_a_curve_of_brightness_is_bent_where_that_pays(weight: float) -> None:
    # Dark pixels, at the second node of four, pull up by 2; bright ones, at the third, pull down by 1: with u and v at
    # their nodes they gain 2 u - v, the bend costs weight · |u - v|. So both part where weight < 1.
    x = torch.tensor([1.0, 1.0, 2.0, 1.0, 2.0, 2.0], dtype=torch.float64).view(1, 1, 2, 3) / 3
    pull = torch.where(x < 0.5, 2 / 3, -1 / 3)
    radius = 0.2
    best = radius * (3 - 2 * weight)
    y, threat = torch.zeros(1, dtype=torch.long), sp.Recolor(radius, nodes=4)
    found = sp.attacks.recoloradv(pulling(pull, x), x, y, threat, steps=STEPS, weight=weight / AWAY)
    gained = (pull * (found.x_adv - x)).sum() - weight * roughness(None, found.delta).sum()
    assert float(gained) <= 1.001 * best  # the root in the penalty is rounded off
    assert float(gained) > 0.9 * best
    dark, bright = found.delta[0, 0, 1:3].flatten().tolist()
    assert dark > 0.9 * radius
    assert bright < -0.9 * radius
