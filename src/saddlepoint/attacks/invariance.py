"""What a network overlooks: another class within the radius, and the network still says the old one."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.asking import predict
from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.attacks.run import ask_clean
from saddlepoint.core.problem import tolerance
from saddlepoint.errors import DataError, ThreatError
from saddlepoint.rows import column
from saddlepoint.sets import Ball

Oracle = Callable[[Tensor], Tensor]
"""Inputs [N, *D] -> what they truly are, long [N]; a stand-in for people, and no better than it is."""


@dc.dataclass(frozen=True)
class Neighbors:
    """The class of most of the ``k`` nearest of known examples, by the Euclidean distance: a proxy for people."""

    examples: Tensor
    labels: Tensor
    k: int = 5

    def __call__(self, x: Tensor) -> Tensor:
        """What the examples say of x [N, *D]: long [N]; of equally many, the class of the smaller number."""
        near = torch.cdist(x.flatten(1), self.examples.to(x).flatten(1)).topk(self.k, largest=False).indices
        return self.labels.to(x.device)[near].mode(1).values


@dc.dataclass(frozen=True)
class Invariance:
    """Attributes, N samples each:

    - ``x_adv`` [N, *D], ``size`` [N]: the changed inputs, and by how much
    - ``becomes`` (long [N]): the class they were moved to
    - ``asked`` (bool [N]): whether network and oracle both read the clean input, the others do not count
    - ``met`` (bool [N]): of those asked, whether the oracle sees the new class while the network sees the old one
    """

    x_adv: Tensor
    size: Tensor
    becomes: Tensor
    asked: Tensor
    met: Tensor

    @property
    def rate(self) -> float:
        """The share of those asked."""
        return float(self.met.sum() / self.asked.sum()) if bool(self.asked.any()) else float("nan")


def invariance(
    model: Callable[[Tensor], Any],
    x: Tensor,
    y: Tensor,
    threat: Ball,
    examples: Tensor,
    labels: Tensor,
    oracle: Oracle,
    *,
    candidates: int = 10,
    shift: int = 1,
) -> Invariance:
    """Change what an input is, within the radius, and see whether the network notices.

    For each input the nearest examples of other classes, in all positions up to ``shift`` pixels away, are aimed at:
    x' = x + P(x_other - x), P the projection onto the ball. In Linf every entry moves as far as it may, in L0 the most
    different entries are replaced. The first that the oracle takes for the new class and the network for the old one is
    kept, else the nearest.

    Args:
        model: an ``nn.Module``, callable or ``sp.wrap``; only labels are asked.
        x, y: inputs [N, *D] and their labels (long [N]).
        threat: a ball with its radius, such as ``sp.Linf(0.3)`` or ``sp.L0(20)``.
        examples, labels: known inputs [M, *D] of several classes, and their labels (long [M]).
        oracle: says what inputs truly are; ``Neighbors``, or other networks.
        candidates: how many of the nearest examples are tried.
        shift: how far an example may be moved in the picture; 0 for inputs that are none.

    Raises:
        DataError, ThreatError, OptionError: what is wrong, and what to do.

    Source: Tramèr, Behrmann, Carlini, Papernot, Jacobsen, "Fundamental tradeoffs between invariance and sensitivity to
    adversarial perturbations", ICML 2020.

    >>> import saddlepoint as sp
    >>> x, y = torch.tensor([[0.0]]), torch.tensor([0])
    >>> blunt = lambda x: torch.stack([1 - 0 * x[:, 0], 0 * x[:, 0]], 1)  # says 0, whatever comes
    >>> half = lambda x: (x[:, 0] > 0.5).long()
    >>> seen = invariance(blunt, x, y, sp.Linf(0.6), torch.ones(1, 1), torch.tensor([1]), half, candidates=1, shift=0)
    >>> bool(seen.met)
    True
    """
    at_least_one(candidates=candidates)
    if not isinstance(threat, Ball) or not bool(torch.as_tensor(threat.radius).isfinite().all()):
        raise ThreatError(f"invariance needs a ball with a finite radius, such as sp.Linf(0.3); got {threat}")
    wrapped = model if isinstance(model, Model) else wrap(model)
    inputs, pool = check_inputs(x, wrapped.box), check_inputs(examples, wrapped.box).to(x)
    if shift and x.ndim != 4:
        raise DataError(f"only pictures [N, C, H, W] are shifted, the inputs have shape {list(x.shape)}: say shift=0")
    ball = dc.replace(threat, box=wrapped.box)
    radius = ball.radii(inputs)
    with wrapped.quiet():
        said = ask_clean(wrapped, inputs)
        labels = check_labels(labels, pool, said.shape[1]).to(x.device)
        y = check_labels(y, inputs, said.shape[1])
        asked = (predict(said) == y) & (oracle(inputs) == y)
        if not bool((labels.unsqueeze(0) != y.unsqueeze(1)).any(1).all()):
            raise DataError("there are no examples of another class")
        moved, classes = _moved(pool, shift), labels.repeat((2 * shift + 1) ** 2)
        far = torch.cdist(inputs.flatten(1), moved.flatten(1))
        far = far.masked_fill(classes.unsqueeze(0) == y.unsqueeze(1), torch.inf)
        order = far.topk(min(candidates, len(moved)), largest=False)
        out, becomes, met = inputs.clone(), y.clone(), torch.zeros_like(asked)
        for k in range(order.indices.shape[1]):
            aim = order.indices[:, k]
            at = ball.apply(inputs, ball.project(inputs, moved[aim] - inputs, radius)).detach()
            now = asked & (oracle(at) == classes[aim]) & (predict(ask_clean(wrapped, at)) == y)
            new = order.values[:, k].isfinite() & ((now & ~met) | torch.full_like(met, k == 0))
            out = torch.where(column(new, out), at, out)
            becomes, met = torch.where(new, classes[aim], becomes), met | (now & new)
    size = ball.size(inputs, out - inputs)
    assert bool((size <= radius + 4 * tolerance(radius, x.dtype)).all()), "a projection left the ball"
    return Invariance(out, size, becomes, asked, met)


def _moved(pool: Tensor, shift: int) -> Tensor:
    """The examples in all positions up to ``shift`` pixels away, what comes in is black: [(2 shift + 1)² M, *D]."""
    if not shift:
        return pool
    height, width = pool.shape[2:]
    wide = torch.nn.functional.pad(pool, (shift, shift, shift, shift), value=float(pool.min()))
    starts = range(2 * shift + 1)
    return torch.cat([wide[:, :, i : i + height, j : j + width] for i in starts for j in starts])
