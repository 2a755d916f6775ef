"""Inputs made from nothing: where a search must end on a linear model, and what it does to shipped networks."""

from __future__ import annotations

import dataclasses as dc

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.attacks.unrestricted import unrestricted
from saddlepoint.errors import AccessError, DataError, OptionError

PAINTER = sp.zoo.generator("fashion")
CLASSES = torch.arange(20) % 10


@dc.dataclass(frozen=True)
class Lines:
    """Paints the code itself, [N, 1, 1, 4]; always sees the class 0, with no slope."""

    width: int = 4

    def paint(self, code: Tensor, classes: Tensor) -> Tensor:
        return code.view(-1, 1, 1, 4)

    def judge(self, x: Tensor) -> Tensor:
        return x.new_tensor([9.0, 0.0]).expand(len(x), 2)


def plane(x: Tensor) -> Tensor:
    """Says 1 where the mean of the entries is above 1000: nowhere near."""
    far = x.flatten(1).mean(1) - 1000
    return torch.stack([torch.zeros_like(far), 0.004 * far], 1)


def test_a_search_ends_where_the_slope_and_the_pull_back_are_equal() -> None:
    """CE' = 0.001 p with p the softmax of class 0, all but 1; the pull is closeness · 2 d / w."""
    found = unrestricted(
        sp.wrap(plane, bounds=(-9999, 9999)), Lines(), torch.zeros(5).long(), steps=300, closeness=0.001,
        reach=0.1, rate=100.0, heat=0.0,
    )  # fmt: skip
    p = plane(found.x).softmax(1)[:, :1]
    expected = 0.001 * p / (2 * 0.001 / 4)
    torch.testing.assert_close(found.code - found.start, expected.expand(-1, 4), rtol=1e-3, atol=1e-3)
    assert not bool(found.met.any())
    assert found.forwards == 5 + 300 * 5 + 5
    assert found.backwards == 300 * 5


def test_codes_move_freely_inside_the_reach() -> None:
    def near(x: Tensor) -> Tensor:
        """Says 1 once the sum has grown: misread at a change of less than the reach."""
        total = x.flatten(1).sum(1) - START.sum(1) - 0.2
        return torch.stack([torch.zeros_like(total), total], 1)

    START = unrestricted(sp.wrap(plane, bounds=(-9999, 9999)), Lines(), torch.zeros(3).long(), steps=1, heat=0.0).start
    found = unrestricted(
        sp.wrap(near, bounds=(-99, 99)), Lines(), torch.zeros(3).long(), heat=0.0, closeness=1e6, rate=0.01
    )
    assert bool(found.met.all())
    assert bool((found.distance <= 0.1).all())
    assert not bool(found.already.any())


def test_paintings_are_misread_though_the_judge_sees_their_class() -> None:
    """n = 20; of 40 some 15 % are misread as drawn, a quarter after 100 steps within 0.1, half with 0.05 added."""
    network = sp.zoo.load("fashion-pgd-linf")
    found = unrestricted(network, PAINTER, CLASSES, steps=40, added=0.05)
    with torch.no_grad():
        assert torch.equal(network(found.x).argmax(1), found.predicted)
    assert torch.equal(PAINTER.classes(found.x), found.judged)
    assert torch.equal(found.met, (found.predicted != CLASSES) & (found.judged == CLASSES))
    assert int(found.met.sum()) > int(found.already.sum()) + 2
    assert bool((found.met | ~found.already).all())
    inside = ((found.code - found.start).abs() <= 0.1)[found.met]
    assert float(inside.double().mean()) > 0.7
    apart = (found.x - PAINTER.paint(found.code, CLASSES)).abs()
    assert float(apart.max()) <= 0.05 + 1e-6


def test_an_input_does_not_depend_on_the_others() -> None:
    network = sp.zoo.load("fashion-standard")
    whole, few = (
        unrestricted(sp.wrap(network, batch_size=size), PAINTER, CLASSES[:n], steps=5) for n, size in ((9, 256), (4, 3))
    )
    torch.testing.assert_close(whole.x[:4], few.x, atol=1e-4, rtol=1e-4)
    again = unrestricted(network, PAINTER, CLASSES[:4], steps=5, seed=1)
    assert not torch.equal(again.start, few.start)


def test_targets_are_reached_or_not_met() -> None:
    target = (CLASSES + 6) % 10
    found = unrestricted(sp.zoo.load("fashion-standard"), PAINTER, CLASSES, target=target, steps=10, added=0.1)
    assert bool((found.predicted == target)[found.met].all())
    assert torch.equal(found.met, (found.predicted == target) & (found.judged == CLASSES))


def test_what_makes_no_sense_is_refused() -> None:
    network = sp.zoo.load("fashion-standard")
    with pytest.raises(OptionError, match="steps must be at least 1, got 0"):
        unrestricted(network, PAINTER, CLASSES, steps=0)
    with pytest.raises(OptionError, match="reach must be 0 or more, and finite; got -1"):
        unrestricted(network, PAINTER, CLASSES, reach=-1.0)
    with pytest.raises(DataError, match=r"classes range over \[0, 10\]"):
        unrestricted(network, PAINTER, torch.arange(11))
    with pytest.raises(AccessError, match="shrinking_rings needs labels only"):
        unrestricted(sp.wrap(network, access="labels"), PAINTER, CLASSES)
