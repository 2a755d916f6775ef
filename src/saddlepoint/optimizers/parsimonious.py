"""Signs of blocks by lazy greedy search, over blocks that are halved again and again: Parsimonious."""

from __future__ import annotations

import dataclasses as dc
import functools

import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.core.problem import Problem
from saddlepoint.core.trial import Trial, look
from saddlepoint.noise import Noise
from saddlepoint.optimizers.chunks import along
from saddlepoint.rows import as_images


@dc.dataclass(frozen=True)
class GreedyState:
    """``signs`` [N, *P] of the corner reached, its ``value`` [N], -inf before the first look.

    ``gain`` [N, at_once]: the most that turning each block at hand may add: inf where it was not looked at yet, -inf
    where it is not at hand. ``fresh`` (bool, the same shape): seen from this very corner. ``blocks`` (long, the same
    shape): which they are, in the order of ``order`` (long [N, B]). ``turn`` (long [N]): which blocks come next;
    ``asked`` (long [N]): the place in ``gain`` of what is looked at next, -1 for the corner itself.
    """

    signs: Tensor
    value: Tensor
    gain: Tensor
    fresh: Tensor
    blocks: Tensor
    order: Tensor
    turn: Tensor
    asked: Tensor


@dc.dataclass(frozen=True)
class Parsimonious:
    """Turn the signs of blocks of pixels, the one that adds most first, until none adds anything.

    The perturbation is a corner of the ball, all entries down at first. Blocks of ``block`` x ``block`` pixels of one
    channel (None: of the largest power of two up to a seventh of the longer side) come in random order, ``at_once`` at
    a time: those that are down are turned up greedily, then those that are up are turned down greedily; after all, the
    blocks are halved, and after single pixels it begins anew at those. Lazily: what a turn would add is an upper bound
    of what it adds later (exact for a submodular value), so only the block of the largest bound is looked at again. One
    forward a step.

    Source: Moon, An, Song, "Parsimonious black-box adversarial attacks via efficient combinatorial optimization", ICML
    2019.
    """

    block: int | None = None
    at_once: int = 64

    def init(self, problem: Problem[ScoreAccess], delta: Tensor) -> GreedyState:
        """Begin at the corner with all entries down."""
        signs = -torch.ones_like(problem.set.zero(problem.x))
        n, d = signs.flatten(1).shape
        low = signs.new_full((n, self.at_once), -torch.inf)
        turn = torch.full((n,), -1, dtype=torch.long, device=signs.device)
        none = torch.zeros_like(low, dtype=torch.bool)
        blocks = torch.zeros_like(none, dtype=torch.long)
        order = torch.zeros(n, d, dtype=torch.long, device=signs.device)
        return GreedyState(signs, signs.new_full((n,), -torch.inf), low, none, blocks, order, turn, turn)

    def step(self, problem: Problem[ScoreAccess], state: GreedyState) -> tuple[GreedyState, Trial]:
        """Look at one corner; take the turn that is known to add most; choose what to look at next."""
        trial = self.finish(problem, state)
        learned = self._chosen(_learned(state, trial.value))
        while True:
            idle = ~(learned.gain > 0).any(1)
            if not idle.any():
                break
            learned = self._next_blocks(learned, idle, problem.noise)
        top = learned.gain.argmax(1)
        return dc.replace(learned, asked=top), trial

    def finish(self, problem: Problem[ScoreAccess], state: GreedyState) -> Trial:
        """Look at the corner chosen last."""
        return look(problem, along(problem, self._turned(state, state.asked), problem.radius))

    def _chosen(self, state: GreedyState) -> GreedyState:
        """Take the turn of the largest bound, where that was seen from here and adds something."""
        best, top = state.gain.max(1)
        taken = (best > 0) & state.fresh.gather(1, top[:, None]).squeeze(1)
        asked = torch.where(taken, top, -1)
        gone = torch.zeros_like(state.fresh).scatter(1, top[:, None], taken[:, None])
        return dc.replace(
            state,
            signs=self._turned(state, asked),
            value=torch.where(taken, state.value + best, state.value),
            gain=state.gain.masked_fill(gone, -torch.inf),
            fresh=state.fresh & ~taken[:, None],
        )

    def _turned(self, state: GreedyState, place: Tensor) -> Tensor:
        """The signs with those of one block turned: that at ``place`` (long [N]) of ``blocks``, none for -1."""
        maps, _, _ = self._maps(state.signs)
        block = state.blocks.gather(1, place.clamp_min(0)[:, None])
        level = self._level(state, maps)
        inside = (maps[level] == block) & (place >= 0)[:, None]
        return torch.where(inside, -state.signs.flatten(1), state.signs.flatten(1)).view_as(state.signs)

    def _next_blocks(self, state: GreedyState, rows: Tensor, noise: Noise) -> GreedyState:
        """The next blocks at hand of ``rows`` (bool [N]): those of one sign among the next ``at_once`` in order."""
        maps, counts, entries = self._maps(state.signs)
        parts = -(-counts // self.at_once)  # [levels]
        ends = (2 * parts).cumsum(0)
        turn = torch.where(rows, state.turn + 1, state.turn)
        turn = torch.where(turn >= ends[-1], ends[-1] - 2 * parts[-1], turn)  # single pixels, from the first again
        state = dc.replace(state, turn=turn)
        level = self._level(state, maps)
        within = turn - (ends - 2 * parts)[level]
        drawn = noise.at("order").uniform((state.order.shape[1],))
        there = torch.arange(state.order.shape[1], device=drawn.device) < counts[level][:, None]
        new = drawn.masked_fill(~there, 2.0).argsort(1)
        order = torch.where((rows & (within == 0))[:, None], new, state.order)
        place = (within // 2 * self.at_once)[:, None] + torch.arange(self.at_once, device=drawn.device)
        blocks = order.gather(1, place.clamp_max(order.shape[1] - 1))
        some = entries[level].gather(1, blocks)  # all entries of a block have one sign
        up = state.signs.flatten(1).gather(1, some) > 0
        fits = (place < counts[level][:, None]) & (up == (within % 2 == 1)[:, None])
        gain = torch.where(fits, torch.inf, -torch.inf).to(state.gain)
        return dc.replace(
            state,
            gain=torch.where(rows[:, None], gain, state.gain),
            fresh=state.fresh & ~rows[:, None],
            blocks=torch.where(rows[:, None], blocks, state.blocks),
            order=order,
        )

    def _level(self, state: GreedyState, maps: Tensor) -> Tensor:
        _, counts, _ = self._maps(state.signs)
        ends = (2 * (-(-counts // self.at_once))).cumsum(0)
        return torch.searchsorted(ends, state.turn.clamp_min(0), right=True).clamp_max(len(maps) - 1)

    def _maps(self, signs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Which block each entry belongs to at each level, how many blocks there are, an entry of each block."""
        channels, height, width = as_images(signs).shape[1:]
        block = largest_block(height, width) if self.block is None else self.block
        maps, counts, entries = _maps(block, channels, height, width)
        return maps.to(signs.device), counts.to(signs.device), entries.to(signs.device)


def largest_block(height: int, width: int) -> int:
    """The largest power of two up to a seventh of the longer side, 1 at least.

    >>> largest_block(28, 28), largest_block(32, 32), largest_block(299, 299), largest_block(1, 5)
    (4, 4, 32, 1)
    """
    return 1 << max(max(height, width) // 7, 1).bit_length() - 1


def _learned(state: GreedyState, value: Tensor) -> GreedyState:
    """With what the last look said: of the corner itself, or what one turn adds; no answer adds nothing."""
    first = state.asked < 0
    added = (value - state.value).nan_to_num(-torch.inf).clamp_max(torch.finfo(value.dtype).max)
    place = state.asked.clamp_min(0)[:, None]
    known = torch.zeros_like(state.fresh).scatter(1, place, ~first[:, None])
    return dc.replace(
        state,
        value=torch.where(first, value.nan_to_num(-torch.inf), state.value),
        gain=torch.where(known, added[:, None], state.gain),
        fresh=state.fresh | known,
    )


@functools.lru_cache(maxsize=8)
def _maps(block: int, channels: int, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Long [levels, d], [levels] and [levels, d]; the last holds 0 where there are fewer blocks than entries."""
    maps, counts = [], []
    while True:
        rows, columns = (torch.arange(side) // block for side in (height, width))
        down, across = int(rows[-1]) + 1, int(columns[-1]) + 1
        each = torch.arange(channels)[:, None, None] * (down * across) + rows[:, None] * across + columns
        maps.append(each.flatten())
        counts.append(channels * down * across)
        if block == 1:
            all_maps = torch.stack(maps)
            entries = torch.arange(all_maps.shape[1]).expand_as(all_maps)
            return all_maps, torch.tensor(counts), torch.zeros_like(all_maps).scatter(1, all_maps, entries)
        block = max(block // 2, 1)
