"""The slope as a model would have it that sees another view of the input: what is common to views carries over."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import PerturbationSet, Problem
from saddlepoint.core.protocols import Gradient
from saddlepoint.core.trial import Trial, look
from saddlepoint.gradients.blur import blurred
from saddlepoint.noise import Noise
from saddlepoint.rows import as_images

A = TypeVar("A", bound=ScoreAccess)
View = Callable[[Tensor, Noise, int], Tensor]
"""(inputs [N, *D], randomness, number of the draw) -> what is seen in their place, [N, *D]; differentiable."""


@dc.dataclass(frozen=True)
class Through(Generic[A]):
    """The mean of ``gradient`` over ``draws`` views of the perturbed input; the trial is that of the input itself.

    Costs ``draws`` times what ``gradient`` does, and one forward to look.
    """

    view: View
    gradient: Gradient[A]
    draws: int = 1

    def __call__(self, problem: Problem[A], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the mean slope), for δ [N, *P]."""
        trial, slope = look(problem, delta), torch.zeros_like(delta)
        for k in range(self.draws):
            drawn = problem.at("view", k)
            seen = dc.replace(drawn, set=_Seen(problem.set, self.view, drawn.noise, k))
            slope = slope + self.gradient(seen, delta)[1]
        return trial, slope / self.draws


@dc.dataclass(frozen=True)
class _Seen:
    """A perturbation set whose perturbed inputs are seen through a view."""

    set: PerturbationSet
    view: View
    noise: Noise
    k: int

    def apply(self, x: Tensor, delta: Tensor) -> Tensor:
        out = self.set.apply(x, delta)
        draws = out.reshape(-1, *x.shape)
        return torch.cat([self.view(one, self.noise, self.k) for one in draws]).view_as(out)

    def rows(self, keep: Tensor) -> Self:
        return dc.replace(self, set=self.set.rows(keep), noise=self.noise.rows(keep))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.set, name)


@dc.dataclass(frozen=True)
class Resized:
    """With a chance of ``probability``, the image smaller by a random factor down to ``least``, at a random place.

    Around it is 0; the size of the tensor stays. A factor and a place for each sample. Source: Xie et al., "Improving
    transferability of adversarial examples with input diversity", CVPR 2019 (there: padded from 299 to 330 pixels).
    """

    probability: float = 0.5
    least: float = 0.9

    def __call__(self, x: Tensor, noise: Noise, k: int) -> Tensor:
        """One view of x [N, *D]."""
        image = as_images(x)
        u = noise.at("resize", k).uniform((4,), dtype=x.dtype)
        factor = torch.where(
            u[:, 0] < self.probability, self.least + (1 - self.least) * u[:, 1], torch.ones_like(u[:, 1])
        )
        # Output places go to input places / factor; at ± (1 - factor) the image touches a border.
        shift = (2 * u[:, 2:] - 1) * (1 - factor).unsqueeze(1) / factor.unsqueeze(1)
        theta = x.new_zeros(len(x), 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = 1 / factor
        theta[:, :, 2] = shift
        grid = functional.affine_grid(theta, list(image.shape), align_corners=False)
        return functional.grid_sample(image, grid, align_corners=False).view_as(x)


def halved(x: Tensor, noise: Noise, k: int) -> Tensor:
    """x / 2^k: the dimmer copies of an image that a network classifies alike.

    Source: Lin, Song, He, Wang, Hopcroft, "Nesterov accelerated gradient and scale invariance for adversarial
    attacks", ICLR 2020.
    """
    return x * 2.0**-k


@dc.dataclass(frozen=True)
class Smoothed(Generic[A]):
    """A slope convolved with a Gaussian of ``width`` x ``width`` pixels, 3 standard deviations at its edge.

    To first order the mean slope over all shifts of the input by up to half of the width. Width 1 changes nothing.
    Source: Dong, Pang, Su, Zhu, "Evading defenses to transferable adversarial examples by translation-invariant
    attacks", CVPR 2019.
    """

    gradient: Gradient[A]
    width: int = 7

    def __call__(self, problem: Problem[A], delta: Tensor) -> tuple[Trial, Tensor]:
        """(what was seen at δ, the smoothed slope), for δ [N, *P]."""
        trial, slope = self.gradient(problem, delta)
        half = self.width // 2
        return trial, blurred(slope, max(half, 1) / 3, half)
