"""What onnxruntime's quantizer writes: its answers on random integers, and the slopes of the same without rounding."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

sys.path.append(str(Path(__file__).parent))

from one_node import agree, built, normal, quick, seeds, theirs

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork

MS = "com.microsoft"
KINDS = {torch.uint8: TensorProto.UINT8, torch.int8: TensorProto.INT8}


def integers(seed, kind, *shape):
    low, high = (-128, 128) if kind == torch.int8 else (0, 256)
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(seed), dtype=kind)


def scale(value):
    return torch.tensor(value, dtype=torch.float32)


def real(x, s, z):
    return (x.double() - z.double()) * s.double()


def agree_on_integers(model, x, reference, sy, zy):
    """onnxruntime's answers, rarely a step off; slopes of ``reference`` (in reals) / sy where nothing is cut off."""
    right = torch.from_numpy(theirs(model, x)[0]).double()
    given_x = x.double().requires_grad_()
    own = OnnxNetwork(parse(model), "test", "y0", {}).double()({"x": given_x})
    assert own.shape == right.shape
    gap = (own.detach() - right).abs()
    assert float(gap.max()) <= 1  # half a step may round either way
    assert float((gap > 0).double().mean()) <= 0.05
    other = x.double().requires_grad_()
    unrounded = reference(other) / sy.double() + zy.double()
    low, high = (-128, 127) if zy.dtype == torch.int8 else (0, 255)
    weight = normal(5, *own.shape).double() * ((unrounded > low + 1) & (unrounded < high - 1))
    mine, true = (torch.autograd.grad((weight * v).sum(), at)[0] for v, at in ((own, given_x), (unrounded, other)))
    torch.testing.assert_close(mine, true, rtol=1e-5, atol=1e-9)
    assert not weight.any() or true.any()


def two(data):
    kind = data.draw(st.sampled_from(list(KINDS)))
    zero = lambda: torch.tensor(data.draw(st.integers(0, 100)), dtype=kind)  # noqa: E731
    return kind, data.draw(seeds), zero(), zero()


@given(data=st.data())
@quick
def test_one_tensor(data):
    kind, seed, zx, zy = two(data)
    op = data.draw(st.sampled_from(["Sigmoid", "LeakyRelu", "Softmax", "GlobalAveragePool", "AveragePool"]))
    x, sx, sy, attributes = integers(seed, kind, 2, 3, 5, 6), scale(0.02), scale(0.0125), {}
    call = {
        "Sigmoid": torch.sigmoid, "LeakyRelu": lambda v: torch.where(v > 0, v, 0.3 * v),
        "Softmax": lambda v: v.softmax(-1), "GlobalAveragePool": lambda v: v.mean((2, 3), keepdim=True),
        "AveragePool": lambda v: torch.nn.functional.avg_pool2d(v, (2, 3), (2, 1)),
    }[op]  # fmt: skip
    if op in {"Sigmoid", "Softmax"}:
        zy, sy = torch.tensor(-128 if kind == torch.int8 else 0, dtype=kind), scale(1 / 256)
    if op == "LeakyRelu":
        attributes["alpha"] = 0.3
    older = int(data.draw(st.booleans()))
    if op == "Softmax":
        attributes["axis"] = 2 if older else -1
        call = (lambda v: v.flatten(2).softmax(-1).view(v.shape)) if older else call
    if op == "AveragePool":
        attributes.update(kernel_shape=[2, 3], strides=[2, 1])
    if op.endswith("Pool") and data.draw(st.booleans()):
        attributes["channels_last"] = 1
        first = call
        call = lambda v: first(v.movedim(-1, 1)).movedim(1, -1)  # noqa: E731
    model = built(f"QLinear{op}", x, (sx, zx, sy, zy), 13, domain=MS, kind=KINDS[kind], **attributes)
    if op == "Softmax":
        model.graph.node[0].attribute.append(helper.make_attribute("opset", 12 if older else 13))
    agree_on_integers(model, x, lambda v: call(real(v, sx, zx)), sy, zy)


@given(data=st.data())
@quick
def test_two_tensors(data):
    kind, seed, za, zb = two(data)
    op = data.draw(st.sampled_from(["Add", "Mul", "Concat", "Where"]))
    a, b, sa, sb, sy = integers(seed, kind, 2, 3, 4), integers(seed + 1, kind, 3, 1), *map(scale, (0.02, 0.03, 0.03))
    zy = torch.tensor(data.draw(st.integers(0, 60)), dtype=kind)
    call = torch.add if op == "Add" else torch.mul
    if op in {"Concat", "Where"}:
        b = integers(seed + 1, kind, 2, 3, 4)
    if op == "Concat":
        model = built("QLinearConcat", a, (sa, za, b, sb, zb), 13, domain=MS, kind=KINDS[kind], axis=1)
        model.graph.node[0].input[:] = ["sy", "zy", "x", *model.graph.node[0].input[1:]]
        model.graph.initializer.extend(stored(sy=sy, zy=zy))
        call = lambda v, w: torch.cat([v, w], 1)  # noqa: E731
    elif op == "Where":
        condition = normal(seed + 2, 2, 3, 4) > 0
        model = built("QLinearWhere", a, (sa, za, b, sb, zb, sy, zy), 13, domain=MS, kind=KINDS[kind])
        model.graph.node[0].input[:] = ["condition", *model.graph.node[0].input]
        model.graph.initializer.extend(stored(condition=condition))
        call = lambda v, w: torch.where(condition, v, w)  # noqa: E731
    else:
        model = built(f"QLinear{op}", a, (sa, za, b, sb, zb, sy, zy), 13, domain=MS, kind=KINDS[kind])
    agree_on_integers(model, a, lambda v: call(real(v, sa, za), real(b, sb, zb)), sy, zy)


def stored(**tensors):
    return [numpy_helper.from_array(t.numpy(), name) for name, t in tensors.items()]


@given(data=st.data())
@quick
def test_products_of_integers(data):
    _, seed, _, _ = two(data)
    kind = torch.uint8
    za, zy = (torch.tensor(data.draw(st.integers(90, 140)), dtype=kind) for _ in range(2))
    ta, tb, real_out = (int(data.draw(st.booleans())) for _ in range(3))
    a, b = (
        integers(seed, kind, *((4, 3) if ta else (3, 4))),
        integers(seed + 1, torch.int8, *((5, 4) if tb else (4, 5))),
    )
    many = (5,) if data.draw(st.booleans()) else ()
    sb = torch.rand(many, generator=torch.Generator().manual_seed(seed)) * 0.01 + 0.01
    zb, sa, sy = torch.zeros(many, dtype=torch.int8), scale(0.02), scale(0.2)
    c = torch.randint(-999, 999, (5,), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)

    def reference(v):
        left, right = real(v, sa, za), b.double() * (sb.double().view(-1, 1) if tb and many else sb.double())
        return (left.T if ta else left) @ (right.T if tb else right) + c * sa.double() * sb.double()

    constants = [sa, za, b, sb, zb, c] + ([] if real_out else [sy, zy])
    model = built("QGemm", a, constants, 13, domain=MS, kind=TensorProto.FLOAT if real_out else KINDS[kind],
                  transA=ta, transB=tb, alpha=1.0)  # fmt: skip
    if not real_out:
        return agree_on_integers(model, a, reference, sy, zy)
    torch.testing.assert_close(torch.from_numpy(theirs(model, a)[0]).double(), reference(a), rtol=0, atol=1e-4)
    return answers_and_slopes(model, a, reference)


def answers_and_slopes(model, x, reference):
    """Those of ``reference``, which rounds nothing."""
    mine, other = x.double().requires_grad_(), x.double().requires_grad_()
    own, true = OnnxNetwork(parse(model), "test", "y0", {}).double()({"x": mine}), reference(other)
    torch.testing.assert_close(own, true, rtol=1e-6, atol=1e-6)
    weight = normal(3, *own.shape).double()
    slopes = [torch.autograd.grad((weight * v).sum(), at)[0] for v, at in ((own, mine), (true, other))]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-6)


@given(data=st.data())
@quick
def test_products_of_integers_in_real_numbers(data):
    seed, kind = data.draw(seeds), data.draw(st.sampled_from(list(KINDS)))
    many = (5,) if data.draw(st.booleans()) else ()
    a, b = integers(seed, kind, 2, 3, 4), integers(seed + 1, torch.int8, 4, 5)
    sb = torch.rand(many, generator=torch.Generator().manual_seed(seed)) * 0.01 + 0.01
    za, zb, sa = torch.tensor(7, dtype=kind), torch.full(many, 3, dtype=torch.int8), scale(0.02)
    bias = normal(seed, 5) if data.draw(st.booleans()) else None
    model = built("MatMulIntegerToFloat", a, (b, sa, sb, za, zb, *([] if bias is None else [bias])), 13, domain=MS)

    def reference(v):
        return real(v, sa, za) @ ((b.double() - 3) * sb.double()) + (0 if bias is None else bias.double())

    torch.testing.assert_close(torch.from_numpy(theirs(model, a)[0]).double(), reference(a), rtol=0, atol=1e-4)
    answers_and_slopes(model, a, reference)


@given(seed=seeds, many=st.booleans(), bias=st.booleans())
@quick
def test_a_product_with_rounding_by_its_own_range(seed, many, bias):
    x, b = normal(seed, 3, 4), integers(seed + 1, torch.int8, 4, 5)
    sb = torch.rand((5,) if many else (), generator=torch.Generator().manual_seed(seed)) * 0.01 + 0.01
    zb, c = torch.full(sb.shape, 2, dtype=torch.int8), normal(seed + 2, 5)
    model = built("DynamicQuantizeMatMul", x, (b, sb, zb, *([c] if bias else [])), 13, domain=MS)
    agree(model, x, slopes=False, tolerance=1e-3)
    own = x.double().requires_grad_()
    out = OnnxNetwork(parse(model), "test", "y0", {}).double()({"x": own})
    weight = normal(3, *out.shape).double()
    (slope,) = torch.autograd.grad((weight * out).sum(), own)
    torch.testing.assert_close(slope, weight @ ((b.double() - 2) * sb.double()).T)  # as if nothing were rounded


@given(data=st.data())
@quick
def test_standard_products_of_integers(data):
    seed, za = data.draw(seeds), torch.tensor(data.draw(st.integers(0, 200)), dtype=torch.uint8)
    x, b = integers(seed, torch.uint8, 2, 3, 4), integers(seed + 1, torch.int8, 4, 5)
    zb = torch.tensor(data.draw(st.integers(-9, 9)), dtype=torch.int8)
    model = built("MatMulInteger", x, (b, za, zb), 13, kind=TensorProto.INT32)
    agree(model, x, slopes=False)
    answers_and_slopes(model, x, lambda v: (v - za.double()) @ (b.double() - zb.double()))
    x, w = integers(seed, torch.uint8, 1, 2, 5, 5), integers(seed + 1, torch.uint8, 3, 2, 3, 3)
    model = built("ConvInteger", x, (w, za, torch.tensor(9, dtype=torch.uint8)), 13, kind=TensorProto.INT32)
    agree(model, x, slopes=False)
    answers_and_slopes(model, x, lambda v: torch.nn.functional.conv2d(v - za.double(), w.double() - 9))
    sa, sb, sy, zy = scale(0.02), scale(0.01), scale(0.2), torch.tensor(120, dtype=torch.uint8)
    x = integers(seed, torch.uint8, 2, 3, 4)
    model = built("QLinearMatMul", x, (sa, za, b, sb, zb, sy, zy), 13, kind=TensorProto.UINT8)
    agree_on_integers(model, x, lambda v: real(v, sa, za) @ real(b, sb, zb), sy, zy)


def test_rounding_by_the_own_range_has_the_slope_of_no_rounding():
    x = normal(0, 3, 5)
    model = built("DynamicQuantizeLinear", x, (), 13, outputs=3)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.output[2].type.tensor_type.elem_type = TensorProto.UINT8
    agree(model, x, slopes=False)
    own = x.double().requires_grad_()
    out = OnnxNetwork(parse(model), "test", "y0", {}).double()({"x": own})
    step = float(x.max().clamp(min=0) - x.min().clamp(max=0)) / 255
    torch.testing.assert_close(
        torch.autograd.grad(out.sum(), own)[0], torch.full_like(own, 1 / step), rtol=1e-6, atol=0
    )


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_largest_of_windows_with_channels_last(kind):
    x = integers(3, kind, 2, 6, 5, 3)
    model = built("NhwcMaxPool", x, (), 13, domain=MS, kind=KINDS[kind], kernel_shape=[2, 2], strides=[2, 1])
    agree(model, x, slopes=False)
