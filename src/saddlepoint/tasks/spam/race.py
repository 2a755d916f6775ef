"""A filter that learns from what got past it, against spammers who see what it learned."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable

import torch
from torch import Tensor, nn

from saddlepoint.access.model import wrap
from saddlepoint.attacks.recipe import get
from saddlepoint.errors import DataError, OptionError
from saddlepoint.sets import Insertions


@dc.dataclass(frozen=True)
class Round:
    """One filter of the race, seen on mails that none learned from. All but ``words`` are shares.

    ``caught``: spam as it was written; ``caught_before``: what the spammers made against the filter before this one
    (of the first: NaN); ``caught_now``: what they make against this one; ``words``: how many they put in, on average
    over what gets through; ``false_alarms``: good mails stopped.
    """

    caught: float
    caught_before: float
    caught_now: float
    words: float
    false_alarms: float


def race(
    fit: Callable[[Tensor, Tensor], nn.Module],
    known: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    radius: int = 10,
    rounds: int = 5,
    false_alarms: float = 0.01,
) -> list[Round]:
    """Train a filter, put words into spam until it passes, train again with those mails, and so on.

    Each filter stops mails whose odds are above what ``false_alarms`` of the good mails it learned from reach.
    Spammers know it: they insert up to ``radius`` words, the best first.

    Args:
        fit: (x [n, d] of zeros and ones, y [n] of 0 and 1) -> a network with logits [N, 2].
        known, held_out: (mails, labels), to learn from and to judge by.

    Raises:
        DataError, OptionError: no mail of one kind, or numbers out of range.

    Source: Fawcett, "In vivo spam filtering: a challenge problem for data mining", SIGKDD Explorations 2003, for the
    race; Lowd and Meek, CEAS 2005, for retraining on attacked mails.
    """
    (x, y), (apart, truth) = known, held_out
    if not (radius >= 1 and rounds >= 1 and 0 < false_alarms < 1):
        raise OptionError("radius and rounds are at least 1, false_alarms is between 0 and 1")
    if any(int(labels.min()) != 0 or int(labels.max()) != 1 for labels in (y, truth)):
        raise DataError("labels are 0 (good) and 1 (spam), and both must occur, in what is known and what is held out")
    spam, original = apart[truth == 1], x[y == 1]
    seen: list[Round] = []
    before = None
    for _ in range(rounds):
        filter_ = _Strict(fit(x, y), x[y == 0], false_alarms)
        made, count = _written(filter_, spam, radius)
        through = ~_stopped(filter_, made)
        seen.append(
            Round(
                caught=_share(_stopped(filter_, spam)),
                caught_before=torch.nan if before is None else _share(_stopped(filter_, before)),
                caught_now=_share(~through),
                words=float(count[through].mean()) if bool(through.any()) else torch.nan,
                false_alarms=_share(_stopped(filter_, apart[truth == 0])),
            )
        )
        before = made
        learned = _written(filter_, original, radius)[0]
        x, y = torch.cat([x, learned]), torch.cat([y, torch.ones(len(learned), dtype=y.dtype)])
    return seen


class _Strict(nn.Module):
    """A filter whose threshold lets all but a share of the given good mails pass."""

    def __init__(self, network: nn.Module, good: Tensor, false_alarms: float) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)
        odds = self._odds(good)
        self.threshold = float(torch.quantile(odds.double(), 1 - false_alarms))

    def _odds(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits[:, 1] - logits[:, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 2]."""
        odds = self._odds(x) - self.threshold
        return torch.stack([-odds / 2, odds / 2], 1)


def _written(filter_: _Strict, spam: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The spam mails with words put in, and how many were: only as many as it takes."""
    model = wrap(filter_, bounds=(0.0, 1.0))
    labels = torch.ones(len(spam), dtype=torch.long)
    found = get("insert")(model, spam, labels, Insertions(float(radius)), steps=2 * radius)
    return found.x_adv, found.size


def _stopped(filter_: _Strict, x: Tensor) -> Tensor:
    with torch.no_grad():
        stopped: Tensor = filter_(x).argmax(1) == 1
        return stopped


def _share(flags: Tensor) -> float:
    return float(flags.double().mean())
