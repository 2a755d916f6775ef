"""Operators that onnxruntime's quantizer writes: on integers, between scales of their own (domain com.microsoft).

Each stands for an operator on real numbers: integers are restored, the operator runs, its answer is rounded again, and
slopes pass the rounding as if nothing were rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, operator
from saddlepoint.access.adapters.onnx.operators.convolution import average_pool, max_pool
from saddlepoint.access.adapters.onnx.operators.quantization import (
    by_columns,
    by_rows,
    dequantize,
    dynamic,
    qlinear_conv,
    quantize,
    quantized,
    real,
    shifted,
)

DOMAIN = "com.microsoft"
One = Callable[[Node, Tensor], Tensor]
operator("QuantizeLinear", domain=DOMAIN)(quantize)
operator("DequantizeLinear", domain=DOMAIN)(dequantize)


def _last(node: Node, call: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``call`` on channels at axis 1, wherever the node has them."""
    return call(x.movedim(-1, 1)).movedim(1, -1) if node.get("channels_last", 0) else call(x)


def _softmax(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 0 if node.get("opset", 13) < 13 else -1) % x.ndim
    if node.get("opset", 13) >= 13:
        return torch.softmax(x, axis)
    return torch.softmax(x.reshape(*x.shape[:axis], math.prod(x.shape[axis:])), -1).view(x.shape)


UNARY: dict[str, One] = {
    "QLinearSigmoid": lambda node, x: torch.sigmoid(x),
    "QLinearLeakyRelu": lambda node, x: functional.leaky_relu(x, node.get("alpha", 0.01)),
    "QLinearSoftmax": _softmax,
    "QLinearAveragePool": lambda node, x: _last(node, lambda z: average_pool(node, z), x),
    "QLinearGlobalAveragePool": lambda node, x: _last(node, lambda z: z.mean(list(range(2, z.ndim)), keepdim=True), x),
}
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"QLinearAdd": torch.add, "QLinearMul": torch.mul}


def _unary(call: One) -> Callable[..., Tensor]:
    def run(node: Node, x: Tensor, sx: Tensor, zx: Tensor | None, sy: Tensor, zy: Tensor | None = None) -> Tensor:
        return quantized(call(node, real(x, sx, zx)), sy, zy)

    return run


def _binary(call: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def run(
        node: Node, a: Tensor, sa: Tensor, za: Tensor | None, b: Tensor, sb: Tensor, zb: Tensor | None, sy: Tensor,
        zy: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        return quantized(call(real(a, sa, za), real(b, sb, zb)), sy, zy)

    return run


for _name, _call in UNARY.items():
    operator(_name, domain=DOMAIN)(_unary(_call))
for _name, _both in BINARY.items():
    operator(_name, domain=DOMAIN)(_binary(_both))


@operator("QLinearConcat", domain=DOMAIN)
def concat(node: Node, sy: Tensor, zy: Tensor, *parts: Tensor) -> Tensor:
    """Tensors of several scales, joined in one scale; ``parts`` are tensor, scale, zero, tensor, scale, zero, ..."""
    values = [real(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
    return quantized(torch.cat(values, node.get("axis")), sy, zy)


@operator("QLinearWhere", domain=DOMAIN)
def where(
    node: Node, condition: Tensor, a: Tensor, sa: Tensor, za: Tensor, b: Tensor, sb: Tensor, zb: Tensor, sy: Tensor,
    zy: Tensor,
) -> Tensor:  # fmt: skip
    """a where the condition holds, else b, in one scale."""
    return quantized(torch.where(condition, real(a, sa, za), real(b, sb, zb)), sy, zy)


@operator("QGemm", domain=DOMAIN)
def gemm(
    node: Node, a: Tensor, sa: Tensor, za: Tensor, b: Tensor, sb: Tensor, zb: Tensor, c: Tensor | None = None,
    sy: Tensor | None = None, zy: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """alpha a b + c of integers; in real numbers where no scale of the answer is given."""
    a = shifted(a, za)
    a, b = a.T if node.get("transA", 0) else a, b.T if node.get("transB", 0) else b
    total = a @ shifted(b, zb)
    total = total if c is None else total + c.double() / node.get("alpha", 1.0)
    out = node.get("alpha", 1.0) * total * sa.double().reshape(()) * by_columns(sb)
    return (out if sy is None else quantized(out, sy.double().reshape(()), zy)).to(sa.dtype)


@operator("MatMulIntegerToFloat", domain=DOMAIN)
def matmul_to_float(
    node: Node, a: Tensor, b: Tensor, sa: Tensor, sb: Tensor, za: Tensor | None = None, zb: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The product of integer matrices in real numbers, plus a bias."""
    out = (shifted(a, za, a.ndim - 2) @ shifted(b, zb) * by_rows(sa) * by_columns(sb)).to(sa.dtype)
    return out if bias is None else out + bias


@operator("DynamicQuantizeMatMul", domain=DOMAIN)
def dynamic_matmul(
    node: Node, a: Tensor, b: Tensor, sb: Tensor, zb: Tensor | None = None, bias: Tensor | None = None
) -> Tensor:
    """The product with an integer matrix of one that is quantized by its own range."""
    whole, scale, zero = dynamic(node, a)
    return matmul_to_float(node, whole, b, scale, sb, zero, zb, bias)


@operator("QLinearConv", domain=DOMAIN)
def conv(node: Node, x: Tensor, *rest: Tensor) -> Tensor:
    """The convolution of quantized tensors, with channels first or last."""
    return _last(node, lambda z: qlinear_conv(node, z, *rest), x)


@operator("NhwcMaxPool", domain=DOMAIN)
def last_max_pool(node: Node, x: Tensor) -> Tensor:
    """The largest of each window of images with channels last."""
    return max_pool(node, x.movedim(-1, 1).double()).movedim(1, -1).to(x.dtype)
