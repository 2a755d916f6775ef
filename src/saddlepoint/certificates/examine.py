"""Before anything is proved: that the question makes sense, and that the traced network is the one that was asked."""

from __future__ import annotations

import contextlib
import dataclasses as dc
from collections.abc import Iterator

import torch
from torch import Tensor

from saddlepoint.access.model import Model
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.graph import Graph, trace
from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.passes import intervals
from saddlepoint.rows import batches


@dc.dataclass(frozen=True)
class Task:
    """Rows [B, M, K]: y against every other class; their ``clean`` values [B, M]; whether y is the ``right`` answer."""

    rows: Tensor
    clean: Tensor

    @property
    def right(self) -> Tensor:
        """Whether y is the answer without any perturbation, bool [B]."""
        return (self.clean > 0).all(1)


@contextlib.contextmanager
def examined(model: Model, x: Tensor) -> Iterator[tuple[Graph, Tensor]]:
    """The graph of a deterministic model and its logits of x [N, *D]; meanwhile it is quiet, and nothing is coarse."""
    if torch.get_float32_matmul_precision() != "highest":
        raise CertificateError('matrix products are coarse: torch.set_float32_matmul_precision("highest")')
    device = (model.device or x.device).type
    tf32 = torch.backends.cudnn.flags(enabled=True, allow_tf32=False) if device == "cuda" else contextlib.nullcontext()
    with model.quiet(), torch.no_grad(), torch.autocast(device, enabled=False), tf32:
        clean = torch.cat([model(x[rows]) for rows in batches(len(x), 256, x.device)])
        graph = trace(model, x)
        _refuse_randomness(model, x[:1])
        yield graph, clean.to(graph.device)


def _refuse_randomness(model: Model, x: Tensor) -> None:
    """Two answers to the same question, from different seeds, must be equal."""
    answers = []
    for seed in (1, 2):
        with model.quiet(seed), torch.no_grad():
            answers.append(model(x))
    if not torch.equal(*answers):
        raise CertificateError(
            "the network answers differently when asked twice: a bound on one answer says nothing about the next;"
            " certify the smoothed classifier (saddlepoint.certificates.smoothed)"
        )


def against_all(graph: Graph, clean: Tensor, y: Tensor) -> Task:
    """The task of telling y (long [B]) from all other classes, at logits ``clean`` [B, K]."""
    B, K = clean.shape
    y = y.to(clean.device)
    unit = torch.eye(K, dtype=graph.dtype, device=clean.device)
    others = torch.arange(K, device=clean.device).expand(B, K)[torch.arange(K, device=clean.device) != y[:, None]]
    rows = unit[y][:, None] - unit[others.view(B, K - 1)]
    values = (rows.to(clean.dtype) @ clean.unsqueeze(2)).squeeze(2)
    return Task(rows[:, :, 1:] if graph.single else rows, values)


def check_agreement(graph: Graph, x: Tensor, task: Task) -> None:
    """The clean logits must lie where the graph says, for intervals that hold nothing but x and rounding.

    Raises:
        CertificateError: they do not: the network does something that tracing cannot see.
    """
    x = x.to(graph.dtype)
    low, high = intervals(graph, Interval(x, x))[graph.output]
    up, down = task.rows.clamp_min(0), task.rows.clamp_max(0)
    ends = [(up @ a.unsqueeze(2) + down @ b.unsqueeze(2)).squeeze(2) for a, b in ((low, high), (high, low))]
    slack = (1e-3 if graph.blur else 0.0) * (1 + task.clean.abs())
    seen, limit = task.clean, 60.0 if graph.blur else torch.inf  # a probability below e^-87 is not told apart from it
    off = (seen.clamp_max(limit) < ends[0].clamp_max(limit) - slack) | (
        seen.clamp_min(-limit) > ends[1].clamp_min(-limit) + slack
    )
    if bool(off.any()):
        raise CertificateError(
            "the network does not answer what its layers say: something in its forward is hidden from tracing"
            " (a context manager, a change of precision, state); make it a plain composition of layers"
        )
