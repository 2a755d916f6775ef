"""A start that meets the goal already: random noise or a given input, blended with x as far as it goes."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.draws import affordable, covered
from saddlepoint.access.model import Box
from saddlepoint.core.problem import Problem
from saddlepoint.errors import OptionError
from saddlepoint.rows import as_images, column, put, take, where

Draw = Callable[[Problem[LabelAccess], int], Tensor]
"""(problem, number of the try) -> a δ [N, *P] that may meet the goal."""
COSTLY = 100
"""Starts after the first are looked for only where the budget left is worth this many of them."""


@dc.dataclass(frozen=True)
class Found:
    """The smallest start so far, δ [N, *D], its size [N] (infinite before the first), how many were seen (long [N])."""

    delta: Tensor
    size: Tensor
    hits: Tensor


@dc.dataclass(frozen=True)
class NoiseInputs:
    """Toward random inputs: in turn uniform noise, and black-and-white noise in blocks of 2, 4, 8, ... pixels.

    Uniform noise is what is published; robust networks see one and the same class in all of it.

    Args:
        box: the range of valid inputs, finite.

    Source: Brendel, Rauber, Bethge, "Decision-based adversarial attacks", ICLR 2018 (blended uniform noise).
    """

    box: Box

    def __call__(self, problem: Problem[LabelAccess], k: int) -> Tensor:
        """δ toward the k-th random input, [N, *D]."""
        x, image = problem.x, as_images(problem.x)
        channels, height, width = image.shape[1:]
        if k % 2 == 0:
            unit = problem.noise.uniform(tuple(x.shape[1:]), dtype=x.dtype)
        else:
            sizes = max(max(height, width).bit_length() - 1, 1)
            side = 2 ** (1 + k // 2 % sizes)
            blocks = problem.noise.signs((channels, -(-height // side), -(-width // side)), dtype=x.dtype)
            coarse = nn.functional.interpolate(blocks, scale_factor=side, mode="nearest")
            unit = (coarse[..., :height, :width].reshape_as(x) + 1) / 2
        return _toward(problem, self.box.low + unit * (self.box.high - self.box.low))


@dc.dataclass(frozen=True)
class Members:
    """Random perturbations of the set, in turn of one, two and four radii: for those that are not added to the input.

    Args:
        reach: what counts as the radius where there is none.
    """

    reach: float

    def __call__(self, problem: Problem[LabelAccess], k: int) -> Tensor:
        """The k-th random perturbation, [N, *P]."""
        size = torch.where(problem.radius.isfinite(), problem.radius, self.reach) * 2 ** (k % 3)
        return problem.set.sample(problem.x, size, problem.noise)


@dc.dataclass(frozen=True)
class Adversarial:
    """α δ, with δ a perturbation at which the goal is met, and α <= 1 found by bisection.

    Those tried lead to the ``candidates``, the nearest first, then to what is drawn, ``tries`` times. The smallest of
    the first ``starts`` that meet the goal is taken: it is likelier to lie at the nearest boundary. One forward for
    each try, ``rounds`` for each bisection. Where nothing is found, δ = 0.

    Args:
        draw: the random ones.
        candidates: inputs [M, *D], for instance of the wanted class.
        tries: how many random ones to try at most.
        starts: how many successes to compare.
        rounds: how often α is bisected.
    """

    draw: Draw
    candidates: Tensor | None = None
    tries: int = 100
    starts: int = 10
    rounds: int = 10

    def __call__(self, problem: Problem[LabelAccess]) -> Tensor:
        """δ [N, *D], the goal met where it is not 0."""
        order = self._nearest_first(problem)
        nothing = torch.full_like(problem.radius, torch.inf)
        found = Found(problem.set.zero(problem.x), nothing, torch.zeros_like(problem.goal.label))
        for k in range(len(order) + self.tries):
            rows = self._looking(problem, found)
            if not len(rows):
                break
            left = problem.rows(rows)
            if k < len(order):
                far = self._toward_candidate(left, order[k, rows])
            else:
                far = self.draw(left.at(k), k - len(order))
            found = put(found, rows, self._tried(left, take(found, rows), far))
        return found.delta

    def _looking(self, problem: Problem[LabelAccess], found: Found) -> Tensor:
        """The samples that need more starts and can pay for them, long [n]; one question is kept for who comes next."""
        many = affordable(problem.access, COSTLY * (1 + self.rounds))
        rows = ((found.hits == 0) | (many & (found.hits < self.starts))).nonzero().squeeze(1)
        return rows[covered(problem.access.view(rows), 2)]

    def _tried(self, problem: Problem[LabelAccess], found: Found, far: Tensor) -> Found:
        """With the start ``far``, where it meets the goal and is smaller once it is blended."""
        rows = met(problem, far).nonzero().squeeze(1)
        there, old = problem.rows(rows), take(found, rows)
        near = self._blend(there, far[rows])
        new = Found(near, there.set.size(there.x, near), old.hits)
        best = where(new.size < old.size, new, old)
        return put(found, rows, dc.replace(best, hits=old.hits + 1))

    def _nearest_first(self, problem: Problem[LabelAccess]) -> Tensor:
        """The index of the k-th nearest candidate of each sample, long [M, N]."""
        x, some = problem.x, self.candidates
        if some is None or not len(some):
            return torch.zeros(0, len(x), dtype=torch.long, device=x.device)
        if some.shape[1:] != x.shape[1:]:
            raise OptionError(
                f"candidates have shape {list(some.shape)}, inputs {list(x.shape)}: give candidates"
                f" [M, {', '.join(map(str, x.shape[1:]))}]"
            )
        each = (torch.full((len(x),), i, device=x.device) for i in range(len(some)))
        sizes = [problem.set.size(x, self._toward_candidate(problem, index)) for index in each]
        return torch.stack(sizes).argsort(dim=0, stable=True)

    def _toward_candidate(self, problem: Problem[LabelAccess], index: Tensor) -> Tensor:
        assert self.candidates is not None
        return _toward(problem, self.candidates.to(problem.x)[index])

    def _blend(self, problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
        """α δ with α as small as ``rounds`` bisections find."""
        low, high = torch.zeros_like(problem.radius), torch.ones_like(problem.radius)
        for _ in range(self.rounds):
            rows = covered(problem.access, 2).nonzero().squeeze(1)
            middle = (low + high)[rows] / 2
            enough = met(problem.rows(rows), column(middle, delta) * delta[rows])
            low = low.index_copy(0, rows[~enough], middle[~enough])
            high = high.index_copy(0, rows[enough], middle[enough])
        return column(high, delta) * delta


def met(problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
    """Whether the label at δ [*S, N, *P] meets the goal, bool [*S, N]: one forward for each δ."""
    changed = problem.set.apply(problem.x, delta)
    lead = changed.ndim - problem.x.ndim
    if not len(problem.x):  # nobody to ask about: spare the model an empty batch
        return torch.zeros(changed.shape[: lead + 1], dtype=torch.bool, device=delta.device)
    return problem.goal.met(problem.access.labels(changed, lead))


def _toward(problem: Problem[LabelAccess], point: Tensor) -> Tensor:
    """point - x, as far as box and mask allow."""
    return problem.valid(point - problem.x)
