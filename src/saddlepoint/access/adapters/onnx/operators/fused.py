"""Two operators in one, as onnxruntime's optimizer writes them: a product or convolution with what stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, operator
from saddlepoint.access.adapters.onnx.operators.convolution import conv
from saddlepoint.access.adapters.onnx.operators.elementwise import gemm

DOMAIN = "com.microsoft"


def _activated(name: str, x: Tensor, extra: Sequence[float]) -> Tensor:
    calls: dict[str, Any] = {
        "": lambda z: z,
        "Relu": torch.relu,
        "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh,
        "LeakyRelu": lambda z: functional.leaky_relu(z, extra[0]),
        "Clip": lambda z: z.clamp(extra[0], extra[1]),
        "HardSigmoid": lambda z: (extra[0] * z + extra[1]).clamp(0, 1),
    }
    return calls[name](x)


@operator("FusedConv", domain=DOMAIN)
def fused_conv(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, beside: Tensor | None = None
) -> Tensor:
    """A convolution, plus another tensor, through an activation."""
    out = conv(node, x, weight, bias)
    out = out if beside is None else out + beside
    return _activated(node.get("activation", ""), out, node.get("activation_params", []))


@operator("FusedGemm", domain=DOMAIN)
def fused_gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha a b + beta c through an activation."""
    extra = [node.get(f"activation_{name}") for name in ("alpha", "beta", "gamma")]
    return _activated(node.get("activation", ""), gemm(node, a, b, c), [e for e in extra if e is not None])


@operator("FusedMatMul", "TransposeMatMul", domain=DOMAIN)
def fused_matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """alpha a b, with axes of a and b swapped where asked."""
    a = _turned(a, node.get("transA", 0), node.get("transBatchA", 0))
    b = _turned(b, node.get("transB", 0), node.get("transBatchB", 0))
    return node.get("alpha", 1.0) * torch.matmul(a, b)


def _turned(x: Tensor, last: int, batch: int) -> Tensor:
    """The first axis as the last but one, then the last two axes swapped."""
    x = x.movedim(0, -2) if batch else x
    return x.transpose(-1, -2) if last and x.ndim > 1 else x
