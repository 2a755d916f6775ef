"""What an input pays for lying where few others lie."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.core.problem import Problem
from saddlepoint.errors import DataError, OptionError


@dc.dataclass(frozen=True)
class Sparseness:
    """- (1/k) Σ over the k nearest of ``others`` of exp(-|x' - x_i|₁ / width): a penalty on x', [N].

    It is -1 on top of k others, and 0 far from all. Subtracted with a weight, it draws an input to where ``others``
    (the inputs of the class to be taken for, [M, *D]) are dense, and away from regions where the model saw nothing.

    Source: Biggio et al., "Evasion attacks against machine learning at test time", ECML 2013.
    """

    others: Tensor
    width: float
    neighbors: int

    def __call__(self, problem: Problem[LabelAccess], delta: Tensor) -> Tensor:
        """The penalty of δ [N, *P]: [N]."""
        x = problem.set.apply(problem.x, delta).flatten(1)
        others = self.others.to(x).flatten(1)
        with torch.no_grad():
            near = torch.cdist(x, others, p=1).topk(min(self.neighbors, len(others)), largest=False).indices
        apart = (x[:, None] - others[near]).abs().sum(2)
        return -torch.exp(-apart / self.width).mean(1)


def sparseness(others: Tensor, width: float | None = None, neighbors: int = 20) -> Sparseness:
    """The penalty for ``others`` [M, *D]; without a ``width``, the median distance from each to its nearest is taken.

    Raises:
        DataError, OptionError: fewer than two others, others that are not finite, a width or number below 1.
    """
    if len(others) < 2 or not bool(others.isfinite().all()):
        raise DataError(f"the others to be like must be two or more, and finite; got {len(others)}")
    if neighbors < 1 or (width is not None and not width > 0):
        raise OptionError(f"neighbors must be at least 1 and width above 0, got {neighbors} and {width}")
    if width is None:
        flat = others.detach().flatten(1).double()
        apart = torch.cdist(flat, flat, p=1).fill_diagonal_(torch.inf).amin(1)
        width = float(apart.median().clamp_min(torch.finfo(torch.float32).tiny))
    return Sparseness(others.detach(), width, neighbors)
