"""Forward through intervals, backward through lines."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.certificates.graph import Graph
from saddlepoint.certificates.interval import Interval, Relaxed
from saddlepoint.certificates.region import Region
from saddlepoint.certificates.rows import Rows


def intervals(graph: Graph, inputs: Interval, narrower: dict[int, Interval] | None = None) -> list[Interval]:
    """An interval for every value of the graph, from one around the inputs; those of ``narrower`` are met with.

    Source: Gowal et al., "On the effectiveness of interval bound propagation", 2018.
    """
    values = [inputs]
    for index, node in enumerate(graph.nodes, 1):
        value = node.operation.interval(*(values[i] for i in node.inputs))
        known = (narrower or {}).get(index)
        if known is not None:
            value = Interval(torch.maximum(value.low, known.low), torch.minimum(value.high, known.high))
        values.append(value)
    return values


def relaxations(graph: Graph, values: list[Interval], upto: int) -> list[Relaxed]:
    """Every operation before value ``upto`` between linear functions, on the intervals of its inputs."""
    return [node.operation.relax(*(values[i] for i in node.inputs)) for node in graph.nodes[:upto]]


def backward(graph: Graph, relaxed: list[Relaxed], start: int, rows: Rows, region: Region) -> Tensor:
    """A lower bound of <a, z> over the region for rows a of value ``start``: [B, M], double.

    The rows are carried back through the lines of every operation to the input, where the least value of a linear
    function over the region is known. Source: Zhang et al., "Efficient neural network robustness certification with
    general activation functions" (CROWN), NeurIPS 2018.
    """
    carried: dict[int, Rows] = {start: rows}
    total = torch.zeros(rows.a.shape[:2], dtype=torch.float64, device=rows.a.device)
    for index in range(start, 0, -1):
        rows_here = carried.pop(index, None)
        if rows_here is None:
            continue
        parts, constant = relaxed[index - 1].back(rows_here)
        total = total + constant
        for source, part in zip(graph.nodes[index - 1].inputs, parts, strict=False):
            carried[source] = carried[source].plus(part) if source in carried else part
    return total + region.lowest(carried[0]) if 0 in carried else total
