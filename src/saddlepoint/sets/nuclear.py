"""The nuclear norm: changes of few directions, such as a stripe, a shade, a blur along one axis."""

from __future__ import annotations

import dataclasses as dc
import math
from typing import ClassVar, Literal

import torch
from torch import Tensor

from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import as_images, column, onto_simplex, take
from saddlepoint.sets._box import at, beyond, put_back
from saddlepoint.sets.ball import Ball
from saddlepoint.shapes import Delta, Inputs, PerSample

Form = Literal["channels", "whole"]
ROUNDS = 40
"""At most so many rounds between ball and box, ..."""
CLOSE = 1e-3
"""... fewer where a round moves by less than this share of the radius."""
ITERATIONS, WARM = 30, 8
"""Of the power method, and where a vertex near the answer is known: the value of the linear oracle is then right to a
few parts in a thousand, mostly far better."""
FILLS = 6
"""So many directions an oracle tries, one after the other, as long as the box cuts what it adds."""


@dc.dataclass(frozen=True)
class Nuclear(Ball):
    """{δ : the sum of the singular values of its matrices <= radius, low <= x + δ <= high}.

    The matrices are the channels of an image (``form`` "channels"), or one with all channels side by side ("whole");
    with ``block``, the tiles of that side in each channel: local changes of few directions. A vector is one row, and
    its size the L2 norm. Other arguments and errors as for ``Ball``.

    The projection is Dykstra's between ball and box, exact up to ``CLOSE``. The linear oracle adds the best direction,
    clips it to the box, and spends what is left of the radius on the next one where there is still room: exact where
    the box is far, else most of the best (tests hold it against the exact one).

    Source: Kazemi, Kerdreux, Wang, "Generating structured adversarial attacks using Frank-Wolfe method", 2020.

    >>> x = torch.full((1, 1, 2, 2), 0.5)
    >>> delta = torch.diag(torch.tensor([0.4, 0.1])).view(1, 1, 2, 2)
    >>> (Nuclear().project(x, delta, torch.tensor([0.3])).abs() > 1e-6).flatten().tolist()
    [True, False, False, False]
    """

    name: ClassVar[str] = "nuclear"

    _: dc.KW_ONLY
    form: Form = "channels"
    block: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form not in ("channels", "whole"):
            raise ThreatError(f"form is channels or whole, got {self.form!r}")
        if self.block is not None and self.block < 1:
            raise ThreatError(f"a block is a tile with a side of at least 1, got {self.block}")
        if self.block is not None and self.form == "whole":
            raise ThreatError("a block is a tile of one channel: leave block or form=whole out")

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """The sum of all singular values, [N]."""
        if not delta.numel():
            return delta.new_zeros(len(delta))
        values: Tensor = torch.linalg.svdvals(self._matrices(delta))
        return values.sum((1, 2))

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """The nearest perturbation in ball and box, [N, *D]: Dykstra's alternating projections."""
        low, high = self.interval(x)
        inside = delta.nan_to_num(0.0).clamp(low, high)
        if bool(radius.isinf().all()):
            return inside
        rows = beyond(self.size(x, inside), radius)
        if not len(rows):
            return inside
        start, low, high, radius = at(rows, delta.nan_to_num(0.0), low, high, radius)
        return put_back(inside, rows, self._shrunk(self._between(start, low, high, radius), radius))

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """u₁ v₁ᵀ of the matrix with the largest singular value, 0 for a gradient of zero: [N, *D]."""
        return self._steepest(self.masked(gradient).detach(), None)

    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """radius · u₁ v₁ᵀ, clipped to the box; what that leaves of the radius goes to the next direction: [N, *D]."""
        return self._filled(x, gradient, radius, None)

    def lmo_near(self, x: Inputs, gradient: Delta, radius: PerSample, vertex: Delta) -> Delta:
        """``lmo`` whose power method begins at the ``vertex`` [N, *D] of a slope like this one: fewer iterations."""
        return self._filled(x, gradient, radius, vertex)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """A random direction of few directions: the outer product of normal vectors in each matrix, [N, *D]."""
        matrices = self._matrices(x)
        groups, height, width = matrices.shape[1:]
        u = noise.at("left").normal((groups, height, 1), dtype=x.dtype)
        v = noise.at("right").normal((groups, 1, width), dtype=x.dtype)
        drawn = self.masked(self._whole(u * v, x))
        size = self.size(x, drawn).clamp_min(torch.finfo(x.dtype).tiny)
        length = self._reach(x, radius) * noise.at("length").uniform(dtype=x.dtype)
        return self._feasible(x, drawn * column(length / size, drawn), radius)

    @torch.no_grad()
    def _filled(self, x: Tensor, gradient: Tensor, radius: Tensor, near: Tensor | None) -> Tensor:
        low, high = self.interval(x)
        gradient, finite = self.masked(gradient), torch.minimum(radius, self._widest(x))
        found, left, going = torch.zeros_like(gradient), finite, torch.ones_like(finite, dtype=torch.bool)
        first, free = found, going
        for fill in range(FILLS):
            room = torch.where(gradient > 0, high - found, found - low)
            way = self._steepest(torch.where(room > 0, gradient, 0), near)
            wanted = column(left, way) * way
            cut = ((found + wanted).clamp(low, high) - found) * (room > 0)
            if fill == 0:
                first, free = wanted, (cut == wanted).flatten(1).all(1)
                if bool(free.all()):
                    break
            more = self._shrunk(cut, left)
            going = going & ((more * gradient).flatten(1).sum(1) > 0)
            found = torch.where(column(going, more), found + more, found)
            left = (finite - self.size(found, found)).clamp_min(0)
            going = going & (left > CLOSE * finite)
            if not bool(going.any()):
                break
            near = None
        # What the box does not cut is of the radius to the last digits, without a decomposition that says so.
        return torch.where(column(free, first), first, self._shrunk(found, radius))

    def _steepest(self, g: Tensor, near: Tensor | None) -> Tensor:
        largest = g.flatten(1).abs().amax(1) if g.numel() else g.new_zeros(len(g))
        g = g / column(torch.where(largest > 0, largest, 1), g)
        value, u, v = _top(self._matrices(g), None if near is None else self._matrices(near))
        best = torch.nn.functional.one_hot(value.argmax(1), value.shape[1]).to(g)
        spike = best[:, :, None, None] * u.unsqueeze(3) * v.unsqueeze(2)
        # A mask cuts a direction: what is left of it points uphill still, and is scaled back to unit size.
        spike = self.masked(self._whole(spike, g))
        return spike if self.mask is None else spike / column(self.size(spike, spike).clamp_min(1e-12), spike)

    def _ceiling(self) -> float:
        return math.inf

    def _widest(self, x: Tensor) -> Tensor:
        """No perturbation in the box is larger: the L1 norm of the box; a large number where it has no end."""
        low, high = self.interval(x)
        wide = torch.maximum(-low, high).flatten(1).sum(1)
        return wide.clamp_max(torch.finfo(x.dtype).max ** 0.25)

    def _between(self, start: Tensor, low: Tensor, high: Tensor, radius: Tensor) -> Tensor:
        """Dykstra's rounds for the samples [n, *D] that need them, each until its own is close."""
        state, out = (start, torch.zeros_like(start), torch.zeros_like(start)), start
        rows = torch.arange(len(start), device=start.device)
        for _ in range(ROUNDS):
            found, ball_debt, box_debt = state
            in_ball = self._onto_ball(found + ball_debt, radius)
            in_box = (in_ball + box_debt).clamp(low, high)
            state = in_box, found + ball_debt - in_ball, in_ball + box_debt - in_box
            out = out.index_copy(0, rows, in_box)
            going = ((in_box - in_ball).flatten(1).norm(dim=1) > CLOSE * radius).nonzero().squeeze(1)
            if not len(going):
                break
            state, rows = take(state, going), rows[going]
            low, high, radius = low[going], high[going], radius[going]
        return out

    def _onto_ball(self, delta: Tensor, radius: Tensor) -> Tensor:
        u, s, vh = torch.linalg.svd(self._matrices(delta), full_matrices=False)
        kept = onto_simplex(s.flatten(1), radius).view_as(s)
        return self._whole((u * kept.unsqueeze(2)) @ vh, delta)

    def _feasible(self, x: Tensor, delta: Tensor, radius: Tensor) -> Tensor:
        low, high = self.interval(x)
        return self._shrunk(delta.clamp(low, high), radius)

    def _shrunk(self, delta: Tensor, radius: Tensor) -> Tensor:
        """Scaled toward 0, which the box holds, to at most the radius."""
        size = self.size(delta, delta)
        return delta * column((radius / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp_max(1), delta)

    def _matrices(self, delta: Tensor) -> Tensor:
        """[N, *D] -> [N, G, h, w]; tiles at the far edges are filled up with zeros."""
        image = as_images(delta)
        if self.form == "whole":
            return image.permute(0, 2, 1, 3).flatten(2).unsqueeze(1)
        if self.block is None:
            return image
        n, channels, height, width = image.shape
        rows, columns = -(-height // self.block), -(-width // self.block)
        padded = torch.nn.functional.pad(image, (0, columns * self.block - width, 0, rows * self.block - height))
        tiles = padded.view(n, channels, rows, self.block, columns, self.block)
        return tiles.permute(0, 1, 2, 4, 3, 5).flatten(1, 3)

    def _whole(self, matrices: Tensor, like: Tensor) -> Tensor:
        """The inverse of ``_matrices``."""
        n, channels, height, width = as_images(like).shape
        if self.form == "whole":
            return matrices.view(n, height, channels, width).permute(0, 2, 1, 3).reshape(like.shape)
        if self.block is None:
            return matrices.reshape(like.shape)
        rows, columns = -(-height // self.block), -(-width // self.block)
        tiles = matrices.view(n, channels, rows, columns, self.block, self.block).permute(0, 1, 2, 4, 3, 5)
        padded = tiles.reshape(n, channels, rows * self.block, columns * self.block)
        return padded[:, :, :height, :width].reshape(like.shape)


def _top(matrices: Tensor, near: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """(σ₁ [N, G], u₁ [N, G, h], v₁ [N, G, w]) of matrices [N, G, h, w] by the power method.

    From the longest row; or from that of ``near`` [N, G, h, w] with some of it, and then fewer times.
    """
    tiny = torch.finfo(matrices.dtype).tiny
    v = _longest(matrices) + 1e-3 * matrices.sum(2)
    if near is not None:
        v = _unit(_longest(near), tiny) + 0.1 * _unit(v, tiny)
    for _ in range(ITERATIONS if near is None else WARM):
        v = _unit(v, tiny)
        v = ((matrices @ v.unsqueeze(3)).mT @ matrices).squeeze(2)
    v = _unit(v, tiny)
    u = (matrices @ v.unsqueeze(3)).squeeze(3)
    value = u.norm(dim=2)
    return value, u / value.unsqueeze(2).clamp_min(tiny), v


def _longest(matrices: Tensor) -> Tensor:
    """The longest row of each matrix [N, G, h, w]: [N, G, w]."""
    return torch.take_along_dim(matrices, matrices.norm(dim=3).argmax(2)[:, :, None, None], 2).squeeze(2)


def _unit(v: Tensor, tiny: float) -> Tensor:
    length: Tensor = v.norm(dim=2, keepdim=True)
    return v / length.clamp_min(tiny)
