"""From an ONNX file to a classifier: which input, which output, batches, and a check of the answers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.onnx.graph import Graph, Port, read_graph
from saddlepoint.access.adapters.onnx.network import OnnxNetwork, bare_scores, uses
from saddlepoint.access.adapters.onnx.operators.quantization import rounded
from saddlepoint.access.adapters.onnx.runtime import Session
from saddlepoint.access.foreign import Foreign
from saddlepoint.errors import ModelError, OptionError

Access = Literal["labels", "scores", "gradients"]
Asked = Callable[[dict[str, Tensor]], Tensor]
TOLERANCE = 1e-3
"""How far torch and onnxruntime may be apart, as a share of the largest score."""
QUANTIZED_TOLERANCE = 0.05
"""The same where the graph rounds: a step of rounding may fall either way."""
SHAPES = ("Shape", "Size")
"""Operators whose answers depend on shapes alone."""
BRANCHES = {"If": 1, "Loop": 2}
"""Operators that go one way or another, by so many of their first inputs."""
ROUNDS = ("Quantize", "QLinear", "QGemm", "QAttention")
"""Words in the names of operators that round to integers."""


def open_onnx(spec: str, access: Access | None = None) -> nn.Module:
    """The classifier in ``FILE.onnx``, or ``FILE.onnx?output=NAME&input=NAME&OTHER_INPUT=NUMBER``."""
    path, _, query = spec.partition("?")
    said = dict(parse_qsl(query, keep_blank_values=True))
    source, output = said.pop("input", None), said.pop("output", None)
    try:
        constants = {name: float(value) for name, value in said.items()}
    except ValueError as error:
        raise OptionError(
            f"{spec}: {error}; after ? stand input=NAME, output=NAME, and numbers for other inputs"
        ) from None
    return from_onnx(Path(path), input=source, output=output, constants=constants, access=access)


def from_onnx(
    path: Path | str,
    *,
    input: str | None = None,
    output: str | None = None,
    constants: Mapping[str, Tensor | float] | None = None,
    access: Access | None = None,
) -> nn.Module:
    """A classifier from an ONNX file: a module that takes inputs [N, *D] and gives scores [N, K].

    Args:
        path: the file.
        input: the input that is attacked; by default the only one, or the first that holds floating-point numbers.
        output: the output with the scores; by default the first of floating-point numbers with two axes, else the
            first of these. A softmax or sigmoid at its end is left out: the logits before it do not saturate.
        constants: values of the other inputs; a number fills the shape that the file declares (free axes: 1). Inputs
            that are not named are an error.
        access: "scores" or "labels" lets onnxruntime run the file as a black box; else torch does, with slopes.

    A batch axis that the file fixes is no limit: inputs are mapped over it. Images [N, C, H, W] are turned to channels
    last where the file declares that; where it takes bytes, x in [0, 1] goes in as 255 x, rounded, with a slope that
    passes the rounding. At the first batch the answers are compared with onnxruntime's.

    Raises:
        ModelError: damaged file, unknown operator or name, answers that differ.
    """
    path = Path(path)
    graph = read_graph(path)
    port = _input(graph, input, path)
    named = _output(graph, output, path)
    given = _given(graph, port, constants or {}, path)
    identity = _identity(graph, path, port, named, given)
    if access in {"labels", "scores"}:
        session = Session(path, named.name)
        return Batched(lambda inputs: session({**_as_declared(port, inputs), **given}), path, port, identity, None)
    network = _network(graph, path, port, bare_scores(graph, named.name).name, given)
    mixes = any("DynamicQuantize" in node.op for node in graph.nodes)  # rounds by the range of a whole batch
    check = _Check(graph, path, port, named, given)
    return Batched(network, path, port, identity, check, mixes, branches_on(graph, {port.name}))


def _identity(graph: Graph, path: Path, port: Port, named: Port, given: Mapping[str, Tensor]) -> str:
    """SHA-256 of the file, its tensors (which may lie in other files), and what is taken of it."""
    sha = hashlib.sha256(path.read_bytes())
    sha.update(f"{port.name} {named.name}".encode())
    for name, tensor in sorted({**graph.constants, **given}.items()):
        sha.update(name.encode())
        sha.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return sha.hexdigest()


def _input(graph: Graph, name: str | None, path: Path) -> Port:
    names = ", ".join(repr(port.name) for port in graph.inputs)
    if name is not None:
        found = [port for port in graph.inputs if port.name == name]
        if not found:
            raise ModelError(f"{path} has no input {name!r}; it has {names}")
        return found[0]
    floating = [port for port in graph.inputs if port.type is not None and port.type.is_floating_point]
    pictures = [port for port in graph.inputs if port.type == torch.uint8 and len(port.shape or ()) == 4]
    if not floating and pictures:
        return pictures[0]
    if not floating:
        raise ModelError(
            f"{path} takes no floating-point numbers ({names or 'no inputs'}), so there is nothing to change by a"
            " little: cut the graph behind the layer that embeds what goes in"
        )
    return floating[0]


def _output(graph: Graph, name: str | None, path: Path) -> Port:
    if name is not None:
        inside = {n for node in graph.nodes for n in node.outputs}
        found = [port for port in graph.outputs if port.name == name]
        if not found and name not in inside:
            raise ModelError(f"{path} has no output {name!r}; it has {', '.join(repr(p.name) for p in graph.outputs)}")
        return found[0] if found else Port(name, None, None)
    numbers = [port for port in graph.outputs if port.type is None or port.type.is_floating_point]
    if not numbers:
        raise ModelError(
            f"{path} answers {', '.join(repr(port.name) for port in graph.outputs)}, of whole numbers: labels, and no"
            " scores. Name a tensor inside of the graph that holds scores, behind the file's name: ?output=NAME"
        )
    scores = [port for port in numbers if port.shape is not None and len(port.shape) == 2]
    return (scores or numbers)[0]


def _given(graph: Graph, port: Port, constants: Mapping[str, Tensor | float], path: Path) -> dict[str, Tensor]:
    others = {other.name: other for other in graph.inputs if other.name != port.name}
    if missing := others.keys() - constants.keys():
        raise ModelError(
            f"{path} takes {', '.join(map(repr, sorted(missing)))} beside {port.name!r}: give each a value, such as"
            f" {path.name}?{sorted(missing)[0]}=0"
        )
    if unknown := constants.keys() - others.keys():
        raise ModelError(f"{path} has no other input {sorted(unknown)[0]!r}; it has {', '.join(others) or 'none'}")
    return {name: _filled(others[name], value) for name, value in constants.items()}


def _filled(port: Port, value: Tensor | float) -> Tensor:
    if isinstance(value, Tensor):
        return value
    return torch.full([n or 1 for n in port.shape or ()], value, dtype=port.type or torch.float32)


def _network(graph: Graph, path: Path, port: Port, output: str, given: Mapping[str, Tensor]) -> nn.Module:
    """The graph by torch's operations, asked with numbers in [0, 1] where its input takes bytes."""
    network = OnnxNetwork(graph, path.name, output, given)
    return Bytes(network, port.name) if port.type == torch.uint8 else network


class Bytes(nn.Module):
    """A network whose input ``name`` takes 0..255, asked with numbers in [0, 1]; slopes pass the rounding."""

    def __init__(self, network: Asked, name: str) -> None:
        super().__init__()
        self.network, self.name = network, name

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """The answer, with the input multiplied and rounded."""
        return self.network({**inputs, self.name: rounded(inputs[self.name] * 255)})


def _as_declared(port: Port, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """What onnxruntime is given: bytes where the file takes bytes."""
    if port.type != torch.uint8:
        return inputs
    return {**inputs, port.name: (inputs[port.name] * 255).round().to(torch.uint8)}


def branches_on(graph: Graph, names: set[str]) -> bool:
    """Whether a branch or a loop of the graph depends on the numbers of ``names``, not on their shapes alone."""
    led = set(names)
    for node in graph.nodes:
        if node.op in SHAPES or led.isdisjoint(uses(node)):
            continue
        if not led.isdisjoint(node.inputs[: BRANCHES.get(node.op, 0)]):
            return True
        inner = [value for value in node.attributes.values() if isinstance(value, Graph)]
        if any(branches_on(one, led | {port.name for port in one.inputs}) for one in inner):
            return True
        led |= set(node.outputs)
    return False


class Batched(Foreign):
    """What takes whole batches, from what takes the batches that a file fixes.

    The first batch tells: all at once if that gives each sample the answer it has alone, else mapped over samples
    (``torch.vmap``), else one after the other, as where the graph ``branches`` on what goes in. A file that fixes no
    batch is taken at its word, unless it ``mixes`` samples.
    """

    made_from = "an ONNX file"

    def __init__(
        self,
        network: Asked,
        path: Path,
        port: Port,
        identity: str,
        check: _Check | None,
        mixes: bool = False,
        branches: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.path, self.port, self.identity, self.check = network, path, port, identity, check
        self.fixed = (port.shape or (None,))[0]
        self.last, self.tried = _channels_last(port), False
        self.way: str | None = None if self.fixed or check is None or mixes else "at once"
        if self.fixed and branches:
            self.way = "in turn"

    def forward(self, x: Tensor) -> Tensor:
        """Scores [N, K] of x [N, *D]."""
        came = list(x.shape[1:])
        x = x.movedim(1, -1) if self.last and x.ndim == 4 and x.shape[1] == self.last != x.shape[-1] else x
        if not self.tried:
            self._try(x, came)
            self.tried = True
        if self.check is not None:
            self.check(self._one, x[: self.fixed or 1])
            self.check = None
        if self.way is None:
            self.way = self._found(x)
        return self._by(self.way, x)

    @property
    def _declared(self) -> str:
        shape = ", ".join("any" if n is None else str(n) for n in (self.port.shape or ())[1:])
        return f"{self.path} takes samples [{shape}], as its input {self.port.name!r} is declared; those given are"

    def _try(self, x: Tensor, came: list[int]) -> None:
        """Some graphs run on other sizes than they declare; equally many numbers of another shape would be misread."""
        fits, way_out = _fits(self.port, x), _remedy(self.port, self.last) if x.ndim == 4 else ""
        if not fits and math.prod(came) == math.prod(n or 0 for n in (self.port.shape or ())[1:]):
            raise ModelError(f"{self._declared} {came}{way_out}")
        try:
            with torch.no_grad():
                self._one(x[:1].expand(self.fixed or 1, *x.shape[1:]))
        except ModelError as error:
            raise ModelError(f"{self._declared} {came}{'' if fits else way_out}: {error}") from error

    def _one(self, x: Tensor) -> Tensor:
        return self.network({self.port.name: x})

    def _by(self, way: str, x: Tensor) -> Tensor:
        if way == "at once":
            return self._one(x)
        size = self.fixed or 1
        short = -len(x) % size
        groups = torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) if short else x
        groups = groups.unflatten(0, (-1, size))
        if way == "mapped":
            out = torch.vmap(self._one, randomness="different")(groups)
        else:
            out = torch.stack([self._one(group) for group in groups])
        return out.flatten(0, 1)[: len(x)]

    def _found(self, x: Tensor) -> str:
        """The fastest way that answers two batches of the fixed size as one after the other does.

        The second is darker, so that its range, its mean and its deviation are others.
        """
        size = self.fixed or 1
        with torch.no_grad():
            other = x.flip(-1) / 2 + x.abs().amax() / 10
            two = torch.cat([torch.cat([one] * size)[:size] for one in (x, other)]).detach()
            right = self._by("in turn", two)
            for way in ("at once", "mapped"):
                try:
                    if self._agree(self._by(way, two), right):
                        return way
                except (ModelError, RuntimeError, NotImplementedError):
                    continue
        return "in turn"

    @staticmethod
    def _agree(a: Tensor, b: Tensor) -> bool:
        return a.shape == b.shape and bool((a - b).abs().max() <= 1e-4 * b.abs().max().clamp(min=1e-6))


def _fits(port: Port, x: Tensor) -> bool:
    """Whether samples have the shape that a file declares, as far as it does."""
    if port.shape is None:
        return True
    same = all(own in {None, came} for own, came in zip(port.shape[1:], x.shape[1:], strict=False))
    return len(port.shape) == x.ndim and same


def _remedy(port: Port, last: int | None) -> str:
    """What brings images to the declared shape."""
    shape = (port.shape or ())[1:]
    channels, *sides = (shape[-1], *shape[:-1]) if last else shape
    if len(sides) != 2 or channels not in {1, 3} or None in sides:
        return ""
    size = str(sides[0]) if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"
    color = "rgb" if channels == 3 else "gray"
    return f" (behind the name of a folder or archive of images, ?size={size}&color={color} brings them there)"


def _channels_last(port: Port) -> int | None:
    """How many channels stand last, where a file declares images [N, H, W, C]."""
    shape = port.shape or ()
    if len(shape) == 4 and shape[3] in {1, 3, 4} and shape[1] not in {1, 3, 4}:
        return shape[3]
    return None


class _Check:
    """Compares the answers to a first batch with onnxruntime's, where that is installed."""

    def __init__(self, graph: Graph, path: Path, port: Port, named: Port, given: Mapping[str, Tensor]) -> None:
        self.graph, self.path, self.port, self.named, self.given = graph, path, port, named, given

    def __call__(self, one: Callable[[Tensor], Tensor], x: Tensor) -> None:
        if len(x) != (self.port.shape or (None,))[0] and self.port.shape and self.port.shape[0]:
            x = x.expand(self.port.shape[0], *x.shape[1:])
        try:
            session = Session(self.path, self.named.name)
            right = session({**_as_declared(self.port, {self.port.name: x}), **self.given})
        except ModelError:  # not installed, or it cannot run these: torch stands alone
            return
        whole = _network(self.graph, self.path, self.port, self.named.name, self.given)
        with torch.no_grad():
            own = whole.to(x.device, torch.float32)({self.port.name: x.float() if x.is_floating_point() else x})
        rounds = any(word in node.op for node in self.graph.nodes for word in ROUNDS)
        bound = QUANTIZED_TOLERANCE if rounds else TOLERANCE
        if not bool(right.isfinite().all()):
            raise ModelError(f"{self.path} answers NaN or infinity to the first sample, in onnxruntime too")
        gap = float((own.to(right.dtype) - right).abs().max())
        if own.shape != right.shape or not gap <= bound * max(float(right.abs().max()), 0.01):
            raise ModelError(
                f"{self.path}: torch and onnxruntime answer differently to the first sample (by {gap:.2g}; scores go up"
                f" to {float(right.abs().max()):.2g}): attack it as a black box, with --access scores, and report this"
            )
