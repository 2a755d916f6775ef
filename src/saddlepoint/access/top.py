"""Answers that name the likeliest classes only, as services give them."""

from __future__ import annotations

import math

import torch

from saddlepoint.shapes import DrawnFlags, DrawnLogits, Labels


def likeliest(logits: DrawnLogits, k: int) -> DrawnLogits:
    """log p of the ``k`` likeliest classes; all others share evenly what is left of the probability: [*S, N, K].

    So the least score is that of whatever is not named. No other class can be likelier than the last that is named.

    >>> likeliest(torch.tensor([[0.1, 0.5, 0.25, 0.15]]).log(), 2).exp()
    tensor([[0.1250, 0.5000, 0.2500, 0.1250]])
    """
    said = logits.log_softmax(-1)
    if k >= said.shape[-1]:
        return said
    best = said.topk(k)
    others = said.scatter(-1, best.indices, -torch.inf)
    rest = others.logsumexp(-1, keepdim=True) - math.log(said.shape[-1] - k)
    rest = torch.minimum(rest, best.values[..., -1:])
    return rest.expand_as(said).scatter(-1, best.indices, best.values)


def named(logits: DrawnLogits, label: Labels) -> DrawnFlags:
    """Whether an answer tells the score of ``label`` (long [N]): [*S, N, K] -> bool [*S, N].

    It does not where that class is one of several that share the least score: a class that ties with what is not named
    counts as not named. Where one class alone is not named, its score is what the others leave. NaN tells nothing.

    >>> named(torch.tensor([[0.125, 0.5, 0.25, 0.125]]).log().expand(3, 4), torch.tensor([0, 1, 2]))
    tensor([False,  True,  True])
    """
    own = logits.gather(-1, label.expand(logits.shape[:-1]).unsqueeze(-1)).squeeze(-1)
    least = logits.amin(-1)
    alone = (logits == least.unsqueeze(-1)).sum(-1) == 1
    return (own > least) | ((own == least) & alone)
