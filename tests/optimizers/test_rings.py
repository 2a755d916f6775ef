"""Rings around an input: the nearest boundary of a plane in codes, and what rings follow which."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import OptionError
from saddlepoint.optimizers.rings import RingState, ShrinkingRings
from saddlepoint.sets import Waves
from saddlepoint.testing import LinearClassifier

WAVES = Waves(2)
MODEL = LinearClassifier.random(2, (1, 6, 6), seed=1)
WIDE = sp.wrap(MODEL, bounds=(-50, 50), access="labels")
X = 0.35 + 0.3 * torch.rand(8, 1, 6, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
Y = MODEL(X).argmax(1)


def distances() -> Tensor:
    """From the code of each input to the boundary: the margin over the length of the slope in codes."""
    across = (MODEL.weight[0] - MODEL.weight[1]).detach().view(1, 1, 6, 6)
    logits = MODEL(X).detach()
    return (logits[:, 0] - logits[:, 1]).abs() / WAVES.encode(across).norm()


@pytest.mark.parametrize("form", ["added", "painted"])
@pytest.mark.parametrize("name", ["rings", "shrinking_rings"])
def test_reach_the_closest_point_of_a_plane_in_codes(name: str, form: str) -> None:
    """n = 8, four numbers, 80 draws a ring: one of 50 directions is within 25 degrees of the best."""
    threat = sp.Latent(generator=WAVES, form=form)  # type: ignore[arg-type]
    if form == "painted":  # what four waves paint, the plane through it
        x = WAVES.decode(torch.zeros_like(X), WAVES.encode(X))
        y = MODEL(x).argmax(1)
        gap = (MODEL(x)[:, 0] - MODEL(x)[:, 1]).abs().detach()
        nearest = gap / WAVES.encode((MODEL.weight[0] - MODEL.weight[1]).detach().view(1, 1, 6, 6)).norm()
    else:
        x, y, nearest = X, Y, distances()
    found = sp.attacks.get(name)(WIDE, x, y, threat, steps=25, samples=80, reach=2 * float(nearest.max()))
    assert bool(found.met.all())
    ratio = found.size / nearest
    assert float(ratio.min()) >= 1 - 1e-9
    assert float(ratio.median()) < 1.25


def test_the_first_ring_that_holds_a_success_holds_what_is_returned() -> None:
    found = sp.attacks.rings(WIDE, X, Y, sp.Latent(generator=WAVES), steps=30, samples=50, reach=3.0)
    width = 3.0 / 30
    assert bool(found.met.any())
    assert torch.equal((found.size / width).floor().long()[found.met], found.steps[found.met])
    asked = torch.where(found.met, found.steps + 1, 30)
    assert torch.equal(found.forwards, 1 + 50 * asked + 1)


def test_a_radius_ends_the_rings() -> None:
    nearest = distances()
    limit = torch.where(torch.arange(8) % 2 == 0, 0.9 * nearest, 2 * nearest)
    for name in ("rings", "shrinking_rings"):
        found = sp.attacks.get(name)(WIDE, X, Y, sp.Latent(limit, generator=WAVES), steps=20, samples=60)
        assert found.met.tolist() == [False, True] * 4
        assert bool((found.size <= limit).all())


def test_a_repainting_that_is_misread_is_no_success_of_a_search() -> None:
    """On shipped pictures: nothing is asked but the picture and its repainting."""
    data, network = sp.zoo.data.load("fashion-mnist-1k[:16]"), sp.zoo.load("fashion-standard")
    threat = sp.Latent(generator=sp.zoo.generator("fashion"), form="painted")
    with torch.no_grad():
        right = network(data.x).argmax(1) == data.y
        x, y = data.x[right], data.y[right]
        misread = network(threat.apply(x, threat.zero(x))).argmax(1) != y
    found = sp.attacks.rings(network, x, y, threat, steps=2, samples=5)
    assert 0 < int(misread.sum()) < len(x)
    assert torch.equal(found.status == sp.Status.CLEAN, misread)
    assert bool((found.size[misread] == 0).all())
    assert int(found.forwards[misread].max()) < int(found.forwards[~misread].min())


def state(size: float, low: float, high: float, misses: int) -> RingState:
    one = torch.tensor([0.0], dtype=torch.float64)
    return RingState(one.view(1, 1), one + size, one + low, one + high, torch.tensor([misses]))


@pytest.mark.parametrize(
    ("before", "size", "ring"),
    [
        ((8.0, 0.0, 8.0, -1), 4.0, (2.0, 4.0, -1)),  # a success: from half its size
        ((8.0, 4.0, 8.0, -1), 8.0, (6.0, 8.0, -1)),  # none: the outer half
        ((8.0, 6.8, 8.0, -1), 8.0, (7.2, 8.0, 0)),  # none, and the outer half is thin enough
        ((8.0, 7.2, 8.0, 0), 7.5, (6.48, 7.2, 0)),  # a success in a thin ring: the next farther in
        ((8.0, 7.2, 8.0, 1), 8.0, (7.2, 8.0, 2)),  # none: once more
    ],
)
def test_which_ring_follows(
    before: tuple[float, float, float, int], size: float, ring: tuple[float, float, int]
) -> None:
    optimizer = ShrinkingRings(samples=1, reach=8.0, width=0.1, stop=5)
    after = state(size, *before[1:])
    low, high, misses = optimizer._next(state(*before), after)
    assert (float(low), float(high), int(misses)) == pytest.approx(ring)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("rings", {"samples": 0}, "samples must be at least 1"),
        ("rings", {"reach": 0.0}, "positive and finite; got 0"),
        ("shrinking_rings", {"reach": float("inf")}, "positive and finite; got inf"),
        ("shrinking_rings", {"width": 1.0}, "between 0 and 1; got 1"),
        ("shrinking_rings", {"stop": 0}, "stop must be at least 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(name: str, options: dict[str, float], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        sp.attacks.get(name).attack(sp.Latent(), **options)
