"""The proposals of the Square attack: paint a window, or move what is spent in one window to another."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.initializers.windows import bumps, filled, inside, window_shape
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import as_images, column

MARKS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""After which of 10 000 proposals the share is halved."""
TELLABLE = 52
"""Channels among which a uniform float64 can choose a subset."""


def halving(first: float, period: int = 10_000, marks: Sequence[int] = MARKS) -> Schedule:
    """``first``, halved after each of ``marks`` (in units of period / 10 000 proposals).

    >>> share = halving(0.8)
    >>> share(10), share(11), share(51)
    (0.8, 0.4, 0.2)
    """
    return lambda t: first / 2 ** sum(int(t * 10_000 / period) > mark for mark in marks)


@dc.dataclass(frozen=True)
class PaintedSquares:
    """Set δ to +radius or -radius, one random sign for each channel, in a random square of ``share`` of the image.

    δ stays at the corners of the ball, cut by the box. Where that would change nothing, other signs are drawn, so no
    question is wasted. The square may be anywhere in the image (the published code never reaches the last row and
    column), and each sample has its own. Source: Andriushchenko, Croce, Flammarion, Hein, "Square attack: a
    query-efficient black-box adversarial attack via random search", ECCV 2020.
    """

    share: Schedule

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor, t: int) -> Tensor:
        """The proposal number ``t`` near δ, [N, *D]."""
        image = as_images(delta)
        _, channels, height, width = image.shape
        window = window_shape(self.share(t), height, width)
        u = problem.noise.uniform((channels + 3,))
        area = inside(_below(u[:, 0], height - window[0] + 1), _below(u[:, 1], width - window[1] + 1), window, image)
        signs = (u[:, 3:] < 0.5).to(image.dtype) * 2 - 1
        painted = _paint(problem, delta, area, signs)
        idle = (painted == delta).flatten(1).all(1)
        if not bool(idle.any()):
            return painted
        other = signs * _some_negative(u[:, 2], channels).to(image.dtype)
        return _paint(problem, delta, area, torch.where(idle.unsqueeze(1), other, signs))


@dc.dataclass(frozen=True)
class MovedMass:
    """Empty one random window of δ and spend its share in another, on what is there plus a pair of opposite bumps.

    With W the two windows and c one of C channels, the first window of δ_c becomes v / |v|_p · a where
    v = δ_c / |δ_c|_p ± bumps and a^p = |δ_c in W|_p^p + (radius^p - |δ|_p^p) / C: what the windows held, and a share of
    what the box withholds; for p = 1, C times that, which the projection takes back from all channels. Where δ spends
    less than the radius it is scaled up, entries that reach the box staying there: the published attack only clips,
    and loses up to half of the norm on images with many entries at the bounds. Windows have odd sides of at least 3.

    Source: Andriushchenko et al., ECCV 2020; p = 1: Croce and Hein, "Mind the box: l1-APGD for sparse adversarial
    attacks on image classifiers", ICML 2021.
    """

    share: Schedule
    p: int

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor, t: int) -> Tensor:
        """The proposal number ``t`` near δ, [N, *D]."""
        image = as_images(delta)
        _, channels, height, width = image.shape
        window = window_shape(self.share(t), height, width, least=3, odd=True)
        u = problem.noise.uniform((channels + 5,))
        tops, lefts = _below(u[:, :2], height - window[0] + 1), _below(u[:, 2:4], width - window[1] + 1)
        emptied = inside(tops[:, 1], lefts[:, 1], window, image)
        either = inside(tops[:, 0], lefts[:, 0], window, image) | emptied
        place = _place(tops[:, 0], lefts[:, 0], window, channels)
        old = image[place]
        lying, signs = (u[:, 4] < 0.5).long(), (u[:, 5:] < 0.5).to(image.dtype) * 2 - 1
        fresh = bumps(*window, self.p).to(image)[lying].unsqueeze(1) * signs[..., None, None]
        new = self._unit(self._unit(old) + fresh) * self._allowance(problem, image, either)
        moved = image.masked_fill(emptied, 0).index_put(place, new)
        return filled(problem, moved.reshape_as(delta), self.p)

    def _norm(self, v: Tensor) -> Tensor:
        """[n, C, h, w] -> [n, C, 1, 1]."""
        norm: Tensor = torch.linalg.vector_norm(v, ord=self.p, dim=(2, 3), keepdim=True)
        return norm

    def _unit(self, v: Tensor) -> Tensor:
        return v / self._norm(v).clamp_min(torch.finfo(v.dtype).tiny)

    def _allowance(self, problem: Problem[LabelAccess], image: Tensor, windows: Tensor) -> Tensor:
        """The norm to spend in the first window, [N, C, 1, 1]."""
        size = problem.set.size(problem.x, image.reshape_as(problem.x))
        lost = (problem.radius**self.p - size**self.p).clamp_min(0) / image.shape[1]
        spent = self._norm(image * windows) ** self.p
        allowance: Tensor = (column(lost, image) + spent) ** (1 / self.p) * image.shape[1] ** (2 / self.p - 1)
        return allowance


def _below(u: Tensor, high: int) -> Tensor:
    """Uniform on (0, 1) -> uniform in {0, ..., high - 1}, long."""
    return (u * high).long().clamp_max(high - 1)


def _paint(problem: Problem[LabelAccess], delta: Tensor, area: Tensor, signs: Tensor) -> Tensor:
    image = as_images(delta)
    color = signs[..., None, None] * column(problem.radius, image)
    return problem.set.project(problem.x, torch.where(area, color, image).reshape_as(delta), problem.radius)


def _some_negative(u: Tensor, channels: int) -> Tensor:
    """-1 in a uniformly drawn subset of the channels that is not empty, +1 in the others: [n, C]."""
    subset = 1 + _below(u, 2 ** min(channels, TELLABLE) - 1)
    bit = torch.arange(channels, device=u.device)
    return 1 - 2 * (((subset[:, None] >> bit.clamp_max(TELLABLE)) & 1) * (bit < TELLABLE))


def _place(top: Tensor, left: Tensor, window: tuple[int, int], channels: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The indices of the windows, which broadcast to [n, C, h, w]."""
    device = top.device
    sample, channel = torch.arange(len(top), device=device), torch.arange(channels, device=device)
    rows = top[:, None] + torch.arange(window[0], device=device)
    columns = left[:, None] + torch.arange(window[1], device=device)
    return sample[:, None, None, None], channel[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
