"""A spammer who pays for words, and a filter that knows what they cost."""

from __future__ import annotations

import dataclasses as dc
import math

import torch
from torch import Tensor

from saddlepoint.errors import DataError, OptionError
from saddlepoint.tasks.spam.bayes import NaiveBayes


@dc.dataclass(frozen=True, eq=False)
class Spammer:
    """Changes a spam mail where that makes ``against`` let it through at a price it is worth.

    minimize Σ cost_i over the words i that change, subject to odds(x') <= threshold; nothing if that exceeds ``gain``.
    Where all words cost the same, those that help most; else a knapsack whose odds are on a grid of ``cells``, rounded
    so that what is called good is good (and words are bought for the last cell that an exact answer may not need).

    Args:
        against: the filter.
        costs: [d] of changing each word; infinite where it cannot be.
        gain: what a mail that is let through is worth.
        threshold: odds above this are called spam.
        adding: whether words are only added, never removed.

    Source: Dalvi, Domingos, Mausam, Sanghai, Verma, "Adversarial classification", KDD 2004.
    """

    against: NaiveBayes
    costs: Tensor
    gain: float
    threshold: float = 0.0
    adding: bool = True
    cells: int = 2000

    def __post_init__(self) -> None:
        if self.costs.shape != self.against.chances.shape[1:] or not bool((self.costs > 0).all()):
            raise OptionError("costs are one number above 0 for each word (infinite where it cannot change)")
        if self.gain < 0 or self.cells < 1:
            raise OptionError(f"gain must be 0 or more and cells 1 or more, got {self.gain:g} and {self.cells}")

    def helps(self, x: Tensor) -> Tensor:
        """By how much changing each word lowers the odds, for x [n, d]: [n, d]; 0 where it does not, or cannot be."""
        absent, present = self.against.odds_of_words
        has = x.double()
        saved = has * (present - absent) + (1 - has) * (absent - present)
        if self.adding:
            saved = saved * (1 - has)
        return saved.clamp_min(0) * self.costs.isfinite()

    def camouflage(self, x: Tensor) -> Tensor:
        """The cheapest change of each spam mail x [n, d] that is let through, or x itself where none is worth it."""
        out = x.clone()
        over = self.against.odds(x) - self.threshold
        helps = self.helps(x)
        for row in range(len(x)):
            if over[row] > 0:
                words = self._cheapest(helps[row], float(over[row]))
                out[row, words] = 1 - out[row, words]
        return out

    def _cheapest(self, helps: Tensor, over: float) -> Tensor:
        """The words (long [k]) to change; none if it is not worth it."""
        useful = helps.nonzero().squeeze(1)
        none = useful[:0]
        if not len(useful) or float(helps.sum()) < over:
            return none
        costs = self.costs[useful].double()
        if float(costs.max()) == float(costs.min()):
            order = useful[helps[useful].argsort(descending=True, stable=True)]
            count = int((helps[order].cumsum(0) < over).sum()) + 1
            return order[:count] if count <= len(order) and count * float(costs[0]) < self.gain else none
        chosen = _knapsack(costs, helps[useful], over, self.cells)
        return useful[chosen] if float(costs[chosen].sum()) < self.gain else none


def _knapsack(costs: Tensor, helps: Tensor, over: float, cells: int) -> Tensor:
    """argmin Σ costs over subsets with Σ helps >= over; helps are rounded down to cells of over / cells. long [k]."""
    grain = over / cells
    worth = (helps / grain).floor().long().clamp_max(cells)
    if int(worth.sum()) < cells:  # rounding took what was needed: all of them, which the caller knows to suffice
        return torch.arange(len(costs))
    best = torch.full((cells + 1,), math.inf, dtype=torch.float64)  # the least cost of being worth each or more
    best[0] = 0.0
    taken = []
    reach = torch.arange(cells + 1)
    for cost, value in zip(costs.tolist(), worth.tolist(), strict=True):
        cheaper = best[(reach - value).clamp_min(0)] + cost
        take = cheaper < best
        best = torch.where(take, cheaper, best)
        taken.append(take)
    chosen, left = [], cells
    for i in reversed(range(len(costs))):
        if bool(taken[i][left]):
            chosen.append(i)
            left = max(left - int(worth[i]), 0)
    return torch.tensor(sorted(chosen), dtype=torch.long)


@dc.dataclass(frozen=True, eq=False)
class Aware:
    """A filter that knows the ``spammer`` and counts on every spam mail that may lie behind what it sees.

    P(x' | spam) = Σ P(x | spam) over all x that the spammer turns into x' (and x' itself, if it is left as it is).
    Where all words cost the same, the spammer changes those that help most, so behind x' lie the mails that differ in a
    set A of changed words, each of more help than every word that could still be changed, each needed (without it
    the mail is not let through), and |A| · cost < gain. Since the words are independent the sum over all such A is one
    of elementary symmetric polynomials of the ratios P(x_i | spam) / P(x'_i | spam): exact, and quick.

    Source: Dalvi et al., KDD 2004, who sum over a part of the mails.

    Raises:
        OptionError: words of different finite costs.
    """

    spammer: Spammer

    def __post_init__(self) -> None:
        finite = self.spammer.costs[self.spammer.costs.isfinite()]
        if len(finite) and float(finite.max()) != float(finite.min()):
            raise OptionError("a filter aware of its spammer is known only where all words cost the same")

    def odds(self, x: Tensor) -> Tensor:
        """log P(spam | x') - log P(good | x') with the spammer at work, for x [n, d]: [n]."""
        good, spam = self.spammer.against.likelihood(x).unbind(1)
        return self.spammer.against.prior_odds + spam - good + self._behind(x)

    def _behind(self, x: Tensor) -> Tensor:
        """log of by how much the spammer makes x' [n, d] likelier among spam: [n]; -inf for what is never sent."""
        spammer = self.spammer
        naive = spammer.against
        last = naive.odds(x) - spammer.threshold  # at most 0 for what is let through
        left_alone = (spammer.camouflage(x) == x).all(1).double()
        saved = spammer.helps(1 - x)  # what it was worth to make each word what it is now
        best_left, place = spammer.helps(x).max(1, keepdim=True)
        sooner = (saved > best_left) | ((saved == best_left) & (torch.arange(x.shape[1]) < place))
        could_be = sooner & (saved > -last[:, None]) & (saved > 0) & (last <= 0)[:, None]
        spam = naive.chances[1]
        ratio = torch.where(x.bool(), (1 - spam) / spam, spam / (1 - spam)) * could_be
        finite = spammer.costs[spammer.costs.isfinite()]
        most = math.ceil(spammer.gain / float(finite[0])) - 1 if len(finite) else 0
        return (left_alone + _symmetric(ratio, min(max(most, 0), x.shape[1]))).log()


def _symmetric(ratio: Tensor, most: int) -> Tensor:
    """Σ over sets of 1 to ``most`` columns of the product of their ratios [n, d]: [n]."""
    sums = ratio.new_zeros(len(ratio), most + 1)
    sums[:, 0] = 1
    for column in ratio.T:
        sums[:, 1:] = sums[:, 1:] + sums[:, :-1] * column[:, None]
    return sums[:, 1:].sum(1)


def utility(called_spam: Tensor, y: Tensor, lost: float = 10.0, read: float = 1.0) -> float:
    """Mean utility of a filter: 1 for a mail put where it belongs, -``lost`` for a good one lost, -``read`` for spam.

    Args: called_spam bool [n]; y [n], 1 for spam.
    """
    if len(called_spam) != len(y) or not len(y):
        raise DataError(f"one answer for each mail, and at least one; got {len(called_spam)} for {len(y)}")
    right = called_spam == (y == 1)
    wrong = torch.where(y == 1, -read, -lost).double()
    return float(torch.where(right, 1.0, wrong).mean())
