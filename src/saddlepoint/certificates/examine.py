"""Before anything is proved: that the question makes sense, and that the traced network is the one that was asked."""

from __future__ import annotations

import contextlib
import dataclasses as dc
from collections.abc import Iterator

import torch
from torch import Tensor

from saddlepoint.access.model import Box, Model
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.graph import Graph, trace
from saddlepoint.certificates.interval import Interval
from saddlepoint.certificates.passes import intervals
from saddlepoint.errors import DataError
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
    if bool((y >= clean.shape[1]).any()):
        raise DataError(f"labels range up to {int(y.max())}; the model has {clean.shape[1]} classes")
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


def check_inputs(x: Tensor, box: Box) -> Tensor:
    """x, detached and inside the box. Raises DataError with what is wrong."""
    if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
        raise DataError("inputs must be a float32 or float64 tensor [N, *D] (bytes: x.float() / 255)")
    if x.ndim < 2 or not x.numel():
        raise DataError(f"inputs have shape {list(x.shape)}; at least one sample, [N, *D], was expected")
    slack = 4 * torch.finfo(x.dtype).eps * max(abs(box.low), abs(box.high), 1.0)
    low, high = float(x.amin()), float(x.amax())
    if not (box.low - slack <= low and high <= box.high + slack):
        raise DataError(
            f"inputs range over [{low:g}, {high:g}], the bounds are [{box.low:g}, {box.high:g}]: state those of the"
            " model, saddlepoint.wrap(model, bounds=(low, high))"
        )
    return x.detach().clamp(box.low, box.high)


def check_labels(y: Tensor, x: Tensor) -> Tensor:
    """y as long [N]. Raises DataError with what is wrong."""
    if not isinstance(y, Tensor) or y.is_floating_point() or y.dtype == torch.bool or y.shape != x.shape[:1]:
        given = f"{y.dtype} {list(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
        raise DataError(f"labels must be integers [{len(x)}], one for each input; got {given}")
    if bool((y < 0).any()):
        raise DataError(f"labels must be 0 or more, got {int(y.min())}")
    return y.to(device=x.device, dtype=torch.long)
