"""What rain, dirt, cheap cameras and compression do to pictures, by a severity from 0 (nothing) to 5.

Each takes pictures in [0, 1] ([M, C, H, W]), severities [M] and the randomness of each, gives pictures of the same
shape, exactly those it was given at severity 0, and is differentiable in the severity almost everywhere. Between whole
severities the numbers of Hendrycks and Dietterich, in their version for small pictures, are joined by lines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.noise import Noise
from saddlepoint.rows import column
from saddlepoint.sets._cosines import cosines
from saddlepoint.sets.warp import pixels, resampled

Corrupt = Callable[[Tensor, Tensor, Noise], Tensor]
WORST = 5.0
EDGE = 0.01
"""An entry turns to black or white over this share, so that impulse noise has a slope."""
DROP = 0.02
"""Over so much of the wet layer the edge of a drop rises, so that it has a slope."""
TAPS = 9
"""Places a line or ring is seen at."""
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
"""How coarsely JPEG keeps each wave of 8 x 8 pixels at quality 50, of 255."""


def gaussian_noise(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Electronic noise: the same everywhere."""
    return x + _at(s, x, 0, 0.04, 0.06, 0.08, 0.09, 0.10) * noise.normal(tuple(x.shape[1:]), dtype=x.dtype)


def shot_noise(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Noise of counted light: Poisson, by its normal approximation x + √(x / c) n."""
    counts = [0.0, *(c**-0.5 for c in (500, 250, 100, 75, 50))]
    return x + _at(s, x, *counts) * x.clamp_min(0).sqrt() * noise.normal(tuple(x.shape[1:]), dtype=x.dtype)


def speckle_noise(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Noise in proportion to the light."""
    return x + _at(s, x, 0, 0.06, 0.1, 0.12, 0.16, 0.2) * x * noise.normal(tuple(x.shape[1:]), dtype=x.dtype)


def impulse_noise(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Salt and pepper on a share of the entries."""
    shape = tuple(x.shape[1:])
    share = _at(s, x, 0, 0.01, 0.02, 0.03, 0.05, 0.07) * (1 + EDGE)
    struck = ((share - noise.uniform(shape, dtype=x.dtype)) / EDGE).clamp(0, 1)
    return x + struck * ((noise.at("side").signs(shape, dtype=x.dtype) + 1) / 2 - x)


def gaussian_blur(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Out of focus, softly."""
    return _blurred(x, _at(s, x, 0, 0.4, 0.6, 0.7, 0.8, 1.0))


def defocus_blur(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Out of focus: the mean over a disk."""
    radius = _at(s, x, 0, 0.3, 0.4, 0.5, 1.0, 1.5)
    turns = [2 * math.pi * k / (TAPS - 1) for k in range(TAPS - 1)]
    ways = [(share * math.cos(turn), share * math.sin(turn)) for share in (0.5, 1.0) for turn in turns]
    return _mean_seen(x, (pixels(x) + radius * x.new_tensor(way) for way in ways), len(ways))


def motion_blur(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Moved while it was taken: the mean along a line, up to 45 degrees from level."""
    turn = (2 * noise.uniform((1,), dtype=x.dtype) - 1) * math.pi / 4
    return _along(x, _at(s, x, 0, 2, 3, 4, 4.5, 5.5), turn)


def zoom_blur(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Coming nearer while it was taken: the mean over rising magnifications."""
    most = _at(s, x, 0, 0.06, 0.11, 0.16, 0.21, 0.26)
    center = (x.new_tensor([x.shape[3], x.shape[2]]) - 1) / 2
    off = pixels(x) - center
    return _mean_seen(x, (center + off / (1 + most * k / (TAPS - 1)) for k in range(TAPS)), TAPS)


def glass_blur(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Seen through rough glass: every pixel from a place next to its own, from severity 4 on twice; then blurred."""
    once, twice = (
        noise.at("aside", k).uniform((*x.shape[2:], 2), dtype=x.dtype).mul(3).floor() - 1 for k in range(2)
    )  # fmt: skip
    places = pixels(x) + _at(s, x, 0, 1, 1, 1, 1, 1) * once + _at(s, x, 0, 0, 0, 0, 1, 1) * twice
    return _blurred(resampled(x, places, 0.0, beyond="border"), _at(s, x, 0, 0.05, 0.25, 0.4, 0.25, 0.4) * 2**0.5)


def elastic_transform(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Pulled at three points, and rippled: far and stiff at severity 1, near and wavy at 5."""
    side = min(x.shape[2:])
    shares = _barycentric(x, side / 3)
    pulls = 2 * noise.at("pull").uniform((3, 2), dtype=x.dtype) - 1
    stiff = _at(s, x, 0, 0.08, 0.07, 0.06, 0.05, 0.03) * side * (shares @ pulls.unsqueeze(1))
    ripples = 2 * noise.at("ripple").uniform((2, *x.shape[2:]), dtype=x.dtype) - 1
    width = _at(s, x, 0, 0, 0.2, 0.06, 0.04, 0.03) * side
    wavy = _at(s, x, 0, 0, 0.05, 0.08, 0.1, 0.1) * side * _blurred(ripples, width, math.ceil(0.6 * side))
    return resampled(x, pixels(x) + stiff + wavy.permute(0, 2, 3, 1), 0.0, beyond="border")


def spatter(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Drops of water on the lens up to severity 3, splashes of mud from 4 on, both between."""
    wet = _at(s, x, 0.62, 0.62, 0.65, 0.65, 0.65, 0.65)
    wet = wet + _at(s, x, 0.1, 0.1, 0.1, 0.3, 0.1, 0.1) * noise.normal((1, *x.shape[2:]), dtype=x.dtype)
    wet = _blurred(wet, _at(s, x, 0.7, 0.7, 0.8, 1.0, 0.7, 0.5))
    drops = ((wet - _at(s, x, 0.7, 0.7, 0.7, 0.69, 0.69, 0.68)) / DROP).clamp(0, 1)
    splashes = _blurred(drops, _at(s, x, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6))
    splashes = splashes * ((splashes - 0.7) / 0.1).clamp(0, 1)
    water, mud = (_colored(x, color) for color in ((175, 238, 238), (63, 42, 20)))
    rinsed = x + _at(s, x, 0, 0.5, 0.5, 0.5, 0, 0) * drops * water
    return rinsed + _at(s, x, 0, 0, 0, 0, 1, 1) * splashes * (mud - rinsed)


def fog(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Fractal fog over it, then as bright as before."""
    amount, decay = _at(s, x, 0, 0.2, 0.5, 0.75, 1.0, 1.5), _at(s, x, 3, 3, 3, 2.5, 2, 1.75)
    most = column(x.flatten(1).amax(1).clamp_min(torch.finfo(x.dtype).tiny), x)
    return (x + amount * _plasma(x, decay, noise)) * (most / (most + amount))


def frost(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Frost-like: bright veins, the ridges of a fractal, over a darker picture (there: photographs of frost)."""
    veins = (1 - (2 * _plasma(x, x.new_full((len(x), 1, 1, 1), 1.6), noise) - 1).abs()) ** 2
    return _at(s, x, 1, 1, 1, 0.9, 0.85, 0.75) * x + _at(s, x, 0, 0.2, 0.3, 0.4, 0.4, 0.45) * veins


def snow(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Flakes that fall, in front of a whiter picture."""
    flakes = noise.normal((1, *x.shape[2:]), dtype=x.dtype) * _at(s, x, 0.2, 0.2, 0.2, 0.3, 0.3, 0.3)
    flakes = flakes + _at(s, x, 0.1, 0.1, 0.1, 0.15, 0.25, 0.3)
    flakes = torch.where(flakes < _at(s, x, 0.6, 0.6, 0.5, 0.55, 0.6, 0.65), 0, flakes).clamp(0, 1)
    fall = -math.pi / 4 * (1 + 2 * noise.at("fall").uniform((1,), dtype=x.dtype))
    layer = _along(flakes, _at(s, x, 3, 3, 4, 4, 6, 8), fall) * _at(s, x, 0, 1, 1, 1, 1, 1)
    keep = _at(s, x, 1, 0.95, 0.9, 0.9, 0.85, 0.8)
    return keep * x + (1 - keep) * torch.maximum(x, 1.5 * _gray(x) + 0.5) + layer + layer.flip(2, 3)


def brightness(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Too much light, on every channel alike."""
    return x + _at(s, x, 0, 0.05, 0.1, 0.15, 0.2, 0.3)


def contrast(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Pale: toward the mean of each channel."""
    return x + _at(s, x, 0, 0.25, 0.5, 0.6, 0.7, 0.85) * (x.mean((2, 3), keepdim=True) - x)


def saturation(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Colors fade to gray, a fifth with every severity."""
    return x + _at(s, x, 0, 0.2, 0.4, 0.6, 0.8, 1.0) * (_gray(x) - x)


def pixelate(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """Seen with fewer pixels; between whole severities a mixture of both."""
    out = x
    for k, share in enumerate((0.95, 0.9, 0.85, 0.75, 0.65), 1):
        few = max(int(share * x.shape[2]), 1), max(int(share * x.shape[3]), 1)
        coarse = functional.interpolate(functional.adaptive_avg_pool2d(x, few), size=x.shape[2:], mode="nearest-exact")
        out = out + column((1 - (s - k).abs()).clamp_min(0), x) * (coarse - x)
    return out


def jpeg(x: Tensor, s: Tensor, noise: Noise) -> Tensor:
    """JPEG-like: waves of 8 x 8 pixels in each channel, rounded as for qualities 80, 65, 58, 50 and 40."""
    height, width = x.shape[2:]
    padded = functional.pad(x, (0, -width % 8, 0, -height % 8), "replicate")
    tiles = padded.unfold(2, 8, 8).unfold(3, 8, 8)
    waves = cosines(8, 8, x)
    found = waves @ (tiles - 128 / 255) @ waves.T
    coarse = _at(s, x, 0, 0.4, 0.7, 0.84, 1.0, 1.25).view(-1, 1, 1, 1, 1, 1) * x.new_tensor(_LUMINANCE) / 255
    step = coarse.clamp_min(torch.finfo(x.dtype).eps)
    lost = torch.where(coarse > 0, step * (found / step).round() - found, 0)
    change = (waves.T @ lost @ waves).permute(0, 1, 2, 4, 3, 5).reshape(padded.shape)
    return x + change[:, :, :height, :width]


KINDS: dict[str, Corrupt] = {
    one.__name__: one
    for one in (
        gaussian_noise, shot_noise, impulse_noise, speckle_noise, gaussian_blur, defocus_blur, glass_blur, motion_blur,
        zoom_blur, snow, frost, fog, spatter, brightness, contrast, saturation, elastic_transform, pixelate, jpeg,
    )
}  # fmt: skip


def _at(s: Tensor, x: Tensor, *levels: float) -> Tensor:
    """The line through the levels at severities 0 to 5, at s [M]: [M, 1, ...], for pictures x [M, ...]."""
    table = x.new_tensor(levels)
    below = s.detach().long().clamp(0, len(levels) - 2)
    return column(table[below] + (s - below) * (table[below + 1] - table[below]), x)


def _mean_seen(x: Tensor, places: Iterable[Tensor], n: int) -> Tensor:
    """The mean of x [M, C, H, W] looked up at ``n`` sets of places [M, H, W, 2]; its border goes on."""
    total = torch.zeros_like(x)
    for at in places:
        total = total + (resampled(x, at, 0.0, beyond="border") - x)
    return x + total / n


def _blurred(x: Tensor, sigma: Tensor, half: int = 3) -> Tensor:
    """x [M, C, H, W] convolved with Gaussians of ``sigma`` [M, 1, 1, 1], cut off at ``half``; its border goes on."""
    place = torch.arange(-half, half + 1, dtype=x.dtype, device=x.device)
    bell = torch.exp(-(place / sigma.view(-1, 1).clamp_min(1e-2)).square() / 2)
    bell = (bell / bell.sum(1, keepdim=True)).repeat_interleave(x.shape[1], 0)
    planes = x.reshape(1, -1, *x.shape[2:])
    for shape, pad in (((-1, 1, 2 * half + 1, 1), (0, 0, half, half)), ((-1, 1, 1, 2 * half + 1), (half, half, 0, 0))):
        planes = functional.conv2d(functional.pad(planes, pad, "replicate"), bell.view(shape), groups=len(bell))
    return planes.view_as(x)


def _barycentric(x: Tensor, reach: float) -> Tensor:
    """Of each pixel of x [M, C, H, W] the shares of the points c + (q, q), c + (q, -q), c - (q, q): [1, H, W, 3].

    c is the center, q the ``reach``; the shares add up to 1, and give the pixel's place as the mean of the points.
    """
    center = (x.new_tensor([x.shape[3], x.shape[2]]) - 1) / 2
    across, down = ((pixels(x) - center) / reach).unbind(-1)
    return torch.stack([(1 + down) / 2, (across - down) / 2, (1 - across) / 2], -1)


def _colored(x: Tensor, color: tuple[int, int, int]) -> Tensor:
    """A color of 255 levels, for pictures without three channels its brightness: [1, C or 1, 1, 1]."""
    tint = x.new_tensor(color).view(1, 3, 1, 1) / 255
    return tint if x.shape[1] == 3 else _gray(tint)


def _along(x: Tensor, length: Tensor, turn: Tensor) -> Tensor:
    """The mean along lines of ``length`` [M, 1, 1, 1] pixels at the angle ``turn`` [M, 1] from level."""
    way = torch.cat([turn.cos(), turn.sin()], 1).view(-1, 1, 1, 2)
    shares = [k / (TAPS - 1) - 0.5 for k in range(TAPS)]
    return _mean_seen(x, (pixels(x) + share * length * way for share in shares), TAPS)


def _plasma(x: Tensor, decay: Tensor, noise: Noise) -> Tensor:
    """Fractal clouds in [0, 1] for pictures x: [M, 1, H, W]; each octave weighs ``decay`` [M, 1, 1, 1] times less."""
    total = x.new_zeros(len(x), 1, *x.shape[2:])
    for octave in range(max(math.ceil(math.log2(max(x.shape[2:]))), 1)):
        grid = noise.at("octave", octave).uniform((1, 2**octave + 1, 2**octave + 1), dtype=x.dtype)
        total = total + decay**-octave * functional.interpolate(
            grid, size=x.shape[2:], mode="bilinear", align_corners=True
        )
    least, most = total.flatten(1).aminmax(dim=1)
    return (total - column(least, x)) / column((most - least).clamp_min(torch.finfo(x.dtype).tiny), x)


def _gray(x: Tensor) -> Tensor:
    """The brightness of each pixel, [M, 1, H, W]."""
    if x.shape[1] != 3:
        return x.mean(1, keepdim=True)
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
