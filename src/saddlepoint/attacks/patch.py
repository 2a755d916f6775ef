"""Patches: a thing to stick on a scene, or to wear, that misleads a network from every side."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.asking import GradientAccess, predict, require
from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Box, Model, wrap
from saddlepoint.attacks.run import ask_clean
from saddlepoint.attacks.universal import CEILING
from saddlepoint.attacks.views import Views
from saddlepoint.core.slope import slope
from saddlepoint.errors import DataError, OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.rows import batches
from saddlepoint.sets.warp import floor_of

USUAL = Views()
BATCH = 64
"""Pictures of a step, at most."""


@dc.dataclass(frozen=True)
class Patch:
    """One patch for all pictures, and how it was found.

    ``content`` [1, C, h, w]: what is stuck on, or with a ``mask`` [1, C, H, W] the picture whose masked part is worn.
    ``fooled``: bool [N], the pictures it was made from that it misleads, each in one new view; ``blank``: the same for
    a gray patch in the same views, which only hides what is under it. ``target``, or None where any other prediction
    will do; ``forwards`` and ``backwards`` over all pictures together.
    """

    content: Tensor
    mask: Tensor | None
    views: Views
    box: Box
    target: int | None
    fooled: Tensor
    blank: Tensor
    forwards: int
    backwards: int

    @property
    def rate(self) -> float:
        """The share of the pictures it was made from that are misled."""
        return float(self.fooled.double().mean())

    def show(self, x: Tensor, seed: int = 1) -> Tensor:
        """Pictures [N, C, H, W] with the patch, each in the view that ``fools`` judges: [N, C, H, W], in the bounds."""
        self._check(x)
        noise = _noise(seed, x).at("trial")
        return _scene(x, self.content.to(x), self._worn(x), self.views, noise, self.box).detach()

    def fools(self, model: Callable[[Tensor], Any], x: Tensor, *, seed: int = 1, blank: bool = False) -> Tensor:
        """Which of other pictures x [N, C, H, W] it misleads, on this model or another: bool [N].

        Misled is a picture that is predicted otherwise than without the patch (worn: in the same view); with a target,
        one that is predicted as the target and was not. ``blank`` asks the same of a gray patch.
        """
        wrapped = model if isinstance(model, Model) else wrap(model, bounds=self.box.ends)
        with wrapped.quiet():
            inputs = check_inputs(x, wrapped.box)
            self._check(inputs)
            shown = _gray(self.content, self.box) if blank else self.content
            own = predict(ask_clean(wrapped, inputs))
            worn = self._worn(inputs)
            return _misled(wrapped, inputs, own, shown.to(inputs), worn, self.views, seed, self.target)

    def _check(self, x: Tensor) -> None:
        """Raises DataError where a worn patch does not fit the pictures."""
        if self.mask is not None and x.shape[2:] != self.mask.shape[2:]:
            side, other = ("x".join(map(str, one.shape[2:])) for one in (self.mask, x))
            raise DataError(f"what is worn was made for pictures of {side} pixels, these have {other}: resize them")

    def _worn(self, like: Tensor) -> Tensor | None:
        return None if self.mask is None else self.mask.to(like.device)


def patch(
    model: Callable[[Tensor], Any],
    x: Tensor,
    *,
    side: int | None = None,
    mask: Tensor | None = None,
    target: int | None = None,
    views: Views = USUAL,
    colors: Tensor | None = None,
    smooth: float = 0.0,
    epochs: int = 40,
    rate: float = 0.5,
    seed: int = 0,
) -> Patch:
    """A patch that misleads a model wherever it is stuck, turned, near or far, in any light. No labels are needed.

    Adam on Σ over a batch of min(cross-entropy, 9), each picture with the patch in a view of its own, clipped to the
    bounds; with a ``target``, the cross-entropy to it falls. The content that misleads most pictures after an epoch, in
    views it was not made from, is kept.

    Args:
        model: with gradients; an ``nn.Module``, callable or ``sp.wrap``.
        x: pictures [N, C, H, W]; some hundreds are enough.
        side: of a square patch in pixels; or
        mask: bool [1, C, H, W] or [1, 1, H, W], where something is worn, such as a pair of glasses. Then the whole
            picture is seen in other views, and compared with itself without the patch.
        target: label that all pictures shall be taken for.
        views: how much turns, distances, places and light change. Where ``shift`` is None, a patch may be anywhere
            inside the picture, and what is worn moves by up to a tenth of it.
        colors: [P, C], those that can be printed: every pixel of the patch is one of them.
        smooth: weight of the mean difference between neighboring pixels.
        epochs: passes over the pictures.
        rate: Adam's at first, in units of the range of the bounds; it falls to a tenth. Large, for what misleads most
            is nearly all black and white.
        seed: of order and views.

    Raises:
        DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do.

    Source: Brown, Mané, Roy, Abadi, Gilmer, "Adversarial patch", 2017; Sharif, Bhagavatula, Bauer, Reiter, "Accessorize
    to a crime", CCS 2016 (what is worn, colors, smoothness); Athalye et al., ICML 2018 (views).

    >>> import saddlepoint as sp
    >>> net, data = sp.zoo.load("fashion-standard"), sp.zoo.data.load("fashion-mnist-1k[:64]")
    >>> found = patch(net, data.x, side=12, views=Views(shift=4), epochs=10)
    >>> found.content.shape, found.rate > 1.5 * float(found.blank.double().mean())
    (torch.Size([1, 1, 12, 12]), True)
    """
    wrapped = model if isinstance(model, Model) else wrap(model)
    inputs = check_inputs(x, wrapped.box)
    worn = _region(inputs, side, mask)
    if epochs < 1 or not rate > 0 or not smooth >= 0:
        raise OptionError(
            f"epochs must be at least 1, rate positive, smooth not negative; got {epochs}, {rate:g}, {smooth:g}"
        )
    box = wrapped.box
    if not box.high - box.low < float("inf"):
        raise ThreatError("a patch needs to know black and white: state the bounds of the model")
    if worn is not None and views.shift is None:
        views = dc.replace(views, shift=min(inputs.shape[2:]) / 10)
    palette = None if colors is None else _palette(colors, inputs, box)
    shape = inputs.shape[1:] if worn is not None else (inputs.shape[1], side, side)
    before = wrapped.asked
    with wrapped.quiet(seed):
        access = require(
            wrapped.access(len(inputs), device=inputs.device),
            GradientAccess,
            "patch",
            "a black box has no slope to follow",
        )
        own = predict(ask_clean(wrapped, inputs))
        if target is not None:
            check_labels(torch.full_like(own, target), inputs, ask_clean(wrapped, inputs[:1]).shape[1], "the target")
        gray = _gray(inputs.new_zeros(1, *shape), box)
        scene = _Scene(access, inputs, own, worn, views, target, palette, box)
        content, adam = gray.clone(), _Adam(torch.zeros_like(gray), torch.zeros_like(gray), 0)
        best, most = gray, -1
        for epoch in range(epochs):
            step = rate * (box.high - box.low) * (1 - 0.9 * epoch / epochs)
            content, adam = _epoch(scene, content, adam, step, smooth, _noise(seed, inputs).at("epoch", epoch))
            shown = _printed(content, palette)
            now = int(_misled(wrapped, inputs, own, shown, worn, views, seed + 1 + epoch, target).sum())
            if now > most:
                best, most = shown, now
        fooled, blank = (
            _misled(wrapped, inputs, own, one, worn, views, seed + 1 + epochs, target) for one in (best, gray)
        )
        backwards = int(access.ledger.backwards.sum())
    return Patch(best, worn, views, box, target, fooled, blank, wrapped.asked - before, backwards)


@dc.dataclass(frozen=True)
class _Scene:
    """What stays the same while a patch is made: pictures, their predictions, where the patch goes, what is wanted."""

    access: GradientAccess
    x: Tensor
    own: Tensor
    worn: Tensor | None
    views: Views
    target: int | None
    palette: Tensor | None
    box: Box


def _epoch(
    scene: _Scene, content: Tensor, adam: _Adam, rate: float, smooth: float, noise: Noise
) -> tuple[Tensor, _Adam]:
    """One pass over the pictures in random order."""
    x = scene.x
    rows = noise.at("order").uniform(()).argsort()
    for part in batches(len(rows), min(scene.access.ledger.batch_size, BATCH, max(len(rows) // 4, 1)), rows.device):
        some = rows[part.to(rows.device)]
        shared = content.detach().requires_grad_()
        printed = _printed(shared, scene.palette)
        seen = _scene(x[some], printed, scene.worn, scene.views, noise.rows(some), scene.box)
        logits = scene.access.view(some).logits(seen)
        if scene.target is None:
            gain = torch.nn.functional.cross_entropy(logits, scene.own[some], reduction="none").clamp_max(CEILING)
        else:
            wanted = torch.full_like(scene.own[some], scene.target)
            gain = -torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        value = gain.mean() - smooth * _differences(shared)
        adam = adam.seen(slope(value, shared))
        content = (content + rate * adam.way()).clamp(scene.box.low, scene.box.high)
    return content, adam


@dc.dataclass(frozen=True)
class _Adam:
    """Running means of slopes and their squares."""

    mean: Tensor
    square: Tensor
    t: int

    def seen(self, g: Tensor) -> _Adam:
        return _Adam(0.9 * self.mean + 0.1 * g, 0.999 * self.square + 0.001 * g.square(), self.t + 1)

    def way(self) -> Tensor:
        mean, square = self.mean / (1 - 0.9**self.t), self.square / (1 - 0.999**self.t)
        return mean / (square.sqrt() + 1e-12)


def _scene(x: Tensor, content: Tensor, worn: Tensor | None, views: Views, noise: Noise, box: Box) -> Tensor:
    """The pictures with the patch stuck on; or, worn, the whole of them in a view, black around it."""
    canvas = (x.shape[2], x.shape[3])
    if worn is None:
        seen, share = views.shown(content, canvas, noise, box)
        return x * (1 - share) + seen * share
    seen, share = views.shown(torch.where(worn, content, x), canvas, noise, box)
    return floor_of(box.low) * (1 - share) + seen * share


def _misled(
    model: Model,
    x: Tensor,
    own: Tensor,
    content: Tensor,
    worn: Tensor | None,
    views: Views,
    seed: int,
    target: int | None,
) -> Tensor:
    """Which pictures a content misleads, each in one view; ``own``: their predictions as they are, long [N]."""
    noise = _noise(seed, x).at("trial")
    after = predict(ask_clean(model, _scene(x, content, worn, views, noise, model.box).detach()))
    if worn is not None:
        own = predict(ask_clean(model, _scene(x, content, torch.zeros_like(worn), views, noise, model.box)))
    return after != own if target is None else (after == target) & (own != target)


def _noise(seed: int, x: Tensor) -> Noise:
    return Noise.seeded(seed, torch.arange(len(x), device=x.device)).at("patch")


def _gray(like: Tensor, box: Box) -> Tensor:
    return torch.full_like(like, (box.low + box.high) / 2)


def _printed(content: Tensor, palette: Tensor | None) -> Tensor:
    """Each pixel as the nearest of the colors [P, C]; slopes are those of the content."""
    if palette is None:
        return content
    far = (content.detach().unsqueeze(1) - palette.view(1, *palette.shape, 1, 1)).square().sum(2)
    nearest = palette[far.argmin(1)].movedim(-1, 1)
    return nearest + (content - content.detach())


def _differences(content: Tensor) -> Tensor:
    """The mean difference between neighbors."""
    down, across = content.diff(dim=2), content.diff(dim=3)
    return (down.abs().sum() + across.abs().sum()) / (down.numel() + across.numel())


def _region(x: Tensor, side: int | None, mask: Tensor | None) -> Tensor | None:
    """The mask [1, C, H, W]; None for a patch with a side."""
    if x.ndim != 4:
        raise DataError(f"a patch goes onto pictures [N, C, H, W]; the inputs have shape {list(x.shape)}")
    if not len(x):
        raise DataError("there are no pictures to make a patch from")
    if (side is None) == (mask is None):
        raise OptionError("a patch has a side, as in side=8, or a mask of where it is worn: give one of them")
    if side is not None and not 1 <= side <= min(x.shape[2:]):
        raise OptionError(f"the side of a patch is between 1 and {min(x.shape[2:])} pixels here, got {side}")
    if mask is None:
        return None
    fits = mask.ndim == 4 and len(mask) == 1 and mask.shape[1] in (1, x.shape[1]) and mask.shape[2:] == x.shape[2:]
    if mask.dtype != torch.bool or not fits or not bool(mask.any()):
        raise ThreatError(
            f"a mask is bool [1, {x.shape[1]}, {x.shape[2]}, {x.shape[3]}] and True somewhere, got {mask.dtype}"
            f" {list(mask.shape)}"
        )
    return mask.to(x.device).expand(1, *x.shape[1:])


def _palette(colors: Tensor, x: Tensor, box: Box) -> Tensor:
    if colors.ndim != 2 or colors.shape[1] != x.shape[1] or not len(colors):
        raise OptionError(f"colors are [P, {x.shape[1]}], one row each; got {list(colors.shape)}")
    if not bool(((colors >= box.low) & (colors <= box.high)).all()):
        raise OptionError(f"colors must be inside the bounds [{box.low:g}, {box.high:g}] of the model")
    return colors.to(x)
