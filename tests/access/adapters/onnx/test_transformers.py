"""What onnxruntime's optimizer makes of transformers and products: its answers on random shapes, and right slopes."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent))

from one_node import agree, built, check_slopes, normal, quick, seeds

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.errors import ModelError

MS = "com.microsoft"


def drawn_mask(data, n, t, s, kinds):
    """A mask that leaves each query at least one key, as lengths, ends and starts, by samples or by queries."""
    kind = data.draw(st.sampled_from(kinds))
    draw = torch.Generator().manual_seed(data.draw(seeds))
    if kind == "lengths":
        return torch.randint(1, s + 1, (n,), generator=draw, dtype=torch.int32)
    if kind == "ends and starts":
        starts = torch.randint(0, s, (n,), generator=draw, dtype=torch.int32)
        return torch.cat([torch.full((n,), s, dtype=torch.int32), starts])
    if kind is None:
        return None
    mask = torch.randint(0, 2, (n, s) if kind == "samples" else (n, t, s), generator=draw, dtype=torch.int32)
    mask[..., 0] = 1
    return mask


@given(data=st.data())
@quick
def test_attention_with_its_projections(data):
    seed, n, t = data.draw(seeds), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    heads, wide, before = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), data.draw(st.sampled_from([0, 2]))
    inner, last = heads * wide, heads * data.draw(st.integers(1, 4))
    attributes = {"num_heads": heads, "unidirectional": int(data.draw(st.booleans()))}
    past = normal(seed + 4, 2, n, heads, before, wide) if before else None
    if past is None and data.draw(st.booleans()):
        attributes["qkv_hidden_sizes"] = [inner, inner, last]
    else:
        last = inner
    if data.draw(st.booleans()):
        attributes["scale"] = 0.7
    kinds = [None, "samples", "queries"] if before or attributes["unidirectional"] else [
        None, "samples", "queries", "lengths", "ends and starts"
    ]  # fmt: skip
    mask = drawn_mask(data, n, t, t + before, kinds)
    added = normal(seed + 5, n, heads, t, t + before) if data.draw(st.booleans()) else None
    x = normal(seed, n, t, 5)
    constants = [normal(seed + 1, 5, 2 * inner + last), normal(seed + 2, 2 * inner + last), mask, past, added]
    outputs = 2 if before else 1
    agree(built("Attention", x, trimmed(constants), 17, outputs, domain=MS, **attributes), x)


def trimmed(constants):
    while constants and constants[-1] is None:
        constants = constants[:-1]
    return constants


@given(data=st.data())
@quick
def test_attention_of_several_heads(data):
    seed, n, t, s = data.draw(seeds), *(data.draw(st.integers(1, 4)) for _ in range(3))
    heads, wide, apart = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4)), data.draw(st.booleans())
    past = not apart and data.draw(st.booleans())
    before, inner = 2 if past else 0, heads * wide
    last = inner if apart or past else heads * data.draw(st.integers(1, 4))
    x, k, v = normal(seed, n, t, inner), normal(seed + 1, n, s, inner), normal(seed + 2, n, s, last)
    if apart:
        k, v = (z.view(n, s, heads, wide).transpose(1, 2).contiguous() for z in (k, v))
    bias = normal(seed + 3, 2 * inner + last) if not apart and data.draw(st.booleans()) else None
    mask = drawn_mask(data, n, t, s + before, [None, "samples", "queries"])
    added = normal(seed + 5, n, heads, t, s + before) if data.draw(st.booleans()) else None
    pasts = [normal(seed + 6, n, heads, 2, wide), normal(seed + 7, n, heads, 2, wide)] if past else []
    attributes = {"num_heads": heads, "unidirectional": int(s == t and data.draw(st.booleans()))}
    constants = [k, v, bias, mask, added, *pasts]
    agree(built("MultiHeadAttention", x, trimmed(constants), 17, 3 if past else 1, domain=MS, **attributes), x)


def test_packed_queries_keys_and_values_are_the_same_apart():
    q, k, v = (normal(i, 2, 3, 8) for i in range(3))
    heads = lambda z: z.view(2, 3, 2, 4)  # noqa: E731

    def answer(x, constants):
        model = built("MultiHeadAttention", x, constants, 17, domain=MS, num_heads=2)
        return OnnxNetwork(parse(model), "test", "y0", {})({"x": x})

    right = answer(q, (k, v))
    torch.testing.assert_close(answer(torch.stack([heads(q), heads(k), heads(v)], 3), ()), right)
    torch.testing.assert_close(answer(q, (torch.stack([heads(k), heads(v)], 3),)), right)


@given(data=st.data())
@quick
def test_quantized_attention(data):
    seed, n, t = data.draw(seeds), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    heads, wide = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (n, t, 5), generator=draw, dtype=torch.uint8)
    weight = torch.randint(-128, 128, (5, 3 * heads * wide), generator=draw, dtype=torch.int8)
    many = (3 * heads * wide,) if data.draw(st.booleans()) else ()
    mask = drawn_mask(data, n, t, t, [None, "samples"])
    constants = [
        weight, normal(seed, 3 * heads * wide), torch.tensor(0.01), torch.rand(many, generator=draw) * 0.01 + 0.01,
        mask, torch.tensor(120, dtype=torch.uint8), torch.zeros(many, dtype=torch.int8),
    ]  # fmt: skip
    model = built("QAttention", x, constants, 17, domain=MS, num_heads=heads)
    agree(model, x, slopes=False)
    check_slopes(OnnxNetwork(parse(model), "test", "y0", {}).double(), x.double())


@given(data=st.data())
@quick
def test_sums_that_are_normalized(data):
    seed, opset = data.draw(seeds), 17
    x, skip, gamma = normal(seed, 2, 3, 4), normal(seed + 1, 2, 3, 4), normal(seed + 2, 4)
    bias = normal(seed + 3, 4) if data.draw(st.booleans()) else None
    beta = normal(seed + 4, 4) if data.draw(st.booleans()) else None
    agree(built("SkipLayerNormalization", x, trimmed([skip, gamma, beta, bias]), opset, domain=MS, epsilon=1e-3), x)
    agree(built("SkipSimplifiedLayerNormalization", x, trimmed([skip, gamma, bias]), opset, domain=MS), x)
    agree(built("LayerNormalization", x, trimmed([gamma, beta]), opset), x)
    agree(built("FastGelu", x, trimmed([bias]), opset, domain=MS), x)
    agree(built("Gelu", x, (), opset, domain=MS), x)
    agree(built("QuickGelu", x, (), opset, domain=MS, alpha=1.3), x)
    if bias is not None:
        agree(built("BiasGelu", x, (bias,), opset, domain=MS), x)


@given(data=st.data())
@quick
def test_products_with_what_stands_around_them(data):
    seed, ta, tb, ba, bb = data.draw(seeds), *(int(data.draw(st.booleans())) for _ in range(4))
    a = normal(seed, *((3, 2, 4) if ba else (2, 3, 4)))
    a = a.transpose(-1, -2).contiguous() if ta else a
    right = normal(seed + 1, *((4, 2, 5) if bb else (2, 4, 5)))
    right = right.transpose(-1, -2).contiguous() if tb else right
    flags = {"transA": ta, "transB": tb, "transBatchA": ba, "transBatchB": bb, "alpha": 0.5}
    agree(built("FusedMatMul", a, (right,), 17, domain=MS, **flags), a)
    name, extra = data.draw(st.sampled_from([("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.3])]))
    x, w, c = normal(seed, *((4, 3) if ta else (3, 4))), normal(seed + 1, *((5, 4) if tb else (4, 5))), normal(seed, 5)
    more = {"activation_alpha": extra[0]} if extra else {}
    agree(built("FusedGemm", x, (w, c), 17, domain=MS, transA=ta, transB=tb, beta=0.5, activation=name, **more), x)
    x, w, b = normal(seed, 1, 2, 5, 5), normal(seed + 1, 3, 2, 3, 3), normal(seed + 2, 3)
    fused = {"activation": name, **({"activation_params": extra} if extra else {})}
    constants = [w, b, normal(seed + 3, 1, 3, 5, 5) if data.draw(st.booleans()) else None]
    agree(built("FusedConv", x, trimmed(constants), 17, domain=MS, pads=[1] * 4, **fused), x)


@given(seed=seeds, mask=st.booleans(), kinds=st.booleans())
@quick
def test_embeddings(seed, mask, kinds):
    draw = torch.Generator().manual_seed(seed)
    ids, segments = (torch.randint(0, m, (2, 4), generator=draw, dtype=torch.int32) for m in (9, 2))
    seen = (torch.arange(4) < torch.randint(1, 5, (2, 1), generator=draw)).int()
    constants = [
        segments if kinds else None, normal(seed, 9, 6), normal(seed + 1, 5, 6),
        normal(seed + 2, 2, 6) if kinds else None, normal(seed + 3, 6), normal(seed + 4, 6), seen if mask else None,
    ]  # fmt: skip
    model = built("EmbedLayerNormalization", ids, trimmed(constants), 17, 3, domain=MS)
    model.graph.output[1].type.tensor_type.elem_type = 6
    agree(model, ids, slopes=False)


def test_what_attention_cannot_do_is_refused():
    x = normal(0, 1, 2, 8)
    model = built("Attention", x, (normal(1, 8, 24), normal(2, 24)), 17, domain=MS, num_heads=2, do_rotary=1)
    with pytest.raises(ModelError, match="do_rotary = 1, which is not known"):
        OnnxNetwork(parse(model), "test", "y0", {})({"x": x})
