"""Sets one after the other."""

from __future__ import annotations

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Neighborhood, parse

X = torch.rand(3, 3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PARTS = (sp.Recolor(0.1, nodes=4), sp.Flow(0.5), sp.Linf(0.05))
NOISE = Noise.seeded(0, torch.arange(3))


def test_parts_change_the_picture_in_turn() -> None:
    threat = sp.Composed(parts=PARTS)
    one = torch.ones(3, dtype=X.dtype)
    delta = threat.sample(X, one, NOISE)
    colors, flow, extra = torch.split(delta, [3 * 4 * 8 * 8, 2 * 6 * 5, 3 * 6 * 5], 1)
    recolored = sp.Recolor(nodes=4).apply(X, colors.view(3, 3, 4, 8, 8))
    moved = sp.Flow().apply(recolored, flow.view(3, 2, 6, 5))
    torch.testing.assert_close(threat.apply(X, delta), (moved + extra.view_as(X)).clamp(0, 1))
    sizes = [colors.abs().amax(1) / 0.1, flow.view(3, 2, -1).norm(dim=1).amax(1) / 0.5, extra.abs().amax(1) / 0.05]
    torch.testing.assert_close(threat.size(X, delta), torch.stack(sizes).amax(0))


def test_a_sum_may_use_what_a_part_before_it_made_room_for() -> None:
    white = torch.ones(1, 1, 2, 2)
    threat = sp.Composed(parts=(sp.Recolor(0.5, nodes=2), sp.Linf(0.2)))
    delta = torch.cat([torch.tensor([[0.0, -0.5]]), torch.full((1, 4), 0.2)], 1)
    kept = threat.project(white, delta, torch.ones(1))
    torch.testing.assert_close(kept, delta)
    torch.testing.assert_close(threat.apply(white, kept), torch.full((1, 1, 2, 2), 0.7))


@pytest.mark.parametrize(
    "written",
    ["recolor:0.06+linf:0.03", "Recolor:0.06 + Linf:0.03", "composed(recolor:0.06+linf:0.03):1", "linf:1e-2+l2:1/2"],
)
def test_written_as_it_is_read(written: str) -> None:
    threat = parse(written, Box(-1.0, 1.0))
    assert isinstance(threat, sp.Composed)
    assert threat.radius == 1
    assert str(parse(str(threat))) == str(threat)


def test_options_of_parts_and_the_radius_are_read() -> None:
    threat = parse("composed(wasserstein(kernel=3):0.1+spatial(degrees=10):0.5):0.7")
    assert isinstance(threat, sp.Composed)
    first, second = threat.parts
    assert isinstance(first, sp.Wasserstein)
    assert isinstance(second, sp.Spatial)
    assert (first.kernel, second.degrees, second.radius, threat.radius) == (3, 10, 0.5, 0.7)
    assert str(threat) == "composed(wasserstein(kernel=3):0.1+spatial(degrees=10):0.5):0.7"


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ((sp.Linf(0.1),), "two parts or more"),
        ((sp.Linf(0.1), sp.L2()), "one positive radius, as in linf:0.03; got l2:inf"),
        ((sp.Linf(0.0), sp.L2(1)), "one positive radius"),
        ((sp.Linf(0.1), sp.L0(3)), "l0 cannot be a part of a composition: it fills entries up to the box"),
        ((sp.Linf(0.1), sp.Patch(3)), "patch cannot be a part"),
        ((sp.Linf(0.1), sp.Composed(1.0)), "composed cannot be a part of a composition: write its parts"),
        ((sp.Linf(0.1), sp.Perceptual(0.1)), "perceptual must be the first part: it needs to know the picture"),
        ((sp.Linf(0.1), sp.Wasserstein(0.1)), "wasserstein must be the first part"),
        ((sp.Linf(0.1, mask=torch.ones(1, 2, dtype=torch.bool)), sp.L2(1)), "one mask for all"),
    ],
)
def test_what_cannot_be_composed_is_refused(parts: tuple[Neighborhood, ...], what: str) -> None:
    with pytest.raises(ThreatError, match=what):
        sp.Composed(parts=parts)


def test_together_they_do_more_than_each_alone() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:100]")
    network = sp.zoo.load("fashion-pgd-linf")
    together = sp.Composed(1.0, parts=(sp.Recolor(0.1), sp.Flow(0.3), sp.Linf(0.05)))
    met = {str(one): sp.attacks.pgd(network, data.x, data.y, one, steps=20).met for one in (together, *together.parts)}
    count = [int(one.sum()) for one in met.values()]
    assert count[0] >= max(count[1:]) + 10


def test_a_perceptual_part_comes_first_and_keeps_to_its_own_ball() -> None:
    """Three pictures of a network whose own features count, then bent, then a little of everything."""
    net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:3]")
    threat = sp.Composed(1.0, parts=(sp.Perceptual(0.2), sp.Flow(0.3), sp.Linf(0.02)))
    found = sp.attacks.pgd(net, data.x, data.y, threat, steps=4)
    assert (found.size <= 1 + 1e-5).all()
    seen = sp.Perceptual(0.2).fitted_to(sp.wrap(net))
    first = found.delta[:, : 28 * 28].view_as(data.x)
    size = seen.size(data.x, first)
    assert (size <= 0.2 * (1 + 1e-5)).all()
    assert float(size.max()) > 0.1
    written = parse("perceptual:0.2+flow:0.3+linf:0.02")
    assert str(written) == str(threat)
