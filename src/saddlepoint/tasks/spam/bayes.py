"""The filter that the first spammers wrote against."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor, nn

from saddlepoint.errors import DataError


@dc.dataclass(frozen=True, eq=False)
class NaiveBayes:
    """Words independent of each other, given whether a mail is spam: all tensors in float64.

    ``chances`` [2, d]: how likely each word is in good mail (row 0) and in spam (row 1), in (0, 1). ``prior``: the
    share of spam.

    >>> x, y = torch.tensor([[1, 0], [1, 1], [0, 1], [0, 1]]), torch.tensor([1, 1, 0, 0])
    >>> NaiveBayes.fit(x, y).odds(x) > 0
    tensor([ True,  True, False, False])
    """

    chances: Tensor
    prior: float

    @staticmethod
    def fit(x: Tensor, y: Tensor, smoothing: float = 1.0) -> NaiveBayes:
        """Learn from x [n, d] of zeros and ones, y [n] of 0 (good) and 1 (spam); counts begin at ``smoothing``.

        Raises:
            DataError: other values, or no mail of one kind.
        """
        values = x.double()
        if x.ndim != 2 or not bool(((values == 0) | (values == 1)).all()):
            raise DataError("a naive Bayes filter learns from [n, d] zeros and ones: whether each word occurs")
        if sorted(set(y.tolist())) != [0, 1]:
            raise DataError("labels are 0 (good) and 1 (spam), and both must occur")
        kinds = [values[y == kind] for kind in (0, 1)]
        chances = torch.stack([(of.sum(0) + smoothing) / (len(of) + 2 * smoothing) for of in kinds])
        return NaiveBayes(chances, float((y == 1).double().mean()))

    @property
    def odds_of_words(self) -> tuple[Tensor, Tensor]:
        """log P(value | spam) - log P(value | good) of each word: (absent, present), each [d]."""
        good, spam = self.chances
        return torch.log1p(-spam) - torch.log1p(-good), spam.log() - good.log()

    @property
    def prior_odds(self) -> Tensor:
        """log P(spam) - log P(good), a number."""
        return torch.tensor(self.prior, dtype=torch.float64).logit()

    def odds(self, x: Tensor) -> Tensor:
        """log P(spam | x) - log P(good | x), for x [n, d]: [n]."""
        absent, present = self.odds_of_words
        return self.prior_odds + (x.double() * (present - absent)).sum(1) + absent.sum()

    def likelihood(self, x: Tensor) -> Tensor:
        """log P(x | good) and log P(x | spam), for x [n, d]: [n, 2]."""
        values = x.double()
        return values @ self.chances.log().T + (1 - values) @ torch.log1p(-self.chances).T

    def network(self) -> nn.Module:
        """The same filter with logits [N, 2] and slopes: what attacks work on."""
        linear = nn.Linear(self.chances.shape[1], 2).requires_grad_(False)
        absent, present = self.odds_of_words
        linear.weight.copy_(torch.stack([torch.zeros_like(present), present - absent]))
        linear.bias.copy_(torch.stack([torch.zeros(()).double(), self.prior_odds + absent.sum()]))
        return linear.eval()
