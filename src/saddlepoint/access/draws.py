"""Many questions about each sample at once: which budgets cover them, and how many fit in one forward."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess


def affordable(access: LabelAccess, draws: int) -> Tensor:
    """Which samples' budgets cover ``draws`` more answers, bool [n]."""
    ledger, rows = access.ledger, access.rows
    if ledger.budget is None:
        return torch.ones_like(ledger.spent_out[rows])
    return ledger.forwards[rows] + draws * ledger.cost <= ledger.budget[rows]


def covered(access: LabelAccess, draws: int) -> Tensor:
    """As ``affordable``, and where not, a question now counts as refused, as if all had been asked at once.

    For questions that are worth nothing in part: asking one by one would spend the rest of a budget on them, and how
    much of them depends on how many fit in a batch.
    """
    may = affordable(access, draws)
    access.ledger.spent_out[access.rows] |= ~may
    return may


def parts(access: LabelAccess, draws: int) -> list[range]:
    """The draws 0..draws-1 in runs that fit in one forward, each about all of the samples.

    >>> from saddlepoint.access.asking import Ledger
    >>> parts(LabelAccess(lambda x: x, Ledger(3, batch_size=7)), 5)
    [range(0, 2), range(2, 4), range(4, 5)]
    """
    most = max(access.ledger.batch_size // max(len(access.rows), 1), 1)
    return [range(first, min(first + most, draws)) for first in range(0, draws, most)]
