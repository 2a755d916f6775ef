"""Three accesses, each a subclass of the poorer one: labels, scores, gradients. They count, and stop at a budget.

An attack names the poorest access it can live with; a type checker refuses the rest, and so does ``require`` with a
clear line at run time. Questions are counted per sample: a forward when the model is asked, a backward when a gradient
truly flows back through an answer.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Self, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.watching import middle, watching
from saddlepoint.errors import AccessError
from saddlepoint.shapes import DrawnLabels, DrawnLogits, Draws, Flags, Inputs, Logits, Rows

Ask = Callable[[Tensor], Tensor]
"""Inputs [M, *D] in data units -> logits [M, K], differentiable where the model is."""
Watch = Callable[[Tensor, Tensor, Tensor], None]
"""(samples asked about, long [n], their logits [*S, n, K], how often each was asked so far, long [n]) -> nothing."""


class Ledger:
    """How often each sample was asked about: ``forwards`` and ``backwards``, long [N].

    ``budget`` (int or long [N]) is a hard limit on forwards; ``spent_out`` (bool [N]) marks the samples a question was
    refused for. ``batch_size`` is how many samples fit in one forward; it shrinks when memory runs out. ``classes`` is
    how many scores an answer has (2 until one was seen). ``cost`` is how many forwards one answer takes.
    """

    def __init__(
        self,
        n: int,
        budget: Tensor | int | None = None,
        batch_size: int = 256,
        device: torch.device | None = None,
        cost: int = 1,
    ) -> None:
        self.forwards = torch.zeros(n, dtype=torch.long, device=device)
        self.backwards = torch.zeros_like(self.forwards)
        self.spent_out = torch.zeros(n, dtype=torch.bool, device=device)
        self.budget = None if budget is None else torch.as_tensor(budget, device=device).expand(n)
        self.batch_size = batch_size
        self.classes = 2
        self.cost = cost

    def admit(self, rows: Tensor, draws: int) -> Tensor | None:
        """Book ``draws`` answers for each of ``rows``. Returns which may be asked (bool [n]), None if all may."""
        price = draws * self.cost
        if self.budget is None:
            count(self.forwards, rows, price)
            return None
        may = self.forwards[rows] + price <= self.budget[rows]
        self.forwards[rows] += price * may
        self.spent_out[rows] |= ~may
        return None if bool(may.all()) else may


def count(book: Tensor, rows: Tensor, price: int) -> None:
    """Add ``price`` to each of ``rows`` (long [n], each once) of a book (long [N])."""
    book.index_put_((rows,), torch.full((), price, dtype=book.dtype, device=book.device), accumulate=True)


class LabelAccess:
    """Answers with the predicted label only."""

    kind = "labels"

    def __init__(self, ask: Ask, ledger: Ledger, gain: Tensor | None = None, clean: Tensor | None = None) -> None:
        """``gain`` ([N], or [N, K]; default 1) multiplies the logits of each sample (see ``Model.access``).

        ``clean`` ([N, K]): the logits of the inputs under attack, where they are known already.
        """
        self._ask, self.ledger, self._gain, self._clean = ask, ledger, gain, clean
        self.watch: Watch | None = None
        self.rows = torch.arange(len(ledger.forwards), device=ledger.forwards.device)

    def view(self, keep: Rows) -> Self:
        """The same access, seen by the samples ``keep`` (long [n]) alone."""
        twin = copy.copy(self)
        twin.rows = self.rows[keep]
        return twin

    def lower(self, kind: type[Access]) -> Access:
        """The same access seen as the poorer ``kind``, so that what is not allowed cannot be asked."""
        twin = kind(self._ask, self.ledger, self._gain, self._clean)
        twin.rows, twin.watch = self.rows, self.watch
        return twin

    def labels(self, x: Draws, lead: int = 0) -> DrawnLabels:
        """Predicted labels of [*S, n, *D], long [*S, n]; -1 where the budget forbids to ask or the answer is NaN.

        ``lead`` is the number of axes *S in front of the sample axis.
        """
        return predict(self._detached(x, lead))

    @property
    def refused(self) -> Flags:
        """The samples a question was refused for, because their budget is spent: bool [n]."""
        return self.ledger.spent_out[self.rows]

    def _detached(self, x: Tensor, lead: int) -> Tensor:
        with torch.no_grad():
            return self._answer(x.detach(), lead)[0].detach()

    def _answer(self, x: Tensor, lead: int) -> tuple[Tensor, Tensor]:
        """The logits, NaN where the budget forbids to ask, and which rows of the ledger were asked (long [m])."""
        may = self.ledger.admit(self.rows, math.prod(x.shape[:lead]))
        if may is None:
            out, asked = self._unfold(x, lead), self.rows
        else:
            keep = may.nonzero().squeeze(1)
            out, asked = x.new_full((*x.shape[: lead + 1], self.ledger.classes), torch.nan), self.rows[keep]
            if len(keep):
                some = self._unfold(x.index_select(lead, keep), lead)
                out = some.new_full((*x.shape[: lead + 1], some.shape[-1]), torch.nan).index_copy(lead, keep, some)
        self.ledger.classes = out.shape[-1]
        out = self._scaled(out)
        if self.watch is not None:
            self.watch(self.rows, out.detach(), self.ledger.forwards[self.rows] // self.ledger.cost)
        return out, asked

    def _scaled(self, logits: Tensor) -> Tensor:
        if self._gain is None:
            return logits
        return logits * self._gain[self.rows].to(logits.dtype).view(len(self.rows), -1)

    def _unfold(self, x: Tensor, lead: int) -> Tensor:
        if lead == 0:
            return self._ask(x)
        out = self._ask(x.flatten(0, lead))
        return out.view(*x.shape[: lead + 1], out.shape[-1])


class ScoreAccess(LabelAccess):
    """Also answers with scores (logits), through which no gradient passes."""

    kind = "scores"

    def scores(self, x: Draws, lead: int = 0) -> DrawnLogits:
        """Logits of [*S, n, *D], detached, [*S, n, K]; NaN where the budget forbids to ask."""
        return self._detached(x, lead)

    def clean_scores(self, x: Inputs) -> Logits:
        """Logits of the inputs under attack x [n, *D], detached, [n, K]: asked for only where they are not known."""
        return self.scores(x) if self._clean is None else self._scaled(self._clean[self.rows])


class GradientAccess(ScoreAccess):
    """Also answers with logits that carry their graph."""

    kind = "gradients"

    def logits(self, x: Draws, lead: int = 0) -> DrawnLogits:
        """Logits of [*S, n, *D] with graph, [*S, n, K]. Each gradient taken through them counts as a backward."""
        out, asked = self._answer(x, lead)
        if out.requires_grad:
            draws = math.prod(x.shape[:lead])
            out.register_hook(lambda _: self._count_backward(asked, draws))  # type: ignore[no-untyped-call]
        return out

    def inside(self, x: Draws, layer: str | None) -> tuple[DrawnLogits, Tensor]:
        """(logits [n, K], what the module ``layer`` answered on the way, [n, *F]) of x [n, *D], both with graph.

        No layer is the middle one of those with weights, or the logits where the model shows none. Where the budget
        forbids to ask, logits are NaN and the answers of the layer 0, of [n, 1] where nobody was asked. A gradient
        through either is a backward.

        Raises:
            AccessError: the model shows nothing inside, or not one tensor for each input.
            OptionError: the network has no module of that name.
        """
        network = getattr(self._ask, "network", self._ask)
        name = middle(network) if layer is None else layer
        if name is None:
            out = self.logits(x)
            return out, out.nan_to_num(0.0)
        with watching(network, name) as seen:
            out, asked = self._answer(x, 0)
        keep = torch.isin(self.rows, asked).nonzero().squeeze(1)
        if not len(keep):
            return out, out.new_zeros(len(x), 1)
        if not len(seen) or any(len(one) != len(keep) for one in seen):
            said = [list(one.shape) for one in seen] or "no tensor"
            raise AccessError(f"module {name!r} answered {said} on the way to {len(keep)} answers: take another layer")
        found = torch.stack(seen).mean(0)
        found = found if len(keep) == len(x) else found.new_zeros(len(x), *found.shape[1:]).index_copy(0, keep, found)
        if found.requires_grad:
            found.register_hook(lambda _: self._count_backward(asked, 1))  # type: ignore[no-untyped-call]
        return out, found

    def _count_backward(self, asked: Tensor, draws: int) -> None:
        count(self.ledger.backwards, asked, draws * self.ledger.cost)


Access = TypeVar("Access", bound=LabelAccess)


def predict(logits: DrawnLogits) -> DrawnLabels:
    """The label with the largest logit, long [*S, N]; -1 where a logit is NaN: no answer is no label."""
    return torch.where(logits.isnan().any(-1), -1, logits.argmax(-1))


def require(access: LabelAccess, kind: type[Access], attack: str, instead: str) -> Access:
    """``access`` if it is rich enough for ``attack``, else an error that names both sides and a way out."""
    if isinstance(access, kind):
        return access
    raise AccessError(f"{attack} needs {kind.kind}; this model gives {access.kind} only: {instead}")
