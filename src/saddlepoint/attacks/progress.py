"""How far an attack has come after 1, 2, 4, ... questions: the best margin of each sample, seen at the access."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saddlepoint.core.goal import Goal

COLUMNS = 33
"""Of these column j holds the best margin among the first 2^((j + 1) / 2) questions, that one left out: up to 2^16."""


class Progress:
    """Watches the answers an access gives: whatever the attack climbs, what counts is the margin of the goal.

    Tensors alone, on the device of the answers, written to where they stand: nothing waits for the device, and an
    attack pays a few small operations for each question. ``start`` [N]: the margin of the goal at the clean inputs;
    ``best`` [N]: the largest one so far; ``columns`` (long [N]): how many columns were reached.
    """

    def __init__(self, goal: Goal, clean: Tensor) -> None:
        """``clean`` [N, K]: the logits of the clean inputs, on the scale of those that will be seen."""
        self.goal, self.start = goal, goal.margin(clean)
        self.best = self.start.clone()
        self.columns = torch.zeros(len(clean), dtype=torch.long, device=clean.device)
        self._seen = self.start.unsqueeze(1).repeat(1, COLUMNS)

    def __call__(self, rows: Tensor, logits: Tensor, asked: Tensor) -> None:
        """Take in logits [*S, n, K] of the samples ``rows``, each asked ``asked`` times so far (both long [n])."""
        margin = self.goal.rows(rows).margin(logits.detach())
        margin = margin.flatten(0, -2).amax(0) if margin.ndim > 1 else margin
        best = torch.fmax(self.best[rows], margin)
        column = (2 * asked.double().log2()).floor().long().clamp(0, COLUMNS - 1)
        self.best[rows] = best
        self._seen[rows, column] = best
        self.columns[rows] = torch.maximum(self.columns[rows], column + 1)

    def left(self) -> list[list[float]]:
        """For each sample, column by column as far as it came, which share of its clean margin is left, 0 to 1."""
        share = (self._seen.cummax(1).values / self.start.unsqueeze(1)).clamp(0, 1).nan_to_num(1.0)
        return [row[:n] for row, n in zip(share.float().tolist(), self.columns.tolist(), strict=True)]


def questions(column: int) -> int:
    """The number of the last question in a column.

    >>> [questions(column) for column in range(9)]
    [1, 1, 2, 3, 5, 7, 11, 15, 22]
    """
    return math.ceil(2 ** ((column + 1) / 2)) - 1
