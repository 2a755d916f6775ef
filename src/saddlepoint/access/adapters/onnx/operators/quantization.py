"""Quantized operators. Integers are carried in floating point, so that slopes pass rounding as if nothing were rounded.

The straight-through estimator: forward as the file says, backward through x / scale where it is not cut off
(Bengio, Léonard, Courville 2013).
"""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import Node, operator
from saddlepoint.access.adapters.onnx.operators.convolution import conv

RANGES = {torch.uint8: (0, 255), torch.int8: (-128, 127), torch.int16: (-32768, 32767), torch.int32: (0, 65535)}
"""By the type of the zero point; int32 stands for uint16."""
BY_CODE = {2: torch.uint8, 3: torch.int8, 4: torch.int32, 5: torch.int16}


def rounded(x: Tensor) -> Tensor:
    """To the nearest integer, half to even; with slope 1."""
    return x + (x.round() - x).detach()


def _along(v: Tensor, x: Tensor, node: Node) -> Tensor:
    """A scale or zero point laid out along the axis it belongs to, or by blocks."""
    block = node.get("block_size", 0)
    axis = node.get("axis", 1)
    if block:
        return v.repeat_interleave(block, axis).narrow(axis, 0, x.shape[axis])
    if v.ndim == 1 and v.numel() > 1:
        return v.view(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    return v.reshape(()) if v.numel() == 1 else v


@operator("QuantizeLinear")
def quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """round(x / scale) + zero, cut to the range of the type of zero; a floating tensor of integers."""
    code = node.get("output_dtype", 0)
    kind = (BY_CODE.get(code) if code else torch.uint8) if zero is None else zero.dtype
    if kind not in RANGES:
        raise NotImplementedError("it rounds to numbers of 4 bits or to short floats, which are not known here")
    low, high = RANGES[kind]
    scale = _along(scale, x, node).to(x.dtype)
    shift = 0.0 if zero is None else _along(zero, x, node).to(x.dtype)
    return (rounded(x / scale) + shift).clamp(low, high)


@operator("DequantizeLinear")
def dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    """(x - zero) scale."""
    scale = _along(scale, x, node)
    x = x.to(scale.dtype)
    return (x if zero is None else x - _along(zero, x, node).to(scale.dtype)) * scale


@operator("DynamicQuantizeLinear")
def dynamic(node: Node, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Quantized to 0..255 by the range of the tensor itself; the scale and zero point are taken as constants."""
    high, low = x.detach().amax().clamp(min=0), x.detach().amin().clamp(max=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    zero = (-low / scale).round().clamp(0, 255)
    return (rounded(x / scale) + zero).clamp(0, 255), scale, zero


def shifted(x: Tensor, zero: Tensor | None, axis: int | None = None) -> Tensor:
    """x - zero in double precision, where integers of 8 bits are multiplied and summed exactly."""
    x = x.double()
    if zero is None:
        return x
    zero = zero.double()
    if zero.numel() > 1 and axis is not None and zero.ndim == 1:
        zero = zero.view(-1, *[1] * (x.ndim - 1 - axis))
    return x - (zero.reshape(()) if zero.numel() == 1 else zero)


@operator("MatMulInteger")
def matmul_integer(node: Node, a: Tensor, b: Tensor, za: Tensor | None = None, zb: Tensor | None = None) -> Tensor:
    """The product of integer matrices."""
    return shifted(a, za, a.ndim - 2) @ shifted(b, zb)


@operator("ConvInteger")
def conv_integer(node: Node, x: Tensor, w: Tensor, zx: Tensor | None = None, zw: Tensor | None = None) -> Tensor:
    """The convolution of integers."""
    return conv(node, shifted(x, zx), shifted(w, zw, 0))


def by_rows(scale: Tensor) -> Tensor:
    """The scale of a matrix on the left, one number or one for each row."""
    return scale.double().view(-1, 1) if scale.numel() > 1 else scale.double().reshape(())


def by_columns(scale: Tensor) -> Tensor:
    """The scale of a matrix on the right, one number or one for each column."""
    return scale.double() if scale.numel() > 1 else scale.double().reshape(())


def real(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """What the integers of a whole tensor stand for, (x - zero) scale."""
    x = x.to(scale.dtype)
    return (x if zero is None else x - zero.to(x.dtype).reshape(())) * scale.reshape(())


def quantized(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """round(x / scale + zero), cut to the range of the type of zero; the scale may differ by rows or columns."""
    low, high = RANGES[torch.uint8] if zero is None else RANGES[zero.dtype]
    shift = 0.0 if zero is None else zero.to(x.dtype).reshape(())
    return (rounded(x / scale) + shift).clamp(low, high)


@operator("QLinearMatMul")
def qlinear_matmul(
    node: Node, a: Tensor, sa: Tensor, za: Tensor, b: Tensor, sb: Tensor, zb: Tensor, sy: Tensor, zy: Tensor
) -> Tensor:
    """The product of quantized matrices, quantized again."""
    out = shifted(a, za, a.ndim - 2) @ shifted(b, zb)
    return quantized(out * by_rows(sa) * by_columns(sb), sy.double().reshape(()), zy).to(sy.dtype)


@operator("QLinearConv")
def qlinear_conv(
    node: Node, x: Tensor, sx: Tensor, zx: Tensor, w: Tensor, sw: Tensor, zw: Tensor, sy: Tensor, zy: Tensor,
    bias: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The convolution of quantized tensors, quantized again; scales of the weights may differ by channel."""
    out = conv(node, shifted(x, zx), shifted(w, zw, 0), None if bias is None else bias.double())
    scale = sw.double().view(-1, *[1] * (out.ndim - 2)) if sw.numel() > 1 else sw.double().reshape(())
    return quantized(out * scale * sx.double().reshape(()), sy.double().reshape(()), zy).to(sy.dtype)
