"""Operators that bring entries to a common scale."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, Value, operator
from saddlepoint.errors import ModelError


def _per_channel(v: Tensor, x: Tensor) -> Tensor:
    return v.view(1, -1, *[1] * (x.ndim - 2))


@operator("BatchNormalization")
def batch(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    """By the means and variances that are stored, as in use."""
    if node.get("training_mode", 0) and len(node.outputs) > 1:
        raise ModelError(f"{node.title} is in training mode: export the network in eval mode")
    return functional.batch_norm(
        x, mean.detach(), var.detach(), scale, bias, training=False, eps=node.get("epsilon", 1e-5)
    )


@operator("InstanceNormalization")
def instance(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """By the mean and variance of each channel of each sample."""
    axes = list(range(2, x.ndim))
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(var + node.get("epsilon", 1e-5)) * _per_channel(scale, x) + _per_channel(bias, x)


@operator("LayerNormalization")
def layer(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Value:
    """By the mean and variance over the axes from ``axis`` on."""
    axes = list(range(node.get("axis", -1) % x.ndim, x.ndim))
    eps = node.get("epsilon", 1e-5)
    if len(node.outputs) == 1 and scale.shape == x.shape[axes[0] :] and (bias is None or bias.shape == scale.shape):
        return functional.layer_norm(x, list(scale.shape), scale, bias, eps)
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    inverse = torch.rsqrt(var + eps)
    out = (x - mean) * inverse * scale
    return (out if bias is None else out + bias, mean, inverse)[: len(node.outputs)]


@operator("SimplifiedLayerNormalization")
@operator("RMSNormalization")
def root_mean_square(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """By the root of the mean square over the axes from ``axis`` on."""
    axes = list(range(node.get("axis", -1) % x.ndim, x.ndim))
    return x * torch.rsqrt(x.square().mean(axes, keepdim=True) + node.get("epsilon", 1e-5)) * scale


@operator("GroupNormalization")
def group(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """By the mean and variance of groups of channels; scale and bias by group before version 21, then by channel."""
    groups, channels = node.get("num_groups"), x.shape[1]
    out = functional.group_norm(x, groups, eps=node.get("epsilon", 1e-5))
    if node.opset < 21 and len(scale) == groups != channels:
        scale, bias = (v.repeat_interleave(channels // groups) for v in (scale, bias))
    return out * _per_channel(scale, x) + _per_channel(bias, x)


@operator("LpNormalization")
def lp(node: Node, x: Tensor) -> Tensor:
    """Divided by the p-norm along an axis; zeros stay zeros."""
    norm = torch.linalg.vector_norm(x, node.get("p", 2), node.get("axis", -1), keepdim=True)
    return torch.where(norm == 0, torch.zeros_like(x), x / torch.where(norm == 0, torch.ones_like(norm), norm))


@operator("LRN")
def local_response(node: Node, x: Tensor) -> Tensor:
    """By the squares of the neighboring channels."""
    size = node.get("size")
    before = math.floor((size - 1) / 2)
    squares = x.square().movedim(1, -1)
    padded = functional.pad(squares, [before, size - 1 - before])
    around = padded.unfold(-1, size, 1).sum(-1).movedim(-1, 1)
    return x / (node.get("bias", 1.0) + node.get("alpha", 1e-4) / size * around) ** node.get("beta", 0.75)


@operator("MeanVarianceNormalization")
def mean_variance(node: Node, x: Tensor) -> Tensor:
    """Mean 0 and variance 1 over axes."""
    axes = node.get("axes", [0, 2, 3])
    var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    return (x - mean) / (var.sqrt() + 1e-9)


@operator("SkipLayerNormalization", domain="com.microsoft")
def skip_layer(
    node: Node, x: Tensor, skip: Tensor, gamma: Tensor, beta: Tensor | None = None, bias: Tensor | None = None
) -> Value:
    """The sum of two tensors and a bias, by its mean and variance over the last axis."""
    total = x + skip if bias is None else x + skip + bias
    out = functional.layer_norm(total, [total.shape[-1]], gamma, beta, node.get("epsilon", 1e-12))
    return (out, None, None, total)[: len(node.outputs)] if len(node.outputs) > 1 else out
