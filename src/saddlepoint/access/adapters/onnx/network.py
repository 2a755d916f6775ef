"""A graph as a torch module: each node runs the torch operations of its operator, and slopes reach the input."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.onnx import operators  # noqa: F401  (registers what runs each operator)
from saddlepoint.access.adapters.onnx.graph import Graph
from saddlepoint.access.adapters.onnx.node import OPERATORS, Node, Operator, Run, Value
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError, SaddlepointError

ON_HOST = 4096
"""Constant integers up to so many stay on the CPU: shapes, axes, places."""


class Step(NamedTuple):
    """A node, what runs it, its inputs by name, those of them that are Python numbers, and names not used later."""

    node: Node
    run: Operator
    inputs: tuple[str, ...]
    numbers: dict[int, Any]
    done: tuple[str, ...]


class OnnxNetwork(nn.Module):
    """The part of a graph that leads from one input to one output; its other inputs are constants.

    Constants of floating point are parameters, so that the network can be moved, converted, and trained. What does
    not depend on the input is computed once.

    Raises:
        ModelError: an operator that is not known, or a name that is not in the graph.
    """

    def __init__(self, graph: Graph, source: str, output: str, given: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._unit: Tensor
        self.source, self.output = source, output
        known, nodes = _folded(graph, output, given)
        _all_known(nodes, known)
        self._names: dict[str, str] = {}
        self._host: dict[str, Value] = {}
        self.register_buffer("_unit", torch.zeros(0), persistent=False)
        needed = {name for node in nodes for name in uses(node)} | {output}
        for name in sorted(needed & known.keys()):
            self._keep(name, known[name], trainable=name in graph.constants)
        self._steps = _steps(nodes, known, output)

    def _keep(self, name: str, value: Value, trainable: bool) -> None:
        own = f"t{len(self._names)}"
        if not isinstance(value, Tensor) or (not value.is_floating_point() and value.numel() <= ON_HOST):
            self._host[name] = value
            return
        self._names[name] = own
        if value.is_floating_point():
            self.register_parameter(own, nn.Parameter(value, requires_grad=trainable))
        else:
            self.register_buffer(own, value)

    def forward(self, inputs: Mapping[str, Tensor]) -> Value:
        """The output for tensors by the names of the graph's free inputs."""
        env: dict[str, Value] = dict(inputs)
        env.update((name, getattr(self, own)) for name, own in self._names.items())
        env.update(self._host)
        device = next((v.device for v in inputs.values() if isinstance(v, Tensor)), self._unit.device)
        return _through(self._steps, env, device, self._unit.dtype)[self.output]

    def extra_repr(self) -> str:
        """The file, and how many nodes run."""
        return f"{self.source}, {len(self._steps)} nodes"


def _through(
    steps: Sequence[Step], env: dict[str, Value], device: torch.device, floating: torch.dtype
) -> dict[str, Value]:
    """``env`` with what the steps put out; what no later step uses is let go."""
    run = Run(device, floating, lambda graph, given: _subgraph(graph, {**env, **given}, device, floating))
    for step in steps:
        values: list[Value] = [env[name] if name else None for name in step.inputs]
        for at, number in step.numbers.items():
            values[at] = number
        for at in step.run.host:
            value = values[at] if at < len(values) else None
            if isinstance(value, Tensor):
                values[at] = value.tolist()
        if device.type != "cpu":
            values = _together(values, device)
        out = _answer(step, run, values)
        several = out if isinstance(out, tuple) else (out,)
        env.update((name, value) for name, value in zip(step.node.outputs, several, strict=False) if name)
        for name in step.done:
            env.pop(name, None)
    return env


def _answer(step: Step, run: Run, values: list[Value]) -> Value:
    try:
        return step.run.call(step.node, run, *values) if step.run.needs_run else step.run.call(step.node, *values)
    except SaddlepointError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError, NotImplementedError) as error:
        raise ModelError(f"{step.node.title} cannot be run on {_shapes(values)}: {first_line(error)}") from error


def _shapes(values: Sequence[Value]) -> str:
    return ", ".join(str(list(v.shape)) if isinstance(v, Tensor) else str(v) for v in values)


def _together(values: list[Value], device: torch.device) -> list[Value]:
    """All on the device, if one of them is there; shapes among themselves stay on the CPU."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    if all(v.device.type == "cpu" for v in tensors):
        return values
    return [v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for v in values]


def _subgraph(graph: Graph, env: dict[str, Value], device: torch.device, floating: torch.dtype) -> list[Value]:
    _all_known(graph.nodes, env)
    for name, value in graph.constants.items():
        widened = value.to(floating) if value.dtype == torch.float32 else value
        env[name] = widened.to(device) if value.is_floating_point() else value
    env = _through(_steps(graph.nodes, {}, None), env, device, floating)
    return [env[port.name] for port in graph.outputs]


def _steps(nodes: Sequence[Node], known: Mapping[str, Value], output: str | None) -> list[Step]:
    last: dict[str, int] = {}
    for i, node in enumerate(nodes):
        last.update(dict.fromkeys(uses(node), i))
    done: list[list[str]] = [[] for _ in nodes]
    for name, i in last.items():
        if output is not None and name != output and name not in known:
            done[i].append(name)
    return [_step(node, known, tuple(names)) for node, names in zip(nodes, done, strict=True)]


def _step(node: Node, known: Mapping[str, Value], done: tuple[str, ...]) -> Step:
    run = OPERATORS[node.domain, node.op]
    there = [at for at in run.host if at < len(node.inputs) and node.inputs[at] in known]
    numbers = {at: known[node.inputs[at]].tolist() for at in there if isinstance(known[node.inputs[at]], Tensor)}
    return Step(node, run, node.inputs, numbers, done)


def uses(node: Node) -> Iterator[str]:
    """The names a node needs, those that its subgraphs take from outside among them."""
    yield from (name for name in node.inputs if name)
    for value in node.attributes.values():
        if isinstance(value, Graph):
            yield from _outside(value)


RUNTIME = ("", "ai.onnx.ml", "ai.onnx.preview.training", "com.microsoft", "com.microsoft.nchwc")
"""Domains whose operators onnxruntime brings with it."""


def _outside(graph: Graph) -> set[str]:
    own = {*graph.constants, *(port.name for port in graph.inputs)}
    own |= {name for node in graph.nodes for name in node.outputs}
    used = {name for node in graph.nodes for name in uses(node)} | {port.name for port in graph.outputs}
    return used - own


def _all_known(nodes: Sequence[Node], known: Mapping[str, Value]) -> None:
    missing = [node for node in nodes if (node.domain, node.op) not in OPERATORS]
    if missing:
        more = sorted({node.op for node in missing} - {missing[0].op})
        also = f" (nor {', '.join(more)})" if more else ""
        foreign = next((node.domain for node in missing if node.domain not in RUNTIME), None)
        way = (
            "attack the file without slopes, as onnxruntime runs it, with --access scores or --access labels"
            if foreign is None
            else f"onnxruntime does not know {foreign} either: run the file by what does, and wrap that function,"
            " sp.wrap(function, access='scores')"
        )
        raise ModelError(
            f"{missing[0].title} (version {missing[0].opset}) is an operator that is not known here{also}: {way}"
        )


def _needed(nodes: Sequence[Node], output: str) -> list[Node]:
    """The nodes that lead to an output."""
    wanted, out = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.outputs):
            out.append(node)
            wanted.update(uses(node))
    return out[::-1]


def _folded(graph: Graph, output: str, given: Mapping[str, Tensor]) -> tuple[dict[str, Value], list[Node]]:
    """What is constant, computed, and the nodes that are left; a branch whose condition is constant takes its place."""
    known: dict[str, Value] = {**graph.constants, **given}
    left: list[Node] = []
    waiting = _needed(graph.nodes, output)
    while waiting:
        node = waiting.pop(0)
        if node.op == "If" and node.inputs[0] in known:
            chosen = node.get("then_branch" if bool(known[node.inputs[0]]) else "else_branch")
            known.update(chosen.constants)
            waiting = [*chosen.nodes, *_renamed(chosen, node), *waiting]
        elif _constant(node, known):
            with torch.no_grad():
                env = _through([_step(node, known, ())], dict(known), torch.device("cpu"), torch.float32)
            known.update((name, env[name]) for name in node.outputs if name in env)
        else:
            left.append(node)
    return known, _needed(left, output)


def _renamed(branch: Graph, node: Node) -> Iterator[Node]:
    for port, name in zip(branch.outputs, node.outputs, strict=True):
        yield Node("Identity", "", (port.name,), (name,), {}, node.opset)


def _constant(node: Node, known: Mapping[str, Value]) -> bool:
    run = OPERATORS.get((node.domain, node.op))
    if run is None or run.random or any(isinstance(v, Graph) for v in node.attributes.values()):
        return False
    return all(name in known for name in node.inputs if name)


@dc.dataclass(frozen=True)
class Ending:
    """The name of the scores in a graph, and whether a softmax or sigmoid that stood behind them was left out."""

    name: str
    bare: bool


def bare_scores(graph: Graph, output: str) -> Ending:
    """The logits that a last softmax (or the one logit that a last sigmoid) is computed from, or the output itself.

    What they are largest in is the same, and they do not saturate.
    """
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(output)
    while node is not None and node.op == "Identity":
        node = makers.get(node.inputs[0])
    port = next((p for p in graph.outputs if p.name == output), None)
    rank = None if port is None or port.shape is None else len(port.shape)
    last = node is not None and node.get("axis", 1 if node.opset < 13 else -1) in {1, -1}
    if node is not None and node.op in {"Softmax", "LogSoftmax"} and rank == 2 and last:
        return Ending(node.inputs[0], True)
    if node is not None and node.op == "Sigmoid" and port is not None and port.shape and port.shape[1:] == (1,):
        return Ending(node.inputs[0], True)
    return Ending(output, False)
