"""A network as a list of operations whose bounds are known, or a refusal that names what is not known.

The network is traced symbolically (torch.fx), the modules of torch.nn being leaves. A module is known by its exact
type, so that a subclass is never taken for its parent.
"""

from __future__ import annotations

import dataclasses as dc
import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from saddlepoint.access.foreign import made_from
from saddlepoint.access.model import Model, Normalize
from saddlepoint.certificates import known
from saddlepoint.certificates.affine import Conv
from saddlepoint.certificates.error import CertificateError
from saddlepoint.certificates.interval import Operation

PROBES = 3
"""How many equal samples show which axis is that of the samples."""
_SHAPE_ONLY: frozenset[Any] = frozenset({"size", "dim", "numel", "ndimension", getattr, len})
_ALIAS: frozenset[Any] = frozenset(
    {"view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "unflatten"}
    | {torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, functional.dropout}
)
_ALIAS_MODULES = (nn.Flatten, nn.Identity, nn.Dropout, nn.Dropout2d, nn.Unflatten)
_IN_PLACE: frozenset[Any] = frozenset(
    {operator.iadd, operator.isub, operator.imul, operator.itruediv, torch.relu_, functional.relu_}
    | {"add_", "sub_", "mul_", "div_", "relu_"}
)


@dc.dataclass(frozen=True)
class Node:
    """An operation and the values it reads: value 0 is the input of the graph, value i + 1 what node i gives."""

    operation: Operation
    inputs: tuple[int, ...]


@dc.dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation; value ``output`` holds the logits, computed in ``dtype`` on ``device``.

    ``single`` says that there is one logit, whose sign decides between two classes; ``blur`` times 1 + the
    largest logit is the difference of two that what stands behind them (a softmax, a coarser precision) may round away.
    """

    nodes: tuple[Node, ...]
    output: int
    dtype: torch.dtype
    device: torch.device
    single: bool
    blur: float


def trace(model: Model, x: Tensor) -> Graph:
    """The graph of a model for inputs like x [N, *D]. The caller holds ``Model.quiet`` and has asked the model once.

    A softmax at the end, or a sigmoid of a single probability, is left out: it keeps the order of the logits.

    Raises:
        CertificateError: something no bound is known for.
    """
    network, dtype, device = model.network, model.dtype or x.dtype, model.device or x.device
    if not isinstance(network, nn.Module):
        kind = type(network).__name__
        raise CertificateError(f"a certificate needs the layers of the network; {kind} is no torch.nn.Module")
    if dtype not in (torch.float32, torch.float64):
        raise CertificateError(f"the network computes in {dtype}, too coarse to bound: certify model.float()")
    if (origin := made_from(network)) is not None:
        raise CertificateError(f"a certificate needs the layers of a torch module, which {origin} does not show")
    _refuse_hidden(network)
    traced = _traced(network)
    reader = _Reader(traced, x[:1].to(device, dtype).repeat(PROBES, *[1] * (x.ndim - 1)))
    reader.normalize(model.normalize)
    answer, cut_off = _before_softmax(traced, model.output)
    output, worth = reader.read(answer)
    if worth.ndim != 2 or (cut_off == "sigmoid" and worth.shape[1] > 1):
        raise CertificateError(f"the network answers {list(worth.shape)} to {PROBES} inputs; expected logits [N, K]")
    coarser = max(torch.finfo(dtype).eps, torch.finfo(x.dtype).eps)
    blur = 16 * coarser if cut_off or x.dtype != dtype else 0.0
    return Graph(tuple(reader.nodes), output, dtype, device, worth.shape[1] == 1, blur)


def _traced(network: nn.Module) -> fx.GraphModule:
    try:
        return fx.symbolic_trace(network)
    except Exception as error:  # whatever the forward of a stranger's module raises when its input is symbolic
        raise CertificateError(
            f"{type(network).__name__} cannot be traced ({type(error).__name__}: {error}): a certificate needs a"
            " forward without branches or loops that depend on the values of the input"
        ) from error


def _refuse_hidden(network: nn.Module) -> None:
    for name, module in network.named_modules():
        where = f"{name or 'the network'} ({type(module).__name__})"
        if module._forward_hooks or module._forward_pre_hooks:
            raise CertificateError(f"{where} has forward hooks, which change what it computes unseen: remove them")
        if "forward" in vars(module):
            raise CertificateError(f"{where} has a forward of its own that replaces that of its class: subclass it")


def _before_softmax(traced: fx.GraphModule, output: str) -> tuple[fx.Node, str]:
    """The node of the logits, and what is cut off behind it."""
    (end,) = (node for node in traced.graph.nodes if node.op == "output")
    answer = end.args[0]
    if not isinstance(answer, fx.Node):
        raise CertificateError(f"the network answers a {type(answer).__name__}; expected one tensor of logits")
    kind, dim = answer.target, answer.kwargs.get("dim", answer.args[1] if len(answer.args) > 1 else None)
    if answer.op == "call_module":
        module = traced.get_submodule(str(answer.target))
        kind, dim = type(module), vars(module).get("dim")
    if kind in _SOFTMAXES and dim in (1, -1):
        return _first(answer), "softmax"
    if kind in _SIGMOIDS and output in ("probabilities", "sigmoid"):
        return _first(answer), "sigmoid"
    return answer, ""


_SOFTMAXES: frozenset[Any] = frozenset(
    {nn.Softmax, nn.LogSoftmax, "softmax", "log_softmax", torch.softmax, torch.log_softmax}
    | {functional.softmax, functional.log_softmax}
)
_SIGMOIDS: frozenset[Any] = frozenset({nn.Sigmoid, "sigmoid", torch.sigmoid, functional.sigmoid})


def _first(node: fx.Node) -> fx.Node:
    if not node.args or not isinstance(node.args[0], fx.Node):
        raise CertificateError(f"node {node.name} names its input by keyword: pass it first")
    return node.args[0]


class _Reader:
    """Reads a traced graph node by node: its operation, and its worth for a probe of a few equal samples."""

    def __init__(self, traced: fx.GraphModule, probe: Tensor) -> None:
        self.traced, self.probe = traced, probe
        self.nodes: list[Node] = []
        self.worth: dict[fx.Node, Any] = {}
        self.value: dict[fx.Node, int] = {}

    def normalize(self, normalize: Any) -> None:
        """The normalization of the wrapper as the first two nodes."""
        if normalize is None:
            return
        if not isinstance(normalize, Normalize):
            raise CertificateError("the normalization of the model is no mean and std: no bound is known for it")
        one = self.probe[:1]
        mean, std = (normalize._like(v, one, d) for v, d in ((normalize.mean, 0.0), (normalize.std, 1.0)))
        self.nodes += [Node(known.scale(one, 1.0, -mean), (0,)), Node(known.scale(one, 1 / std, 0.0), (1,))]
        self.probe = normalize(self.probe)

    def read(self, answer: fx.Node) -> tuple[int, Tensor]:
        """Reads all nodes up to the answer. Returns its value and its worth for the probe."""
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "get_attr":
                self.worth[node] = operator.attrgetter(str(node.target))(self.traced)
            elif node.op != "output":
                self._step(node)
            if node is answer:
                break
        if answer not in self.value:
            raise CertificateError("the answer of the network does not depend on its input")
        return self.value[answer], self.worth[answer]

    def _placeholder(self, node: fx.Node) -> None:
        if not self.value:
            self.worth[node], self.value[node] = self.probe, len(self.nodes)
        elif node.args:
            self.worth[node] = node.args[0]
        else:
            raise CertificateError(f"the network has a second input, {node.target}: certify a network of one")

    def _step(self, node: fx.Node) -> None:
        if all(n not in self.value for n in node.all_input_nodes) or self._is_shape(node):
            self.worth[node] = self._evaluate(node)
            return
        module = self.traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        self._refuse_overwriting(node, module)
        try:
            self._append(node, module)
        except CertificateError as reason:
            what = _name(node.target) if module is None else type(module).__name__
            raise CertificateError(
                f"no bound is known for {what} (node {node.name}): {reason}; replace it, or certify the smoothed"
                " classifier, which may be anything (saddlepoint.certificates.smoothed)"
            ) from None
        worth = self.worth[node] = self._evaluate(node)
        if not isinstance(worth, Tensor) or worth.ndim < 2 or len(worth) != PROBES:
            raise CertificateError(f"node {node.name} does not keep the samples as first axis: no bound is known")

    def _append(self, node: fx.Node, module: nn.Module | None) -> None:
        varies = [isinstance(a, fx.Node) and a in self.value for a in node.args]
        sources = [a for a, v in zip(node.args, varies, strict=True) if v and isinstance(a, fx.Node)]
        if set(sources) != {n for n in node.all_input_nodes if n in self.value}:
            raise CertificateError("the input reaches it by a keyword or in a list, which is not understood")
        read = tuple(self.value[s] for s in sources)
        before = self.nodes[-1].operation if self.nodes and read == (len(self.nodes),) else None
        alone = len(sources[0].users) == 1
        if module is not None and isinstance(before, Conv) and alone and known.is_batch_norm(module):
            self.nodes[-1] = Node(known.fold(before, module), self.nodes[-1].inputs)
        else:
            self.nodes.append(Node(self._operation(node, module, varies), read))
        self.value[node] = len(self.nodes)

    def _operation(self, node: fx.Node, module: nn.Module | None, varies: list[bool]) -> Operation:
        args: Any
        kwargs: Any
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: self.worth[n])
        if module is not None:
            return known.of_module(module, args[0])
        return known.of_call(node.target, list(args), dict(kwargs), varies)

    def _is_shape(self, node: fx.Node) -> bool:
        if node.op == "call_module" or node.target not in _SHAPE_ONLY:
            return False
        return node.target is not getattr or node.args[1] in ("shape", "ndim")

    def _evaluate(self, node: fx.Node) -> Any:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: _copied(self.worth[n]))
        if node.op == "call_module":
            return self.traced.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)

    def _refuse_overwriting(self, node: fx.Node, module: nn.Module | None) -> None:
        """A layer that works in place must not change what others read."""
        inplace = node.kwargs.get("inplace", False) if module is None else vars(module).get("inplace", False)
        read: Any = node.args[0] if node.args and (inplace or node.target in _IN_PLACE) else None
        while isinstance(read, fx.Node):
            if sum(not self._is_shape(user) for user in read.users) > 1:
                raise CertificateError(f"node {node.name} overwrites {read.name}, which others read: use inplace=False")
            read = read.args[0] if read.args and self._is_alias(read) else None

    def _is_alias(self, node: fx.Node) -> bool:
        """Whether a node may give the memory it reads."""
        if node.op == "call_module":
            module = self.traced.get_submodule(str(node.target))
            return isinstance(module, _ALIAS_MODULES) or bool(vars(module).get("inplace", False))
        return node.target in _ALIAS or node.target in _IN_PLACE or bool(node.kwargs.get("inplace", False))


def _copied(worth: Any) -> Any:
    return worth.clone() if isinstance(worth, Tensor) else worth


def _name(target: Any) -> str:
    return target if isinstance(target, str) else str(getattr(target, "__name__", target))
