"""Random search that learns: what every answer says of the slope decides what is proposed next."""

from __future__ import annotations

import dataclasses as dc
import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.gradients.differences import tile_counts
from saddlepoint.initializers.windows import inside, window_shape
from saddlepoint.noise import Noise
from saddlepoint.optimizers.schedules import Schedule
from saddlepoint.rows import as_images, column, where

Lean = Callable[[Problem[ScoreAccess], Tensor, Tensor, int], Tensor]
"""(problem, the best δ so far [N, *P], a guess of the slope [N, *P], proposals made) -> the δ to look at next."""

CELLS = 56 * 56
"""Slopes are learned on a grid of about so many cells a channel at most: of larger pictures, on tiles."""

FIRST_ROOM = 16
"""There is room for so many answers first, then for twice as many as there were."""


@dc.dataclass(frozen=True)
class Slopes:
    """What slopes are taken for before anything is asked: normal numbers of mean 0, alike where pixels are near.

    Between two cells of one channel, i rows and j columns apart, the covariance is exp(-(i + j) / ℓ), and ``rough``
    more for a cell with itself; ℓ is ``reach`` times the longer side. Inputs that are no pictures have no neighbors.
    """

    reach: float = 1 / 7
    rough: float = 0.1

    def pooled(self, delta: Tensor) -> Tensor:
        """The sums of δ [N, *P] over the cells, [N, C, h, w]: all that a slope that is constant there can see."""
        image = as_images(delta)
        rows, columns = (torch.nn.functional.one_hot(cells).to(image) for cells in _cells(image))
        return rows.T @ image @ columns

    def spread(self, slope: Tensor, like: Tensor) -> Tensor:
        """The slope on cells [N, C, h, w] as one of δ, [N, *P]."""
        rows, columns = _cells(as_images(like))
        return slope[:, :, rows][..., columns].reshape_as(like)

    def covary(self, v: Tensor, pictures: bool) -> Tensor:
        """The covariance applied to v [N, C, h, w]."""
        down, across = (_smooth(side, self._length(v), pictures)[0].to(v) for side in v.shape[2:])
        return down @ v @ across + self.rough * v

    def draw(self, noise: Noise, like: Tensor, pictures: bool) -> Tensor:
        """Slopes as they may be, [N, C, h, w]."""
        shape = tuple(like.shape[1:])
        down, across = (_smooth(side, self._length(like), pictures)[1].to(like) for side in like.shape[2:])
        smooth = down @ noise.at("smooth").normal(shape, dtype=like.dtype) @ across.T
        return smooth + math.sqrt(self.rough) * noise.at("rough").normal(shape, dtype=like.dtype)

    def _length(self, v: Tensor) -> float:
        return self.reach * max(v.shape[2:])


@dc.dataclass(frozen=True)
class Evidence:
    """What was learned: n changes on cells, of unit length to the prior, and the rise of the value along each.

    ``moves`` [N, n, d], ``rises`` [N, n], ``inverse`` [N, n, n] of their covariance: the first n = ``count`` places of
    ``rooms``, which are as large or larger, and zero where nothing was learned yet.
    """

    rooms: tuple[Tensor, Tensor, Tensor]
    count: int

    @property
    def moves(self) -> Tensor:
        """[N, n, d]."""
        return self.rooms[0][:, : self.count]

    @property
    def rises(self) -> Tensor:
        """[N, n]."""
        return self.rooms[1][:, : self.count]

    @property
    def inverse(self) -> Tensor:
        """[N, n, n]."""
        return self.rooms[2][:, : self.count, : self.count]

    def widened(self, room: int) -> Evidence:
        """With room for so many in all."""
        moves, rises, inverse = self.rooms
        more, pad = room - rises.shape[1], torch.nn.functional.pad
        return Evidence((pad(moves, (0, 0, 0, more)), pad(rises, (0, more)), pad(inverse, (0, more) * 2)), self.count)

    def grown(self, move: Tensor, rise: Tensor, solved: Tensor, own: Tensor) -> Evidence:
        """With one change more [N, d], its rise [N], and what it shares with the others, solved [N, 1, n].

        ``own`` [N, 1, 1] is what it shares with none. The inverse of a matrix with one row more is the old one and a
        product of two vectors: all in place, so the evidence before is spent.
        """
        moves, rises, inverse = self.rooms
        moves[:, self.count], rises[:, self.count] = move, rise
        corner = torch.cat([solved, -torch.ones_like(own)], 2)
        inverse[:, : self.count + 1, : self.count + 1].addcmul_(corner.mT, corner / own)
        return Evidence(self.rooms, self.count + 1)


@dc.dataclass(frozen=True)
class InformedState:
    """``proposed`` [N, *P]: looked at next; ``best`` [N, *P] and its ``value`` [N]; proposals made."""

    proposed: Tensor
    best: Tensor
    value: Tensor
    evidence: Evidence
    t: int


@dc.dataclass(frozen=True)
class InformedSearch:
    """δ <- a proposal that leans to a slope drawn from all that is known of it, where that one's value is larger.

    Every answer f(δ') - f(δ) = <g, δ' - δ> + error says something of the slope g. With the prior covariance K, the
    changes M scaled to M K Mᵀ of ones on the diagonal, and the rises y scaled alike, g is normal with the mean
    K Mᵀ (M K Mᵀ + ``doubt`` I)⁻¹ y. Drawn is that mean plus ``temperature`` times a deviation of the posterior
    (Thompson sampling; below 1 it explores less). Only the last ``memory`` answers count, at least half of them. One
    forward a step.

    Args:
        lean: the proposal.
        prior: of slopes.
        doubt: the share of a rise that is not linear, as a variance.
        memory: at least 2.

    Source for the regression: Rasmussen, Williams, "Gaussian processes for machine learning", 2006, section 2.1.
    """

    lean: Lean
    prior: Slopes = Slopes()
    temperature: float = 0.2
    doubt: float = 0.01
    memory: int = 512

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> InformedState:
        """Begin at δ, knowing nothing."""
        n, d = self.prior.pooled(delta).flatten(1).shape
        nothing = Evidence((delta.new_zeros(n, 0, d), delta.new_zeros(n, 0), delta.new_zeros(n, 0, 0)), 0)
        return InformedState(delta, delta, torch.full_like(problem.radius, -torch.inf), nothing, 0)

    def step(self, problem: Problem[ScoreAccess], state: InformedState) -> tuple[InformedState, Trial]:
        """One look, what it teaches, and the next proposal."""
        trial = look(problem, state.proposed)
        evidence = self.learned(state, trial) if state.t else state.evidence
        better = (trial.value > state.value) | trial.met
        best, value = where(better, (trial.delta, trial.value), (state.best, state.value))
        proposed = self.lean(problem, best, self.slope(problem.noise, evidence, best), state.t)
        return InformedState(proposed, best, value, evidence, state.t + 1), trial

    def finish(self, problem: Problem[ScoreAccess], state: InformedState) -> Trial:
        """Look at the last proposal."""
        return look(problem, state.proposed)

    def learned(self, state: InformedState, trial: Trial) -> Evidence:
        """With what the last look said; no answer says nothing."""
        pictures = trial.delta.ndim > 2
        old = self._recent(state, pictures)
        move = self.prior.pooled(trial.delta - state.best)
        seen = self.prior.covary(move, pictures).flatten(1)
        move = move.flatten(1)
        length = (seen * move).sum(1).clamp_min(torch.finfo(move.dtype).tiny).sqrt()
        rise = ((trial.value - state.value) / length).nan_to_num(0.0, 0.0, 0.0)
        move, seen = move / length[:, None], seen / length[:, None]
        shared = seen[:, None] @ old.moves.mT  # rows times a matrix: several times as fast as it times columns
        solved = shared @ old.inverse
        own = (1 + self.doubt - (shared * solved).sum((1, 2))).clamp_min(self.doubt / 2)[:, None, None]
        return old.grown(move, rise, solved, own)

    def slope(self, noise: Noise, evidence: Evidence, like: Tensor) -> Tensor:
        """A slope drawn from what is known, [N, *P]."""
        pictures, image = like.ndim > 2, self.prior.pooled(like)
        guess = self.prior.draw(noise, image, pictures)
        moves, rises, n = evidence.moves, evidence.rises[:, None], evidence.count
        if n == 0:
            return self.prior.spread(guess, like)
        errors = math.sqrt(self.doubt) * noise.at("errors").normal((1, n), dtype=rises.dtype)
        foreseen = guess.flatten(1)[:, None] @ moves.mT + errors
        solved = torch.cat([rises, foreseen], 1) @ evidence.inverse
        fitted, wrong = solved[:, :1], solved[:, 1:]
        scale = self.temperature * (fitted @ rises.mT / n).clamp_min(torch.finfo(rises.dtype).tiny).sqrt()
        pull = ((fitted - scale * wrong) @ moves).view_as(image)
        return self.prior.spread(scale[..., None] * guess + self.prior.covary(pull, pictures), like)

    def _recent(self, state: InformedState, pictures: bool) -> Evidence:
        """All that is known, with room for one more; once that is ``memory`` answers, the later half of it."""
        old = state.evidence
        if old.count == self.memory:
            old = self._later_half(old, self.prior.pooled(state.best), pictures)
        room = old.rooms[1].shape[1]
        return old if old.count < room else old.widened(min(max(2 * room, FIRST_ROOM), self.memory))

    def _later_half(self, old: Evidence, like: Tensor, pictures: bool) -> Evidence:
        n, kept = len(old.moves), self.memory // 2
        moves, rises = old.moves[:, -kept:], old.rises[:, -kept:]
        seen = self.prior.covary(moves.reshape(n, kept * like.shape[1], *like.shape[2:]), pictures).view_as(moves)
        own = self.doubt * torch.eye(kept, dtype=torch.float64, device=moves.device)
        return Evidence((moves, rises, torch.linalg.inv((moves @ seen.mT).double() + own).to(moves)), kept)


@dc.dataclass(frozen=True)
class CornerWindows:
    """In a square of ``share`` of the image go to the corner the slope points at; for Linf.

    Of ``tries`` random squares it is the one that promises the most, <slope, change>. Where that changes nothing, the
    square goes to the opposite corner. After ``blind_after`` proposals every fifth does so in any square, whatever the
    slope says: what is believed wrongly would never be tried. In pictures so large that slopes are learned on tiles,
    the share is that of ``large``, where there is one.
    """

    share: Schedule
    blind_after: int = 256
    every: int = 5
    tries: int = 64
    large: Schedule | None = None

    def __call__(self, problem: Problem[ScoreAccess], best: Tensor, slope: Tensor, t: int) -> Tensor:
        """The proposal number ``t``, [N, *P]."""
        image = as_images(best)
        height, width = image.shape[2:]
        share = self.share if self.large is None or height * width <= CELLS else self.large
        window = window_shape(share(t), height, width)
        u = problem.noise.at("window").uniform((self.tries, 2))
        top, left = ((u[:, :, k] * (image.shape[2 + k] - window[k] + 1)).long() for k in (0, 1))
        corner = problem.set.project(problem.x, self._corner(problem, slope), problem.radius)
        blind = t > self.blind_after and t % self.every == 0
        promise = _sums(as_images(slope * (corner - best)).sum(1), top, left, window)
        pick = (torch.zeros_like(promise) if blind else promise).argmax(1, keepdim=True)
        top, left = top.gather(1, pick).squeeze(1), left.gather(1, pick).squeeze(1)
        area = inside(top, left, window, image).expand_as(image).reshape_as(best)
        there = torch.where(area, corner, best)
        turned = torch.where(area, problem.set.project(problem.x, self._corner(problem, -best), problem.radius), best)
        idle = (there == best).flatten(1).all(1) | blind
        return torch.where(column(idle, best), turned, there)

    def _corner(self, problem: Problem[ScoreAccess], direction: Tensor) -> Tensor:
        return column(problem.radius, direction) * problem.set.steepest(problem.x, direction)


@dc.dataclass(frozen=True)
class Leaned:
    """The point of the surface along (1 - √share) δ + √share δ', δ' the point the slope points at; for L2."""

    share: Schedule

    def __call__(self, problem: Problem[ScoreAccess], best: Tensor, slope: Tensor, t: int) -> Tensor:
        """The proposal number ``t``, [N, *P]."""
        part = math.sqrt(self.share(t))
        return self._far(problem, (1 - part) * best + part * self._far(problem, slope))

    def _far(self, problem: Problem[ScoreAccess], direction: Tensor) -> Tensor:
        farthest: Tensor = problem.set.lmo(problem.x, direction, problem.radius)  # type: ignore[attr-defined]
        return farthest


def _sums(v: Tensor, top: Tensor, left: Tensor, window: tuple[int, int]) -> Tensor:
    """The sums of v [N, H, W] in windows with corners top, left (long [N, M]): [N, M]."""
    below = torch.nn.functional.pad(v.cumsum(1).cumsum(2), (1, 0, 1, 0))
    rows = torch.arange(len(v), device=v.device)[:, None]
    bottom, right = top + window[0], left + window[1]
    return below[rows, bottom, right] - below[rows, top, right] - below[rows, bottom, left] + below[rows, top, left]


def _cells(image: Tensor) -> tuple[Tensor, Tensor]:
    """Which row and which column of cells each row and column of pixels of [N, C, H, W] belongs to."""
    height, width = image.shape[2:]
    counts = tile_counts(image, math.ceil(math.sqrt(height * width / CELLS)))
    rows, columns = (
        torch.arange(side, device=image.device) * cells // side
        for side, cells in zip((height, width), counts, strict=True)
    )
    return rows, columns


@functools.lru_cache(maxsize=16)
def _smooth(side: int, length: float, pictures: bool) -> tuple[Tensor, Tensor]:
    """exp(-|i - j| / length), the identity where there are no neighbors, and its root: float64 [side, side] each."""
    i = torch.arange(side, dtype=torch.float64, device="cpu")
    covariance = torch.exp(-(i[:, None] - i).abs() / length) if pictures else torch.eye(side, dtype=torch.float64)
    return covariance, torch.linalg.cholesky(covariance)
