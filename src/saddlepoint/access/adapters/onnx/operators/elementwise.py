"""Operators that treat each entry by itself, and those that combine entries at the same place."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, integral, operator

PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "Abs": torch.abs, "Neg": torch.neg, "Ceil": torch.ceil, "Floor": torch.floor, "Round": torch.round,
    "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal, "Exp": torch.exp, "Log": torch.log, "Erf": torch.erf,
    "Sin": torch.sin, "Cos": torch.cos, "Tan": torch.tan, "Asin": torch.asin, "Acos": torch.acos, "Atan": torch.atan,
    "Sinh": torch.sinh, "Cosh": torch.cosh, "Tanh": torch.tanh, "Asinh": torch.asinh, "Acosh": torch.acosh,
    "Atanh": torch.atanh, "Sigmoid": torch.sigmoid, "Relu": torch.relu, "Sign": torch.sign, "Not": torch.logical_not,
    "IsNaN": torch.isnan, "Softplus": functional.softplus, "Softsign": functional.softsign, "Identity": lambda x: x,
    "HardSwish": functional.hardswish, "Mish": functional.mish, "BitwiseNot": torch.bitwise_not,
}  # fmt: skip
PAIRS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "And": torch.logical_and, "Or": torch.logical_or,
    "Xor": torch.logical_xor, "Equal": torch.eq, "Greater": torch.gt, "Less": torch.lt, "GreaterOrEqual": torch.ge,
    "LessOrEqual": torch.le, "BitwiseAnd": torch.bitwise_and, "BitwiseOr": torch.bitwise_or,
    "BitwiseXor": torch.bitwise_xor,
}  # fmt: skip


def _plain(call: Callable[[Tensor], Tensor]) -> Callable[[Node, Tensor], Tensor]:
    return lambda node, x: call(x)


def _pair(call: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node, Tensor, Tensor], Tensor]:
    def run(node: Node, a: Tensor, b: Tensor) -> Tensor:
        return call(a, _beside(node, a, b))

    return run


for _name, _call in PLAIN.items():
    operator(_name)(_plain(_call))
for _name, _both in PAIRS.items():
    operator(_name)(_pair(_both))


def _beside(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """``b`` laid out to be combined with ``a``: before version 7 it says itself at which axis it begins."""
    if node.opset >= 7 or not node.get("broadcast", 0) or b.ndim == 0:
        return b
    axis = node.get("axis", a.ndim - b.ndim) % a.ndim
    return b.reshape(*b.shape, *[1] * (a.ndim - axis - b.ndim))


@operator("Div")
def divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Division, toward zero for integers."""
    b = _beside(node, a, b)
    return torch.div(a, b, rounding_mode="trunc") if integral(a) else torch.div(a, b)


@operator("Pow")
def power(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """a ** b in the type of a."""
    return torch.pow(a, _beside(node, a, b)).to(a.dtype)


@operator("Mod")
def modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """The remainder, with the sign of b, or of a where ``fmod``."""
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


@operator("BitShift")
def shift(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """Bits moved to the left or to the right."""
    return torch.bitwise_left_shift(a, b) if node.get("direction") == "LEFT" else torch.bitwise_right_shift(a, b)


@operator("Max")
def maximum(node: Node, *xs: Tensor) -> Tensor:
    """The largest at each place."""
    return functools.reduce(torch.maximum, xs)


@operator("Min")
def minimum(node: Node, *xs: Tensor) -> Tensor:
    """The smallest at each place."""
    return functools.reduce(torch.minimum, xs)


@operator("Sum")
def total(node: Node, *xs: Tensor) -> Tensor:
    """The sum at each place."""
    return functools.reduce(torch.add, xs)


@operator("Mean")
def average(node: Node, *xs: Tensor) -> Tensor:
    """The mean at each place."""
    return functools.reduce(torch.add, xs) / len(xs)


@operator("Where")
def choose(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition holds, else b."""
    return torch.where(condition, a, b)


@operator("IsInf")
def infinite(node: Node, x: Tensor) -> Tensor:
    """Where an entry is infinite, of the signs asked for."""
    up = torch.isposinf(x) if node.get("detect_positive", 1) else torch.zeros_like(x, dtype=torch.bool)
    return up | torch.isneginf(x) if node.get("detect_negative", 1) else up


@operator("Clip", host=(1, 2))
def clip(node: Node, x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Entries brought into [low, high]; where low > high, to high."""
    low, high = node.get("min", low), node.get("max", high)
    if (low, high) == (0, 6) and x.is_floating_point():  # a ReLU6, whose backward pass takes a quarter of the time
        return functional.relu6(x)
    return x if low is None and high is None else torch.clamp(x, low, high)


@operator("LeakyRelu")
def leaky(node: Node, x: Tensor) -> Tensor:
    """x above 0, alpha x below."""
    return functional.leaky_relu(x, node.get("alpha", 0.01))


@operator("ThresholdedRelu")
def thresholded(node: Node, x: Tensor) -> Tensor:
    """x above alpha, else 0."""
    return torch.where(x > node.get("alpha", 1.0), x, torch.zeros_like(x))


@operator("Elu")
def elu(node: Node, x: Tensor) -> Tensor:
    """x above 0, alpha (exp x - 1) below."""
    return functional.elu(x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node: Node, x: Tensor) -> Tensor:
    """x above 0, alpha (exp(x / alpha) - 1) below."""
    return functional.celu(x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, x: Tensor) -> Tensor:
    """gamma x above 0, gamma alpha (exp x - 1) below."""
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    return gamma * torch.where(x > 0, x, alpha * torch.expm1(x.clamp(max=0)))


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    """alpha x + beta, brought into [0, 1]."""
    return (node.get("alpha", 0.2) * x + node.get("beta", 0.5)).clamp(0, 1)


@operator("Swish")
def swish(node: Node, x: Tensor) -> Tensor:
    """x sigmoid(alpha x)."""
    return x * torch.sigmoid(node.get("alpha", 1.0) * x)


@operator("Gelu")
def gelu(node: Node, x: Tensor) -> Tensor:
    """x times the normal distribution function of x, or its approximation by tanh."""
    return functional.gelu(x, approximate=node.get("approximate", "none"))


@operator("PRelu")
def parametric(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """x above 0, slope x below; before version 7 a slope for each channel (axis 1)."""
    if node.opset < 7 and slope.ndim == 1 and len(slope) > 1:
        slope = slope.view(-1, *[1] * (x.ndim - 2))
    return torch.where(x > 0, x, slope * x)


@operator("Shrink")
def shrink(node: Node, x: Tensor) -> Tensor:
    """Nearer to 0 by ``bias`` beyond ``lambd``, else 0."""
    bias, bound = node.get("bias", 0.0), node.get("lambd", 0.5)
    return torch.where(x > bound, x - bias, torch.where(x < -bound, x + bias, torch.zeros_like(x)))


@operator("MatMul")
def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """The matrix product, over all axes before the last two."""
    return torch.matmul(a, b)


@operator("Gemm")
def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha a b + beta c, with a and b transposed where asked."""
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    if node.get("transB", 0) and not node.get("transA", 0) and alpha == beta == 1 and (c is None or c.ndim == 1):
        return functional.linear(a, b, c)
    out = alpha * ((a.T if node.get("transA", 0) else a) @ (b.T if node.get("transB", 0) else b))
    return out if c is None else out + beta * c


@operator("Einsum")
def einsum(node: Node, *xs: Tensor) -> Tensor:
    """The sum of products that the equation writes."""
    return torch.einsum(node.get("equation").replace(" ", ""), *xs)


@operator("Det")
def determinant(node: Node, x: Tensor) -> Tensor:
    """Of the last two axes."""
    return torch.linalg.det(x)


@operator("FastGelu", "QuickGelu", domain="com.microsoft")
def fast_gelu(node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """GELU by tanh, or by a sigmoid."""
    x = x if bias is None else x + bias
    return (
        functional.gelu(x, approximate="tanh")
        if node.op == "FastGelu"
        else x * torch.sigmoid(node.get("alpha", 1.702) * x)
    )


@operator("Gelu", "BiasGelu", domain="com.microsoft")
def bias_gelu(node: Node, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """GELU, of x plus a bias."""
    return functional.gelu(x if bias is None else x + bias)
