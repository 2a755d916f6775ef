"""Certificates of deterministic networks: lower bounds of margins that hold for every allowed perturbation."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Final, Literal

import torch
from torch import Tensor, nn

from saddlepoint.access.checks import check_inputs, check_labels
from saddlepoint.access.model import Model, wrap
from saddlepoint.certificates import tiers
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.examine import (
    Task,
    against_all,
    check_agreement,
    examined,
)
from saddlepoint.certificates.graph import Graph
from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.region import Region, region
from saddlepoint.errors import OptionError, ThreatError
from saddlepoint.rows import batches
from saddlepoint.sets import Ball, Neighborhood
from saddlepoint.shapes import Flags, Inputs, Labels, PerSample

Method = Literal["auto", "ibp", "crown-ibp", "crown"]
METHODS: Final = ("ibp", "crown-ibp", "crown")


@dc.dataclass(frozen=True)
class Certificate:
    """What is proved about each of N samples, in their order.

    Attributes:
        margin: at most the least z_y - z_c over all other classes c and all allowed perturbations, [N], double; in
            units of the logits. Rounding is accounted for, so a margin above 0 is a proof.
        certified: whether it is above 0: no allowed perturbation changes the answer y, bool [N].
        method: which bound gave the margin, one of "ibp", "crown-ibp", "crown" for each sample.
    """

    margin: PerSample
    certified: Flags
    method: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.margin)

    @property
    def share(self) -> float:
        """The share of all samples that is certified: at most the robust accuracy, as an attack's is at least it."""
        return float(self.certified.double().mean())


def certify(
    model: nn.Module | Model,
    x: Inputs,
    y: Labels,
    threat: Neighborhood,
    *,
    method: Method = "auto",
    batch_size: int | None = None,
) -> Certificate:
    """Prove, where it can be proved, that no perturbation in a ball changes the answer of a network.

    margin <= min over c != y and δ in threat of z_y(x + δ) - z_c(x + δ), by intervals ("ibp"), by a backward pass
    between lines on these intervals ("crown-ibp"), and by such passes for the neurons of every layer ("crown"). With
    "auto" the cheaper are asked first, and each next one about the samples that are still open.

    The bound is sound in floating point, for the network in exact arithmetic and for the network as computed with
    sums in its own precision (see ``saddlepoint.certificates.affine``), and for radii as attacks confirm them, with
    ``saddlepoint.core.problem.tolerance``. So a certified sample is one that no attack of this package can break.

    Args:
        model: an ``nn.Module`` or a wrapped model; made of the layers that ``why_not`` knows.
        x: inputs [N, *D] within the bounds of the model.
        y: labels, long [N].
        threat: Linf, L2 or L1, with a radius for all or one for each sample, and perhaps a mask.
        method: "auto", or the one bound to use for every sample.
        batch_size: samples at once in the cheap tiers, 16 by default; the answer does not depend on it but for
            rounding.

    Returns:
        A ``Certificate``.

    Raises:
        CertificateError: a layer no bound is known for, randomness; the message names it.
        DataError, ThreatError, OptionError: inputs, labels, threat or options that make no sense.

    >>> network = nn.Sequential(nn.Linear(2, 2, bias=False))
    >>> _ = network[0].weight.data.copy_(torch.eye(2))
    >>> from saddlepoint.sets import Linf
    >>> x = torch.tensor([[0.9, 0.1], [0.6, 0.5]])
    >>> certify(network, x, torch.tensor([0, 0]), Linf(0.25)).certified
    tensor([ True, False])

    Source: Gowal et al. 2018; Zhang et al., NeurIPS 2018; Zhang et al., "Towards stable and efficient training of
    verifiably robust neural networks" (CROWN-IBP), ICLR 2020.
    """
    if method not in ("auto", *METHODS):
        raise OptionError(f"no method {method!r}; known are auto, {', '.join(METHODS)}")
    subject = model if isinstance(model, Model) else wrap(model)
    x = check_inputs(x, subject.box)
    threat = _within(threat, x, subject)
    size = 16 if batch_size is None else batch_size
    if size < 1:
        raise OptionError(f"batch_size must be at least 1, got {size}")
    with examined(subject, x) as (graph, clean):
        y = check_labels(y, x, clean.shape[1])
        parts = [
            _certified(graph, x[rows], threat.rows(rows), against_all(graph, clean[rows], y[rows]), method)
            for rows in batches(len(x), size, x.device)
        ]
    return _gathered(parts, x.device)


def why_not(model: nn.Module | Model, x: Inputs) -> str | None:
    """Why a model cannot be certified on inputs like x [N, *D]; None if it can. Costs three forwards of one sample.

    >>> why_not(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), torch.zeros(1, 2))
    >>> why_not(nn.Sequential(nn.Linear(2, 2), nn.Softshrink()), torch.zeros(1, 2))
    'no bound is known for Softshrink (node _1): it is none of the layers that can be bounded; ...'
    """
    subject = model if isinstance(model, Model) else wrap(model)
    try:
        x = check_inputs(x[:1], subject.box)
        with examined(subject, x) as (graph, clean):
            check_agreement(graph, x.to(graph.device), against_all(graph, clean, clean.argmax(1)))
    except CertificateError as reason:
        return str(reason)
    return None


@dc.dataclass(frozen=True)
class _Bounds:
    """The best bound of each row so far, [B, M], and which method gave the least of each sample, long [B]."""

    rows: Tensor
    method: Tensor

    @property
    def margin(self) -> Tensor:
        return self.rows.amin(1)

    def better(self, where: Tensor, found: Tensor, method: str) -> _Bounds:
        """With the bounds ``found`` [n, M] of the samples ``where`` (long [n]) where they are higher."""
        rows = self.rows.index_copy(0, where, torch.maximum(self.rows[where], found))
        risen = rows.amin(1) > self.margin
        return _Bounds(rows, torch.where(risen, METHODS.index(method), self.method))


def _certified(graph: Graph, x: Tensor, threat: Ball, task: Task, method: Method) -> _Bounds:
    """The bounds of a batch, from the cheapest tier to the last that is needed."""
    x = x.to(graph.device)
    check_agreement(graph, x, task)
    allowed = region(x, threat, graph.dtype)
    values = tiers.start(graph, allowed)
    blur = graph.blur * (1 + values[graph.output].magnitude.amax(1, keepdim=True).double())
    first = torch.zeros(len(x), dtype=torch.long, device=x.device)
    bounds = _Bounds(torch.full_like(task.clean, -torch.inf, dtype=torch.float64), first)
    for tier in METHODS if method == "auto" else (str(method),):
        todo = (task.right & (bounds.margin <= 0)).nonzero().squeeze(1)
        if method != "auto" or tier == "ibp":
            todo = torch.arange(len(x), device=x.device)
        if len(todo):
            part = [Interval(*(end[todo] for end in value)) for value in values]
            found = _TIERS[tier](graph, part, task.rows[todo], allowed.rows(todo))
            bounds = bounds.better(todo, found - blur[todo], tier)
    return bounds


def _all_the_way(graph: Graph, values: list[Interval], rows: Tensor, region: Region) -> Tensor:
    """CROWN sample by sample: each has its own undecided neurons."""
    found = []
    for row in range(len(rows)):
        here = region.rows(slice(row, row + 1))
        narrow = tiers.refine_all(graph, [value.sample(row) for value in values], here)
        found.append(tiers.by_lines(graph, narrow, rows[row : row + 1], here))
    return torch.cat(found)


_TIERS: Final[dict[str, Callable[[Graph, list[Interval], Tensor, Region], Tensor]]] = {
    "ibp": tiers.by_intervals,
    "crown-ibp": tiers.by_lines,
    "crown": _all_the_way,
}


def _gathered(parts: list[_Bounds], device: torch.device) -> Certificate:
    margin = torch.cat([part.margin for part in parts]).to(device)
    method = torch.cat([part.method for part in parts]).tolist()
    return Certificate(margin, margin > 0, tuple(METHODS[m] for m in method))


def _within(threat: Neighborhood, x: Tensor, model: Model) -> Ball:
    """The threat in the bounds of the model. Raises ThreatError where it does not fit."""
    if not isinstance(threat, Ball):
        raise ThreatError(f"a threat is a set with a radius, for instance saddlepoint.Linf(0.1); got {threat!r}")
    threat = threat.fitted_to(model)
    return dc.replace(threat, radius=threat.radii(x))
