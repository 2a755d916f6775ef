"""Attention and rotary position embedding, as single operators (version 23 on)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, Value, operator
from saddlepoint.errors import ModelError


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
    if node.get("left_window_size", -1) >= 0 or node.get("right_window_size", -1) >= 0:
        raise ModelError(f"{node.title} looks through a window, which is not known here")
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
    cap, seen = node.get("softcap", 0.0), node.get("qk_matmul_output_mode", 0)
    capped = cap * torch.tanh(scores / cap) if cap else scores
    bias = _bias(node, scores, mask, 0 if past_k is None else past_k.shape[2], lengths)
    biased = capped if bias is None else capped + bias
    nothing = (biased == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(biased.masked_fill(nothing, 0.0), -1).masked_fill(nothing, 0.0)
    out = weights @ vv
    if flat:
        out = out.transpose(1, 2).flatten(2)
    return (out, *present, (scores, capped, biased, weights)[seen])[: len(node.outputs)]


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _bias(node: Node, scores: Tensor, mask: Tensor | None, past: int, lengths: Tensor | None) -> Tensor | None:
    """What is added before the softmax: the mask, -inf for what lies in the future or beyond a length."""
    bias = None
    if mask is not None:
        bias = (
            torch.zeros_like(mask, dtype=scores.dtype).masked_fill(~mask, -math.inf)
            if mask.dtype == torch.bool
            else mask
        )
        short = scores.shape[-1] - bias.shape[-1]
        bias = functional.pad(bias, [0, short], value=-math.inf) if short > 0 else bias
    t, s = scores.shape[-2:]
    if node.get("is_causal", 0):
        offset = torch.full((1,), past, device=scores.device) if past or lengths is None else lengths - t
        rows, columns = torch.arange(t, device=scores.device)[:, None], torch.arange(s, device=scores.device)
        later = columns > rows + offset.view(-1, 1, 1, 1)
        causal = torch.zeros(later.shape, dtype=scores.dtype, device=scores.device).masked_fill(later, -math.inf)
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
