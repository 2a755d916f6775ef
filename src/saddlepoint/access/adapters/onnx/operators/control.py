"""Branches, loops and sequences. A branch or a count that depends on data makes the device wait for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import Node, Run, Value, operator


@operator("If", host=(0,), needs_run=True)
def branch(node: Node, run: Run, condition: Any) -> Value:
    """One of two subgraphs."""
    while isinstance(condition, list):
        (condition,) = condition
    return tuple(run.subgraph(node.get("then_branch" if condition else "else_branch"), {}))


@operator("Loop", host=(0, 1), needs_run=True)
def loop(node: Node, run: Run, most: Any = None, go: Any = None, *carried: Value) -> Value:
    """A subgraph again and again: what it hands on, and what it puts out at each turn, stacked."""
    most, go = (v[0] if isinstance(v, list) else v for v in (most, go))
    body, state, scans, turn = node.get("body"), list(carried), [], 0
    names = [port.name for port in body.inputs]
    while (most is None or turn < most) and (go is None or go):
        given = dict(
            zip(names, [torch.tensor(turn), torch.tensor(True if go is None else bool(go)), *state], strict=True)
        )
        go, *out = run.subgraph(body, given)
        go = bool(go)
        state = out[: len(state)]
        scans.append(out[len(state) :])
        turn += 1
    return *state, *(torch.stack(list(one)) for one in zip(*scans, strict=True))


@operator("Scan", needs_run=True)
def scan(node: Node, run: Run, *given: Tensor) -> Value:
    """A subgraph over the entries of axes, handing on a state."""
    body, count = node.get("body"), node.get("num_scan_inputs")
    state, sequences = list(given[: len(given) - count]), given[len(given) - count :]
    outs = len(body.outputs) - len(state)
    axes = node.get("scan_input_axes", [0] * count)
    backwards = node.get("scan_input_directions", [0] * count)
    steps = [s.flip(a) if b else s for s, a, b in zip(sequences, axes, backwards, strict=True)]
    names, scans = [port.name for port in body.inputs], []
    for turn in range(steps[0].shape[axes[0]]):
        now = [s.select(a, turn) for s, a in zip(steps, axes, strict=True)]
        out = run.subgraph(body, dict(zip(names, [*state, *now], strict=True)))
        state = out[: len(state)]
        scans.append(out[len(state) :])
    along, reverse = node.get("scan_output_axes", [0] * outs), node.get("scan_output_directions", [0] * outs)
    stacked = [torch.stack(list(one), a) for one, a in zip(zip(*scans, strict=True), along, strict=True)]
    return *state, *(s.flip(a) if b else s for s, a, b in zip(stacked, along, reverse, strict=True))


@operator("SequenceEmpty", needs_run=True)
def empty(node: Node, run: Run) -> list[Tensor]:
    """A sequence with nothing in it."""
    return []


@operator("SequenceConstruct")
def construct(node: Node, *xs: Tensor) -> list[Tensor]:
    """A sequence of tensors."""
    return list(xs)


@operator("SequenceInsert", host=(2,))
def insert(node: Node, sequence: list[Tensor], x: Tensor, at: Any = None) -> list[Tensor]:
    """With one more, at a place or at the end."""
    at = at[0] if isinstance(at, list) else at
    at = len(sequence) if at is None else at
    return [*sequence[:at], x, *sequence[at:]]


@operator("SequenceErase", host=(1,))
def erase(node: Node, sequence: list[Tensor], at: Any = None) -> list[Tensor]:
    """Without the one at a place, or without the last."""
    at = at[0] if isinstance(at, list) else at
    at = (len(sequence) - 1 if at is None else at) % len(sequence)
    return [*sequence[:at], *sequence[at + 1 :]]


@operator("SequenceAt", host=(1,))
def at(node: Node, sequence: list[Tensor], place: Any) -> Tensor:
    """The one at a place."""
    return sequence[place[0] if isinstance(place, list) else place]


@operator("SequenceLength")
def length(node: Node, sequence: list[Tensor]) -> Tensor:
    """How many there are."""
    return torch.tensor(len(sequence))


@operator("SplitToSequence", host=(1,))
def split_to_sequence(node: Node, x: Tensor, lengths: Any = None) -> list[Tensor]:
    """Cut along an axis into pieces of given lengths, or of length 1."""
    axis = node.get("axis", 0)
    if lengths is None:
        pieces = x.split(1, axis)
        return list(pieces) if node.get("keepdims", 1) else [piece.squeeze(axis) for piece in pieces]
    return list(x.split(lengths, axis))


@operator("ConcatFromSequence")
def concat_from_sequence(node: Node, sequence: list[Tensor]) -> Tensor:
    """Joined along an axis that is there, or along a new one."""
    axis = node.get("axis")
    return torch.stack(sequence, axis) if node.get("new_axis", 0) else torch.cat(sequence, axis)
