"""What single answers of a random model do, beside their mean: the spread of accuracy from one draw to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
from torch import Tensor

from saddlepoint.access.asking import predict
from saddlepoint.attacks.run import ask_clean
from saddlepoint.auditing import piece
from saddlepoint.auditing.records import address, after, column, worst_case
from saddlepoint.auditing.subject import Subject

ANSWERS = 20
"""So many single answers are taken to each sample."""
CLEAN = "clean"

Spread = dict[str, list[float]]
"""For the clean samples, and for each threat, the share that each of the draws takes rightly."""


def spread(subject: Subject, records: pa.Table, spec: dict[str, Any], path: Path, seed: int) -> Spread:
    """Ask about the clean samples, and about what the attacks of the run in ``path`` put in their place.

    The attacker gives the smallest change that fools the mean of the draws, and the clean sample where there is none.
    """
    found, standing = {CLEAN: _shares(subject, subject.x, seed)}, after(spec, records)
    for label in (threat["label"] for threat in spec["threats"]):
        x = subject.x.clone()
        for position, row in worst_case(records, standing, label).items():
            sample = int(column(records, "sample")[row])
            x[position] = piece.one(address(records, row), path, sample)[1].to(x.device)
        found[label] = _shares(subject, x, seed)
    return found


def _shares(subject: Subject, x: Tensor, seed: int) -> list[float]:
    model, y = subject.model, subject.y
    draws, model.draws = model.draws, 1
    try:
        with model.quiet(seed):
            x = x.to(model.device or x.device)
            right = [predict(ask_clean(model, x)).cpu() == y.cpu() for _ in range(ANSWERS)]
    finally:
        model.draws = draws
    return [float(one.double().mean()) for one in right]


def in_words(shares: list[float]) -> str:
    """The mean and the ends.

    >>> in_words([0.5, 0.6, 0.55])
    '55.0 % (50.0 to 60.0)'
    """
    return f"{sum(shares) / len(shares):.1%} ({100 * min(shares):.1f} to {100 * max(shares):.1f})".replace("%", " %", 1)
