"""From an ONNX file to nodes and tensors that torch can work with."""

from __future__ import annotations

import dataclasses as dc
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import FLOAT, TYPES, Node
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError

INSTALL = "reading ONNX files needs the onnx package: pip install 'saddlepoint[onnx]'"
NEWEST = 28
"""The newest version of the operators whose standard was looked at."""


@dc.dataclass(frozen=True)
class Port:
    """An input or output of a graph: its name, number type, and shape with None where it is free."""

    name: str
    type: torch.dtype | None
    shape: tuple[int | None, ...] | None


@dc.dataclass(frozen=True)
class Graph:
    """A graph: constant tensors by name, nodes in the order they run, and what goes in and out."""

    constants: dict[str, Tensor]
    nodes: tuple[Node, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def read_graph(path: Path) -> Graph:
    """The graph of a file, with the functions that the file defines put in place of their calls.

    Raises:
        ModelError: the onnx package, the file or a part of it is missing, or it is no ONNX file.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError(INSTALL) from error
    if not path.is_file():
        raise ModelError(f"no file at {path}")
    try:
        model = onnx.load(str(path))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelError(f"{path} is no whole ONNX file: {first_line(error)}") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no whole ONNX file: there is no node in it")
    return parse(model)


def parse(model: Any) -> Graph:
    """The graph of an ``onnx.ModelProto``."""
    import onnx.inliner

    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    versions = {entry.domain if entry.domain != "ai.onnx" else "": entry.version for entry in model.opset_import}
    if versions.get("", 0) > NEWEST:
        raise ModelError(f"the file is written in operators of version {versions['']}; known are 7 to {NEWEST}")
    return _graph(model.graph, versions)


def _graph(graph: Any, versions: dict[str, int]) -> Graph:
    constants = {tensor.name: _tensor(tensor) for tensor in graph.initializer}
    constants.update((sparse.values.name, _dense(sparse)) for sparse in graph.sparse_initializer)
    return Graph(
        constants=constants,
        nodes=tuple(_node(node, versions) for node in graph.node),
        inputs=tuple(_port(value) for value in graph.input if value.name not in constants),
        outputs=tuple(_port(value) for value in graph.output),
    )


def _node(node: Any, versions: dict[str, int]) -> Node:
    domain = "" if node.domain == "ai.onnx" else node.domain
    return Node(
        op=node.op_type,
        name=node.name,
        inputs=tuple(node.input),
        outputs=tuple(node.output),
        attributes={a.name: _attribute(a, versions) for a in node.attribute},
        opset=versions.get(domain, 1),
        domain=domain,
    )


def _attribute(attribute: Any, versions: dict[str, int]) -> Any:
    import onnx

    kind, value = attribute.type, onnx.helper.get_attribute_value(attribute)
    kinds = onnx.AttributeProto
    if kind == kinds.TENSOR:
        return _tensor(value)
    if kind == kinds.SPARSE_TENSOR:
        return _dense(value)
    if kind == kinds.GRAPH:
        return _graph(value, versions)
    if kind == kinds.STRING:
        return value.decode()
    if kind == kinds.STRINGS:
        return [one.decode() for one in value]
    return list(value) if kind in {kinds.INTS, kinds.FLOATS} else value


def _tensor(proto: Any) -> Tensor:
    """A tensor of its own memory; numbers that torch cannot compute with are taken one size larger."""
    import onnx

    array = onnx.numpy_helper.to_array(proto)
    if array.dtype.kind in "OUS":
        raise ModelError(f"the tensor {proto.name!r} of the file holds text, which torch has no type for")
    if proto.data_type not in TYPES:
        return torch.from_numpy(array.astype(np.float32))
    if array.dtype.kind == "V" or array.dtype.name == "bfloat16":
        return torch.from_numpy(array.astype(np.float32)).to(TYPES[proto.data_type])
    wide = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(array.dtype.name)
    return torch.from_numpy(np.array(array, dtype=wide, order="C"))


def _dense(sparse: Any) -> Tensor:
    values, places = _tensor(sparse.values), _tensor(sparse.indices)
    out = torch.zeros(list(sparse.dims), dtype=values.dtype)
    if places.ndim == 1:
        return out.flatten().index_copy(0, places, values).view(list(sparse.dims))
    return out.index_put(tuple(places.T), values)


def _port(value: Any) -> Port:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return Port(value.name, None, None)
    shape = None
    if kind.HasField("shape"):
        shape = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in kind.shape.dim)
    return Port(value.name, TYPES.get(kind.elem_type, TYPES[FLOAT]), shape)
