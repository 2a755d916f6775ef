"""One node of a graph, and the register of what runs it."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Value = Any
"""A tensor, a list of tensors (a sequence), or None where an optional input or output is left out."""


@dc.dataclass(frozen=True)
class Node:
    """One node: ``op``, its ``attributes`` as Python values, and the version of the operators it is written in.

    Tensors among the attributes are torch tensors, subgraphs are ``Graph``.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    domain: str = ""

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or ``default`` where the file leaves it out."""
        return self.attributes.get(name, default)

    @property
    def title(self) -> str:
        """How errors call it.

        >>> Node("Conv", "stem", (), ("y",), {}, 13).title
        "Conv 'stem'"
        """
        domain = f"{self.domain}." if self.domain else ""
        return (
            f"{domain}{self.op} {self.name or self.outputs[0]!r}"
            if not self.name
            else f"{domain}{self.op} {self.name!r}"
        )


@dc.dataclass(frozen=True)
class Run:
    """What holds for one pass through a graph: the device, the type that stands for float32, and how to run a subgraph.

    ``floating`` is float64 where the network was converted to it, so that no constant in a file narrows it again.
    """

    device: torch.device
    floating: torch.dtype
    subgraph: Callable[[Any, Mapping[str, Value]], list[Value]]

    def dtype(self, code: int) -> torch.dtype:
        """The torch type of an ONNX type number."""
        return self.floating if code == FLOAT else TYPES[code]


FLOAT = 1
TYPES: dict[int, torch.dtype] = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.int32, 5: torch.int16, 6: torch.int32, 7: torch.int64,
    9: torch.bool, 10: torch.float16, 11: torch.float64, 12: torch.int64, 13: torch.int64, 16: torch.bfloat16,
}  # fmt: skip
"""Types by their numbers in the format; unsigned ones that torch cannot compute with are taken one size larger."""


@dc.dataclass(frozen=True)
class Operator:
    """What runs a node: ``call(node, *inputs)``, or ``call(node, run, *inputs)`` where ``needs_run``.

    Inputs whose position is in ``host`` (all of them for None) are handed over as Python numbers and lists: shapes,
    axes, bounds.
    """

    call: Callable[..., Value]
    host: tuple[int, ...]
    needs_run: bool
    random: bool


OPERATORS: dict[tuple[str, str], Operator] = {}
"""By domain ("" for ONNX's own) and name."""


def operator(
    *names: str, host: tuple[int, ...] = (), needs_run: bool = False, random: bool = False, domain: str = ""
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Register what runs the operators ``names``."""

    def register(call: Callable[..., Value]) -> Callable[..., Value]:
        for name in names:
            OPERATORS[domain, name] = Operator(call, host, needs_run, random)
        return call

    return register


def integral(x: Tensor) -> bool:
    """Whether a tensor holds integers by its type."""
    return not x.is_floating_point() and not x.is_complex() and x.dtype != torch.bool
