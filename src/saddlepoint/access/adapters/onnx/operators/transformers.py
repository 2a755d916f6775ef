"""What onnxruntime's optimizer makes of transformers: attention with its projections, sums that are normalized.

The standard's own attention is in ``attention``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from saddlepoint.access.adapters.onnx.node import Node, Value, operator
from saddlepoint.access.adapters.onnx.operators.quantization import by_columns, shifted
from saddlepoint.errors import ModelError

DOMAIN = "com.microsoft"


def _heads(x: Tensor, heads: int) -> Tensor:
    """[N, T, heads d] as [N, heads, T, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


@operator("Attention", domain=DOMAIN)
def attention(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None, mask: Tensor | None = None,
    past: Tensor | None = None, added: Tensor | None = None, length: Tensor | None = None,
) -> Value:  # fmt: skip
    """Queries, keys and values of one product, softmax(q k / sqrt(d) + mask) v by heads."""
    _refuse(node, do_rotary=0, past_present_share_buffer=0)
    projected = x @ weight if bias is None else x @ weight + bias
    sizes = node.get("qkv_hidden_sizes") or [weight.shape[1] // 3] * 3
    q, k, v = (_heads(part, node.get("num_heads")) for part in projected.split(sizes, -1))
    out, k, v, _ = _attended(node, q, k, v, mask, added, (None, None) if past is None else tuple(past))
    return (out, torch.stack([k, v])) if len(node.outputs) > 1 else out


@operator("QAttention", domain=DOMAIN)
def quantized_attention(
    node: Node, x: Tensor, weight: Tensor, bias: Tensor, sx: Tensor, sw: Tensor, mask: Tensor | None = None,
    zx: Tensor | None = None, zw: Tensor | None = None, past: Tensor | None = None,
) -> Value:  # fmt: skip
    """The same, with integers in the product that makes queries, keys and values."""
    rows = (shifted(x, zx) * sx.double().reshape(())).to(bias.dtype)
    columns = (shifted(weight, zw) * by_columns(sw)).to(bias.dtype)
    return attention(node, rows, columns, bias, mask, past)


@operator("MultiHeadAttention", domain=DOMAIN)
def multi_head(
    node: Node, q: Tensor, k: Tensor | None = None, v: Tensor | None = None, bias: Tensor | None = None,
    mask: Tensor | None = None, added: Tensor | None = None, past_k: Tensor | None = None,
    past_v: Tensor | None = None, length: Tensor | None = None, beams: Tensor | None = None,
) -> Value:  # fmt: skip
    """softmax(q k / sqrt(d) + mask) v by heads, of queries, keys and values that may be packed into fewer tensors."""
    if length is not None or beams is not None:
        raise ModelError(f"{node.title} shares buffers between the steps of a beam search, which is not known here")
    if q.ndim == 5:
        q, k, v = q.unbind(3)
        q, k, v = (t.flatten(2) for t in (q, k, v))
    elif k is not None and k.ndim == 5:
        k, v = (t.flatten(2) for t in k.unbind(3))
    if k is None or v is None:
        raise ModelError(f"{node.title} has neither packed queries, keys and values nor a tensor for each")
    if bias is not None:
        wide, last = q.shape[-1], bias.shape[0] - 2 * q.shape[-1]
        bq, bk, bv = bias.split([wide, wide, last])
        q, k, v = q + bq, k + bk if k.ndim == 3 else k, v + bv if v.ndim == 3 else v
    heads = node.get("num_heads")
    q, k, v = (t if t.ndim == 4 else _heads(t, heads) for t in (q, k, v))
    out, k, v, scores = _attended(node, q, k, v, mask, added, (past_k, past_v))
    return (out, k, v, scores)[: len(node.outputs)] if len(node.outputs) > 1 else out


def _refuse(node: Node, **expected: int) -> None:
    for name, value in expected.items():
        if node.get(name, value) != value:
            raise ModelError(f"{node.title} has {name} = {node.get(name)}, which is not known here")


def _attended(
    node: Node, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, added: Tensor | None,
    past: tuple[Tensor | None, ...],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """The answer [N, T, heads d], keys and values with those of the past, and q k before the softmax."""
    before = 0 if past[0] is None else past[0].shape[2]
    k = k if past[0] is None else torch.cat([past[0], k], 2)
    v = v if past[1] is None else torch.cat([past[1], v], 2)
    scores = q @ k.transpose(-1, -2) * (node.get("scale") or 1 / math.sqrt(q.shape[-1]))
    hidden = _hidden(node, scores, mask, before)
    if hidden is not None:
        scores = scores + hidden.to(scores.dtype) * node.get("mask_filter_value", -10000.0)
    scores = scores if added is None else scores + added
    out = (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)
    return out, k, v, scores


def _hidden(node: Node, scores: Tensor, mask: Tensor | None, before: int) -> Tensor | None:
    """Which keys [N or 1, 1, T or 1, S] each query does not see: lengths, or a mask by samples or by queries."""
    n, _, t, s = scores.shape
    keys, out = torch.arange(s, device=scores.device), None
    if mask is not None and mask.ndim == 1:
        ends, starts = mask[:n], mask[n : 2 * n] if len(mask) >= 2 * n else torch.zeros_like(mask[:n])
        out = ((keys >= ends[:, None]) | (keys < starts[:, None]))[:, None, None]
    elif mask is not None:
        seen = {2: lambda: mask[:, None, None], 3: lambda: mask[:, None], 4: lambda: mask[..., before : before + t, :s]}
        out = seen[mask.ndim]() == 0
    if node.get("unidirectional", 0):
        later = keys > torch.arange(t, device=scores.device)[:, None] + before
        out = later[None, None] if out is None else out | later
    return out


@operator("EmbedLayerNormalization", domain=DOMAIN)
def embed(
    node: Node, ids: Tensor, segments: Tensor | None, words: Tensor, places: Tensor, kinds: Tensor | None,
    gamma: Tensor, beta: Tensor, mask: Tensor | None = None, at: Tensor | None = None,
) -> Value:  # fmt: skip
    """Embeddings of words, places and segments, summed and normalized; how many words the mask shows."""
    at = torch.arange(ids.shape[1], device=words.device) if at is None else at.long()
    total = words[ids.long()] + places[at]
    total = total if kinds is None or segments is None else total + kinds[segments.long()]
    out = functional.layer_norm(total, [total.shape[-1]], gamma, beta, node.get("epsilon", 1e-12))
    count = torch.zeros(len(ids), dtype=torch.int32) if mask is None else mask.sum(1).int()
    return (out, count, total)[: max(len(node.outputs), 1)]


@operator("SkipSimplifiedLayerNormalization", domain=DOMAIN)
def skip_root_mean_square(node: Node, x: Tensor, skip: Tensor, gamma: Tensor, bias: Tensor | None = None) -> Value:
    """The sum of two tensors and a bias, by the root of its mean square over the last axis."""
    total = x + skip if bias is None else x + skip + bias
    out = total * torch.rsqrt(total.square().mean(-1, keepdim=True) + node.get("epsilon", 1e-12)) * gamma
    return (out, None, None, total)[: len(node.outputs)] if len(node.outputs) > 1 else out
