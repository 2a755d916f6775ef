"""What the numbers are that a network answers, and the logits behind them."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Output = Literal["auto", "logits", "probabilities", "log-probabilities", "sigmoid", "labels"]
"""``sigmoid``: for each class by itself a probability, so that rows need not sum to 1."""


def told(answer: Tensor) -> Output:
    """What answers [N, K] seem to be: logits unless all rows are on the simplex, or their exponentials are.

    Sigmoids of several classes may as well be logits that happen to lie in [0, 1]: whoever has them says so.

    >>> told(torch.tensor([[0.3, 0.7]])), told(torch.tensor([[0.3, 0.7]]).log()), told(torch.tensor([[0.3, 0.6]]))
    ('probabilities', 'log-probabilities', 'logits')
    """
    if _on_the_simplex(answer):
        return "probabilities"
    if answer.shape[1] > 1 and bool((answer <= 0).all()):
        p = answer.exp()
        if _on_the_simplex(p) and bool(((p > 0) & (p < 1)).any()):  # [0, -1e9] may as well be logits
            return "log-probabilities"
    return "logits"


def as_logits(answer: Tensor, output: Output) -> Tensor:
    """Logits [N, K] from answers [N, K], or from [N, 1] for two classes; finite, and in the same order.

    log p of probabilities, log p - log(1 - p) of sigmoids: up to a constant for each row what was before the softmax,
    or the sigmoid.
    """
    tiny = torch.finfo(answer.dtype).tiny
    if output == "log-probabilities":
        least = answer.masked_fill(answer.isneginf(), math.log(tiny)).amin(1, keepdim=True)
        return torch.where(answer.isneginf(), least, answer)
    if output == "sigmoid" and answer.shape[1] > 1:
        return answer.clamp(min=tiny).log() - (1 - answer).clamp(min=tiny).log()
    if output in ("probabilities", "sigmoid"):
        answer = answer.clamp(min=tiny)
        both = torch.cat([(1 - answer).clamp(min=tiny), answer], 1)
        return (answer if answer.shape[1] > 1 else both).log()
    return answer if answer.shape[1] > 1 else torch.cat([-answer / 2, answer / 2], 1)


def squashed(answer: Tensor) -> bool:
    """Whether all of [N, K] lie in [0, 1] and hardly any row sums to 1, as sigmoids of several classes do.

    >>> squashed(torch.tensor([[0.9, 0.8], [0.1, 0.0]])), squashed(torch.tensor([[0.9, 0.1]]))
    (True, False)
    """
    inside = (answer >= 0) & (answer <= 1)
    return answer.shape[1] > 1 and bool(inside.all()) and float(_sums_to_one(answer).double().mean()) < 0.1


def _on_the_simplex(answer: Tensor) -> bool:
    """Rows that are probabilities: entries in [0, 1], sums of 1 (or one column inside [0, 1])."""
    if not len(answer) or bool(((answer < 0) | (answer > 1)).any()):
        return False
    return answer.shape[1] == 1 or bool(_sums_to_one(answer).all())


def _sums_to_one(answer: Tensor) -> Tensor:
    return (answer.sum(1) - 1).abs() <= math.sqrt(torch.finfo(answer.dtype).eps)
