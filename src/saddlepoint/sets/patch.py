"""Patches: anything at all, but only inside of one square."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import ClassVar

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import as_images
from saddlepoint.sets._box import corner
from saddlepoint.sets.ball import Ball
from saddlepoint.shapes import Delta, Inputs, PerSample


@dc.dataclass(frozen=True)
class Patch(Ball):
    """{δ : what changes lies in one square of a side of at most ``radius`` pixels, low <= x + δ <= high}.

    The size is the side of the smallest such square. It may stand anywhere, each sample has its own place; with ``row``
    and ``column`` its upper left corner is there. Pixels change by any amount; a fraction of a pixel does not count. In
    vectors and signals the square is an interval. The set is not convex, but projection and linear oracle are exact:
    all places are compared. Other arguments and errors as for ``Ball``, and

    Args:
        row, column: where the square begins, both or none.

    Source: Brown, Mané, Roy, Abadi, Gilmer, "Adversarial patch", 2017; for each image its own, at any place: Croce et
    al., "Sparse-RS", AAAI 2022.

    >>> x = torch.full((1, 1, 1, 4), 0.5)
    >>> delta = torch.tensor([0.3, 0.0, 0.2, 0.3]).view(1, 1, 1, 4)
    >>> Patch().project(x, delta, torch.tensor([2.0])).flatten().tolist() == [0.0, 0.0, *delta.flatten()[2:].tolist()]
    True
    """

    name: ClassVar[str] = "patch"

    _: dc.KW_ONLY
    row: int | None = None
    column: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.row is None) != (self.column is None):
            raise ThreatError("a patch has a row and a column, or neither: patch:5@3,4 begins at row 3, column 4")
        if self.row is not None and self.column is not None and min(self.row, self.column) < 0:
            raise ThreatError(f"a patch begins at row and column 0 or more, got {self.row}, {self.column}")

    def _check(self, x: Tensor, radius: Tensor) -> None:
        super()._check(x, radius)
        height, width = as_images(x).shape[2:]
        if self.row is not None and self.column is not None and (self.row >= height or self.column >= width):
            raise ThreatError(
                f"the patch begins at row {self.row}, column {self.column}, and pictures have {height} rows and"
                f" {width} columns: it would change nothing"
            )

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """The side of the smallest square that holds what changes, [N]; infinite above or left of a fixed place."""
        changed = (as_images(delta) != 0).any(1)
        ends = []
        for used, first in ((changed.any(2), self.row), (changed.any(1), self.column)):
            place = torch.arange(used.shape[1], device=used.device).to(delta.dtype)
            last = torch.where(used, place, -1).amax(1)
            begin = torch.where(used, place, math.inf).amin(1)
            side = last + 1 - (begin if first is None else first)
            ends.append(side if first is None else torch.where(begin < first, math.inf, side))
        return torch.where(changed.flatten(1).any(1), torch.stack(ends).amax(0), 0)

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """δ clamped to the box in the square where keeping it gains most, 0 outside: [N, *D]. As in ``L0``."""
        inside = delta.clamp(*self.interval(x))
        return inside * self.window(inside * (2 * delta - inside), radius)

    @torch.no_grad()
    def project_weighted(self, x: Inputs, delta: Delta, radius: PerSample, weight: Delta) -> Delta:
        """As ``project``, what keeping an entry gains times its weight [N, *D], not negative: [N, *D]."""
        inside = delta.clamp(*self.interval(x))
        return inside * self.window(inside * (2 * delta - inside) * weight, radius)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """sign(g) in the square of the set's own radius in which Σ |g| · room is largest, 0 outside: [N, *D].

        A square of unit size would be a single pixel; content may change by any amount, so its entries are ± the
        width of the box (1 where that is infinite).
        """
        radius = torch.as_tensor(self.radius, dtype=x.dtype, device=x.device).expand(len(x))
        gradient = self.masked(gradient).detach()
        worth = gradient * corner(gradient, *self.interval(x)).clamp(-1e30, 1e30)
        wide = self.box.high - self.box.low
        return (wide if math.isfinite(wide) else 1.0) * gradient.sign() * self.window(worth, radius)

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """The best of all squares, each entry of it pushed to the box along its slope; 0 outside: [N, *D]."""
        ends = corner(gradient, *self.interval(x))
        return ends * self.window(ends.clamp(-1e30, 1e30) * gradient, radius)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """A square at a random place where it fits, its pixels uniform in the box: [N, *D]."""
        if math.isinf(self.box.high - self.box.low):
            raise ThreatError("cannot draw from patch in an unbounded box: state the bounds of the model")
        low, high = self.interval(x)
        values = low + noise.at("value").uniform(tuple(x.shape[1:]), dtype=x.dtype) * (high - low)
        return values * self.somewhere(x, radius, noise)

    def somewhere(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """1 in a square of that side at a random place where it fits, 0 outside: [N, *D]."""
        side, u = self.side(x, radius), noise.at("place").uniform((2,), dtype=x.dtype)
        begin = [
            (v * ((most - side).clamp_min(0) + 1)).floor().long() if at is None else torch.full_like(side, at)
            for v, most, at in zip(u.T, as_images(x).shape[2:], (self.row, self.column), strict=True)
        ]
        return self.square(x, begin[0], begin[1], side)

    def window(self, worth: Tensor, radius: Tensor) -> Tensor:
        """1 in the square of that side, among all places, that holds most of ``worth`` [N, *D], 0 outside: [N, *D]."""
        side = self.side(worth, radius)
        row, column = self.place(worth, side)
        return self.square(worth, row, column, side)

    def place(self, worth: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
        """Where the square of the ``side`` (long [N]) begins that holds most of ``worth``: (row, column), long [N]."""
        if self.row is not None and self.column is not None:
            return torch.full_like(side, self.row), torch.full_like(side, self.column)
        image = as_images(worth).sum(1, dtype=torch.float64)
        height, width = image.shape[1:]
        summed = torch.nn.functional.pad(image.cumsum(1).cumsum(2), (1, 0, 1, 0))
        rows, columns = torch.arange(height, device=side.device), torch.arange(width, device=side.device)
        below = (rows + side[:, None]).clamp_max(height)[:, :, None].expand(-1, -1, width + 1)
        tall = summed.gather(1, below) - summed[:, :height]
        right = (columns + side[:, None]).clamp_max(width)[:, None, :].expand(-1, height, -1)
        held = tall.gather(2, right) - tall[:, :, :width]
        best = held.flatten(1).argmax(1)
        return best // width, best % width

    def side(self, x: Tensor, radius: Tensor) -> Tensor:
        """The side in pixels, no more than the picture's: long [N]."""
        return radius.clamp_max(max(as_images(x).shape[2:])).floor().long()

    def square(self, like: Tensor, row: Tensor, column: Tensor, side: Tensor) -> Tensor:
        """1 in the square that begins there, 0 outside: [N, *D]."""
        image = as_images(like)
        inside = []
        for begin, most in ((row, image.shape[2]), (column, image.shape[3])):
            place = torch.arange(most, device=like.device)
            inside.append((place >= begin[:, None]) & (place < (begin + side)[:, None]))
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return square.to(like.dtype).expand_as(image).reshape_as(like)

    def largest(self, x: Inputs) -> PerSample:
        """The longer side of the picture, [N]."""
        return x.new_full((len(x),), float(max(as_images(x).shape[2:])))

    def _ceiling(self) -> float:
        return math.inf
