"""Corruptions against what they must give: nothing at 0, the numbers of the benchmark, the JPEG of a library."""

from __future__ import annotations

import io
import math

import pytest
import torch
from PIL import Image
from torch import Tensor

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import parse
from saddlepoint.sets.corruption import kinds

EVERY = pytest.mark.parametrize("kind", [*kinds(), "any"])
N = 5
X = torch.rand(N, 3, 12, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
NOISE = Noise.seeded(0, torch.arange(N))
RANDOM = {"gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise", "motion_blur", "snow", "frost", "fog"}
UNEVEN = {"glass_blur", "elastic_transform", "spatter"}
"""As published, later severities of these are of another sort, not always farther from the picture."""
RANDOM |= UNEVEN


def delta_of(severity: float, n: int = N, pattern: float = 0.0) -> Tensor:
    return torch.tensor([[severity, pattern]], dtype=X.dtype).expand(n, 2)


def corrupted(kind: str, severity: float, x: Tensor, pattern: float = 0.0) -> Tensor:
    return sp.Corruption(kind=kind).apply(x, delta_of(severity, len(x), pattern).to(x.dtype))


@EVERY
def test_severity_0_is_nothing_and_more_is_farther(kind: str) -> None:
    for box in (Box(), Box(-1.0, 2.0)):
        for x in (X, X.float()):
            threat = sp.Corruption(kind=kind, box=box)
            some = threat.sample(x, x.new_full((N,), 5.0), NOISE)
            assert torch.equal(threat.apply(x, some * some.new_tensor([0.0, 1.0])), x)
    far = [(corrupted(kind, s, X, 0.25) - X).flatten(1).norm(dim=1) for s in (1.0, 3.0, 5.0)]
    assert bool((far[0] > 0).all())
    if kind not in UNEVEN:
        assert bool((far[2] > far[0]).all())
        assert bool((far[1] > 0.9 * far[0]).all())


@EVERY
def test_it_changes_little_by_little_and_slopes_are_those_of_differences(kind: str) -> None:
    threat = sp.Corruption(kind=kind)
    for severity in (0.4, 2.6, 4.3):
        delta = delta_of(severity, pattern=0.125).clone()
        way, step = X.new_tensor([1.0, 0.0]).expand(N, 2), 1e-7
        (told,) = [torch.autograd.functional.jvp(lambda d: threat.apply(X, d), delta, way)[1]]
        seen = (threat.apply(X, delta + step * way) - threat.apply(X, delta - step * way)) / (2 * step)
        wrong = (told - seen).abs() > 1e-4 + 1e-3 * seen.abs()
        assert float(wrong.double().mean()) < 0.01  # where something rounds or is cut off just there
        assert bool(told.isfinite().all())


@EVERY
def test_the_pattern_alone_says_what_is_random(kind: str) -> None:
    first, other = corrupted(kind, 3.0, X), corrupted(kind, 3.0, X, 0.5)
    assert torch.equal(first, corrupted(kind, 3.0, X))
    if kind in RANDOM:
        assert not torch.equal(first, other)
    alone = sp.Corruption(kind=kind).apply(X[3:4], delta_of(3.0, 1))
    torch.testing.assert_close(alone, first[3:4])
    threat = sp.Corruption(kind=kind)
    drawn = threat.sample(X, X.new_full((N,), 3.0), NOISE)
    assert torch.equal(drawn, drawn.float().to(X.dtype)) or bool((drawn[:, 1] == drawn[:, 1].float()).all())
    assert drawn[:, 1].unique().numel() == N
    assert bool(((drawn[:, 0] > 0) & (drawn[:, 0] <= 3)).all())


def test_noises_are_as_wide_as_they_say() -> None:
    x = torch.full((1, 1, 200, 200), 0.5, dtype=torch.float64)
    for kind, wide in (("gaussian_noise", 0.08), ("shot_noise", (0.5 / 100) ** 0.5), ("speckle_noise", 0.12 * 0.5)):
        change = corrupted(kind, 3.0, x) - x
        assert float(change.std()) == pytest.approx(wide, rel=0.03)
        assert float(change.mean()) == pytest.approx(0, abs=4 * wide / 200)
    struck = corrupted("impulse_noise", 4.0, x)
    share = float(((struck == 0) | (struck == 1)).double().mean())
    assert share == pytest.approx(0.05, abs=0.01)
    assert float((struck == 1).sum() / ((struck == 0) | (struck == 1)).sum()) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "kind",
    [
        "gaussian_blur",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "elastic_transform",
        "pixelate",
        "jpeg",
    ],
)
def test_what_only_blurs_leaves_an_even_picture(kind: str) -> None:
    even = torch.full((2, 3, 16, 16), 128 / 255, dtype=torch.float64)
    torch.testing.assert_close(corrupted(kind, 4.0, even), even)


def test_a_gaussian_blur_is_a_gaussian() -> None:
    x = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    x[0, 0, 4, 4] = 1
    row = corrupted("gaussian_blur", 5.0, x)[0, 0, 4]
    assert float(row[5] / row[4]) == pytest.approx(math.exp(-0.5))
    assert float(row[6] / row[4]) == pytest.approx(math.exp(-2.0))


def test_a_motion_blur_spreads_along_its_line() -> None:
    x = torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    x[0, 0, 7, 7] = 1
    seen = corrupted("motion_blur", 5.0, x)[0, 0]
    assert float(seen.sum()) == pytest.approx(1.0)
    place = torch.arange(15, dtype=torch.float64) - 7
    wide, high = (float((seen.sum(axis) * place.square()).sum()) for axis in (0, 1))
    assert wide > high  # no more than 45 degrees from level


def test_glass_shows_pixels_of_places_nearby() -> None:
    """At severity 1 each of the nine places around a pixel with the same chance; two such ways off at 5."""
    x = torch.arange(100 * 100, dtype=torch.float64).view(1, 1, 100, 100) / 1e4
    seen = (corrupted("glass_blur", 1.0, x) * 1e4).round().long()[0, 0, 1:-1, 1:-1]
    off = seen - torch.arange(100 * 100).view(100, 100)[1:-1, 1:-1]
    ways, counts = off.unique(return_counts=True)
    assert ways.tolist() == [-101, -100, -99, -1, 0, 1, 99, 100, 101]
    assert bool(((counts / off.numel() - 1 / 9).abs() < 4 * (8 / 81 / off.numel()) ** 0.5).all())


def test_what_is_pulled_at_three_points_stays_a_plane() -> None:
    """Severity 1 of the elastic change has no ripples: an affine map, under which ramps are ramps; 5 has some."""
    ramp = (torch.arange(40, dtype=torch.float64) / 40).expand(3, 1, 40, 40)
    inner = (..., slice(8, -8), slice(8, -8))
    for severity, wavy in ((1.0, False), (5.0, True)):
        seen = sp.Corruption(kind="elastic_transform").apply(
            ramp, torch.tensor([[severity, 0.1], [severity, 0.2], [severity, 0.3]])
        )[inner]
        bent = max(float(seen.diff(n=2, dim=axis).abs().max()) for axis in (2, 3))
        assert (bent > 1e-3) == wavy
        assert float((seen - ramp[inner]).abs().max()) > 0.01  # and it did move


def test_as_many_pixels_are_wet_as_the_normal_distribution_says() -> None:
    x = torch.zeros(1, 1, 300, 300, dtype=torch.float64)
    bell = torch.exp(-torch.arange(-3.0, 4.0).square() / 2)
    deviation = 0.3 * float((bell / bell.sum()).square().sum())
    share = 0.5 - 0.5 * math.erf((0.69 - 0.65) / deviation / 2**0.5)
    wet = corrupted("spatter", 3.0, x)
    assert float((wet > 0).double().mean()) == pytest.approx(share, abs=0.02)
    water = (0.299 * 175 + 0.587 * 238 + 0.114 * 238) / 255
    assert float(wet.max()) == pytest.approx(0.5 * water)
    mud = corrupted("spatter", 5.0, x + 1)
    assert float(mud.min()) < 0.2
    assert 0.02 < float((mud < 1).double().mean()) < 0.3


def test_light_and_color() -> None:
    torch.testing.assert_close(corrupted("brightness", 2.5, X), (X + 0.125).clamp(0, 1))
    mean = X.mean((2, 3), keepdim=True)
    torch.testing.assert_close(corrupted("contrast", 5.0, X), mean + 0.15 * (X - mean))
    gray = corrupted("saturation", 5.0, X)
    torch.testing.assert_close(gray, gray[:, :1].expand_as(gray))


def test_fog_keeps_the_brightest_and_lifts_the_dark() -> None:
    x = X * torch.linspace(0.2, 1, N, dtype=X.dtype).view(-1, 1, 1, 1)
    foggy = corrupted("fog", 4.0, x)
    assert bool((foggy.flatten(1).amax(1) <= x.flatten(1).amax(1) + 1e-9).all())
    black = corrupted("fog", 3.0, torch.zeros_like(X))
    assert bool(black.isfinite().all())


def test_jpeg_is_that_of_a_library() -> None:
    x = (torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(2)) * 255).round() / 255
    for severity, quality, close in ((4.0, 50, 0.05), (5.0, 40, 0.2)):  # 40: there steps are whole numbers
        stream = io.BytesIO()
        Image.fromarray((x[0, 0] * 255).byte().numpy()).save(stream, "JPEG", quality=quality)
        told = torch.frombuffer(bytearray(Image.open(stream).tobytes()), dtype=torch.uint8).view(1, 1, 32, 32) / 255
        own = corrupted("jpeg", severity, x)
        assert float((own - told).abs().mean()) < close * float((told - x).abs().mean())


def test_any_is_one_of_them_and_all_are_drawn() -> None:
    x = X[:1, :1].expand(300, 1, 12, 9)
    threat = sp.Corruption(kind="any")
    drawn = threat.sample(x, x.new_full((300,), 5.0), Noise.seeded(1, torch.arange(300)))
    out = threat.apply(x, drawn)
    known = [kind for kind in kinds() if kind != "saturation"]
    each = torch.stack([sp.Corruption(kind=kind).apply(x, drawn) for kind in known])
    same = ((each - out).flatten(2).abs().amax(2) < 1e-12).any(1)
    assert bool(((each - out).flatten(2).abs().amax(2) < 1e-12).any(0).all())
    assert bool(same.all())


def test_a_search_over_severities_finds_where_a_network_errs() -> None:
    """Its smallest severity, within what trying each severity says. n = 20."""
    data, net = sp.zoo.data.load("fashion-mnist-1k[:20]"), sp.zoo.load("fashion-standard")
    found = sp.attacks.fmn(net, data.x, data.y, sp.Corruption(kind="contrast"), steps=30)
    tried = torch.stack([corrupted("contrast", s, data.x) for s in torch.linspace(0, 5, 26).tolist()])
    wrong = torch.stack([net(x).argmax(1) != data.y for x in tried])
    assert int(wrong.any(0).sum()) - 2 <= int(found.met.sum()) <= int(wrong.any(0).sum()) + 1
    assert 3 < int(found.met.sum()) < 20


def test_what_cannot_be_corrupted_is_refused() -> None:
    with pytest.raises(ThreatError, match="there is no corruption 'rain'; known: gaussian_noise"):
        sp.Corruption(kind="rain")
    with pytest.raises(ThreatError, match="severities end at 5, got 6"):
        sp.Corruption(6.0).radii(X)
    with pytest.raises(ThreatError, match="3 channels have a saturation"):
        sp.Corruption(1.0, kind="saturation").radii(X[:, :1])
    with pytest.raises(ThreatError, match="black and white"):
        sp.Corruption(1.0, box=Box(0.0, math.inf)).radii(X)
    assert parse("corruption(kind=fog):3") == sp.Corruption(3.0, kind="fog")
    assert str(sp.Corruption(3.0, kind="fog")) == "corruption(kind=fog):3.0"
