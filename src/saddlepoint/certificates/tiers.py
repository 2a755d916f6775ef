"""The three tiers of bounds on margins, cheapest first: intervals, CROWN over intervals, CROWN all the way."""

from __future__ import annotations

import dataclasses as dc

import torch
from torch import Tensor

from saddlepoint.certificates.affine import Affine, Conv
from saddlepoint.certificates.graph import Graph
from saddlepoint.certificates.interval import Interval, Operation, Relaxed
from saddlepoint.certificates.lines import Entrywise
from saddlepoint.certificates.passes import backward, intervals, relaxations
from saddlepoint.certificates.pooling import MaxPool
from saddlepoint.certificates.region import Cube, Region
from saddlepoint.certificates.rows import Dense, Grid, Rows, Windows

ENTRIES = 1 << 23
"""Coefficients held at once in a layer of a backward pass over neurons."""


def start(graph: Graph, region: Region) -> list[Interval]:
    """Intervals of all values, [B, ...]. For an L2 or L1 ball the first layers are bounded by the dual norm instead.

    A box around such a ball is far larger than the ball.
    """
    values = intervals(graph, region.around(graph.dtype))
    if isinstance(region, Cube):
        return values
    first = [
        i for i in bounded(graph) if all(isinstance(graph.nodes[j - 1].operation, Affine) for j in _above(graph, i))
    ]
    found: dict[int, list[Interval]] = {i: [] for i in first}
    for row in range(len(region.x)):
        one = [v.sample(row) for v in values]
        for i in first:
            found[i].append(refined(graph, one, i, region.rows(slice(row, row + 1)), everywhere=True))
    pinned = {i: Interval(*(torch.cat(ends) for ends in zip(*parts, strict=True))) for i, parts in found.items()}
    return intervals(graph, region.around(graph.dtype), pinned)


def by_intervals(graph: Graph, values: list[Interval], rows: Tensor, region: Region) -> Tensor:
    """Lower bounds of <a, logits> for a [B, M, K], from intervals alone: the affine layers at the end are exact."""
    relaxed: list[Relaxed] = []
    for node, value in zip(graph.nodes, values[1:], strict=True):
        inside = isinstance(node.operation, Affine)
        relaxed.append(node.operation.relax(*(values[i] for i in node.inputs)) if inside else _Constant(value))
    return backward(graph, relaxed, graph.output, Dense(rows), region)


def by_lines(graph: Graph, values: list[Interval], rows: Tensor, region: Region) -> Tensor:
    """Lower bounds of <a, logits> for a [B, M, K], by a backward pass between the lines on the given intervals."""
    return backward(graph, relaxations(graph, values, graph.output), graph.output, Dense(rows), region)


def refine_all(graph: Graph, values: list[Interval], region: Region) -> list[Interval]:
    """Narrower intervals of all values of one sample: every layer before an activation by a backward pass of its own.

    Only neurons are asked about whose activation is not decided yet.
    """
    pinned: dict[int, Interval] = {}
    for index in bounded(graph):
        if index == 0 or (isinstance(region, Cube) and _exact(graph, index)):
            continue
        pinned[index] = refined(graph, values, index, region)
        values = intervals(graph, values[0], pinned)
    return values


def bounded(graph: Graph) -> list[int]:
    """The values that an operation needs an interval of: inputs of activations and of maxima."""
    return sorted({i for n in graph.nodes if not isinstance(n.operation, Affine) for i in n.inputs})


def refined(graph: Graph, values: list[Interval], index: int, region: Region, everywhere: bool = False) -> Interval:
    """The interval of value ``index`` of one sample, narrowed by a backward pass for each undecided neuron."""
    low, high = (end.flatten().clone() for end in values[index])
    asked = torch.ones_like(low, dtype=torch.bool) if everywhere else _undecided(graph, values, index)
    relaxed = relaxations(graph, values, index)
    neurons = asked.flatten().nonzero().squeeze(1)
    for some in torch.split(neurons, _chunk(values, index)) if len(neurons) else ():
        rows = _unit_rows(graph, values[index].low, index, some)
        least, most = backward(graph, relaxed, index, rows, region) * torch.tensor([[1.0], [-1.0]], device=low.device)
        low[some] = torch.maximum(low[some], _outward(least, -1, low.dtype))
        high[some] = torch.minimum(high[some], _outward(most, 1, low.dtype))
    shape = values[index].low.shape
    return Interval(low.view(shape), high.view(shape))


def _outward(bound: Tensor, side: int, dtype: torch.dtype) -> Tensor:
    return (bound + side * bound.abs() * torch.finfo(dtype).eps).to(dtype)


def _undecided(graph: Graph, values: list[Interval], index: int) -> Tensor:
    """Neurons whose interval some operation could use narrower, bool [1, *shape]."""
    asked = torch.zeros_like(values[index].low, dtype=torch.bool)
    for node in graph.nodes:
        if index in node.inputs and isinstance(node.operation, Entrywise):
            asked |= node.operation.undecided(values[index])
        elif index in node.inputs and isinstance(node.operation, MaxPool):
            asked |= values[index].high > values[index].low
    return asked


def _unit_rows(graph: Graph, like: Tensor, index: int, neurons: Tensor) -> Rows:
    """The neurons (long [M], flat) themselves as rows, and minus them: [2, M, ...]; windows behind a convolution."""
    operation = graph.nodes[index - 1].operation if index else None
    M, signs = len(neurons), torch.tensor([[1.0], [-1.0]], dtype=like.dtype, device=like.device)
    if isinstance(operation, Conv):
        C, H, W = operation.out
        a = like.new_zeros(2, M, C, 1, 1)
        a[:, torch.arange(M, device=like.device), neurons // (H * W), 0, 0] = signs
        return Windows(a, neurons % (H * W), Grid(operation.out, (H, W), (0, 0), (1, 1)))
    a = like.new_zeros(2, M, like.numel())
    a[:, torch.arange(M, device=like.device), neurons] = signs
    return Dense(a.view(2, M, *like.shape[1:]))


def _chunk(values: list[Interval], index: int) -> int:
    """How many neurons at once: as many as keep the largest layer within bounds."""
    return max(16, ENTRIES // max(v.low.numel() for v in values[: index + 1]))


def _above(graph: Graph, index: int) -> set[int]:
    """The values, other than the input, that value ``index`` is computed from, itself included."""
    found, left = set(), [index]
    while left:
        i = left.pop()
        if i and i not in found:
            found.add(i)
            left += graph.nodes[i - 1].inputs
    return found


def _exact(graph: Graph, index: int) -> bool:
    """Whether the interval of a value over a box is the best one: at most one layer that adds up, no rectifier."""
    above = [graph.nodes[i - 1].operation for i in _above(graph, index)]
    return all(isinstance(o, Affine) for o in above) and sum(_adds(o) for o in above) <= 1


def _adds(operation: Operation) -> bool:
    return isinstance(operation, Affine) and operation.mixes


@dc.dataclass(frozen=True)
class _Constant:
    """An operation known by the interval of its output alone: nothing goes further back."""

    value: Interval

    def back(self, rows: Rows) -> tuple[tuple[Rows, ...], Tensor]:
        a, (low, high) = rows.a, self.value
        unit = low[0].numel() * torch.finfo(low.dtype).eps
        constant = rows.dot(a.clamp_min(0), low - unit * low.abs())
        return (), constant + rows.dot(a.clamp_max(0), high + unit * high.abs())
