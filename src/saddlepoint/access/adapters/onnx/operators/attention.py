"""Attention and rotary position embedding, as single operators (version 23 on)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import Node, Value, operator


@operator("Attention")
def attention(
    node: Node,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None = None,
    past_k: Tensor | None = None,
    past_v: Tensor | None = None,
    lengths: Tensor | None = None,
) -> Value:
    """softmax(q k / sqrt(d) + mask) v, by heads; inputs [N, heads, T, d] or [N, T, heads d]."""
    flat = q.ndim == 3
    if flat:
        q = _heads(q, node.get("q_num_heads"))
        k, v = (_heads(t, node.get("kv_num_heads")) for t in (k, v))
    k = k if past_k is None else torch.cat([past_k, k], 2)
    v = v if past_v is None else torch.cat([past_v, v], 2)
    present, groups = (k, v), q.shape[1] // k.shape[1]
    kk, vv = (t.repeat_interleave(groups, 1) if groups > 1 else t for t in (k, v))
    scale = node.get("scale") or 1 / math.sqrt(q.shape[-1])
    scores = (q * math.sqrt(scale)) @ (kk * math.sqrt(scale)).transpose(-1, -2)
    bias = _bias(node, scores, mask, 0 if past_k is None else past_k.shape[2], lengths)
    cap, seen = node.get("softcap", 0.0), node.get("qk_matmul_output_mode", 0)
    biased = scores if bias is None else scores + bias
    capped = cap * torch.tanh(biased / cap) if cap else biased
    weights = torch.softmax(capped, -1)
    out = weights @ vv
    if flat:
        out = out.transpose(1, 2).flatten(2)
    return (out, *present, (scores, biased, capped, weights)[seen])[: len(node.outputs)] if len(node.outputs) > 1 else out


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _bias(node: Node, scores: Tensor, mask: Tensor | None, past: int, lengths: Tensor | None) -> Tensor | None:
    """What is added before the softmax: the mask, -inf for what lies in the future or beyond a length."""
    bias = None
    if mask is not None:
        bias = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else mask
        short = scores.shape[-1] - bias.shape[-1]
        bias = torch.nn.functional.pad(bias, [0, short], value=-math.inf) if short > 0 else bias
    t, s = scores.shape[-2:]
    if node.get("is_causal", 0):
        later = torch.ones(t, s, dtype=torch.bool, device=scores.device).triu(past + 1)
        causal = torch.zeros(t, s, dtype=scores.dtype, device=scores.device).masked_fill(later, -math.inf)
        bias = causal if bias is None else bias + causal
    if lengths is not None:
        beyond = torch.arange(s, device=scores.device) >= lengths[:, None]
        cut = torch.zeros(beyond.shape, dtype=scores.dtype, device=scores.device).masked_fill(beyond, -math.inf)
        bias = cut[:, None, None] if bias is None else bias + cut[:, None, None]
    return bias


@operator("RotaryEmbedding")
def rotary(node: Node, x: Tensor, cos: Tensor, sin: Tensor, positions: Tensor | None = None) -> Tensor:
    """Pairs of entries turned by angles that grow with the position."""
    flat = x.ndim == 3
    x = _heads(x, node.get("num_heads")) if flat else x
    size = node.get("rotary_embedding_dim", 0) or x.shape[-1]
    head, rest = x[..., :size], x[..., size:]
    if positions is not None:
        cos, sin = cos[positions], sin[positions]
    cos, sin = cos[..., : size // 2].unsqueeze(1), sin[..., : size // 2].unsqueeze(1)
    if node.get("interleaved", 0):
        a, b = head[..., 0::2], head[..., 1::2]
        turned = torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)
    else:
        a, b = head.chunk(2, -1)
        turned = torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
    out = torch.cat([turned, rest], -1)
    return out.transpose(1, 2).flatten(2) if flat else out
