"""Each family of operators on random shapes, attributes and versions: the answers of onnxruntime, and right slopes."""

import sys
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper

sys.path.append(str(Path(__file__).parent))

from one_node import agree, built, normal, quick, seeds, theirs, versions

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork


@given(data=st.data())
@quick
def test_convolutions(data):
    d, seed = data.draw(st.integers(1, 3)), data.draw(seeds)
    groups, into, out = data.draw(st.sampled_from([(1, 2, 3), (2, 4, 2), (3, 3, 6)]))
    kernel = data.draw(st.lists(st.integers(1, 3), min_size=d, max_size=d))
    lengths = data.draw(st.lists(st.integers(5, 7), min_size=d, max_size=d))
    some = lambda low, high: data.draw(st.lists(st.integers(low, high), min_size=d, max_size=d))  # noqa: E731
    attributes = {"strides": some(1, 2), "dilations": some(1, 2), "group": groups}
    auto = data.draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto == "NOTSET":
        attributes["pads"] = data.draw(st.lists(st.integers(0, 2), min_size=2 * d, max_size=2 * d))
    else:
        attributes["auto_pad"] = auto
        attributes["dilations"] = [1] * d
    bias = normal(seed + 2, out) if data.draw(st.booleans()) else None
    weight = normal(seed + 1, out, into // groups, *kernel)
    constants = (weight,) if bias is None else (weight, bias)
    agree(
        built("Conv", normal(seed, 2, into, *lengths), constants, data.draw(versions), **attributes),
        normal(seed, 2, into, *lengths),
    )


@given(data=st.data())
@quick
def test_transposed_convolutions(data):
    d, seed = data.draw(st.integers(1, 2)), data.draw(seeds)
    groups, into, out = data.draw(st.sampled_from([(1, 2, 3), (2, 4, 2)]))
    some = lambda low, high: data.draw(st.lists(st.integers(low, high), min_size=d, max_size=d))  # noqa: E731
    kernel, strides = some(1, 3), some(1, 3)
    attributes = {"strides": strides, "dilations": some(1, 2), "group": groups}
    if data.draw(st.booleans()):
        attributes["pads"] = data.draw(st.lists(st.integers(0, 1), min_size=2 * d, max_size=2 * d))
        attributes["output_padding"] = [min(e, s - 1) for e, s in zip(some(0, 2), strides, strict=True)]
    else:
        attributes["auto_pad"] = data.draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))
        attributes["dilations"] = [1] * d
        assume(all(k >= s for k, s in zip(kernel, strides, strict=True)))
    x = normal(seed, 2, into, *[5] * d)
    constants = (normal(seed + 1, into, out // groups, *kernel), normal(seed + 2, out))
    agree(built("ConvTranspose", x, constants, data.draw(st.integers(11, 22)), **attributes), x)


@given(data=st.data())
@quick
def test_pooling(data):
    d, seed, op = (
        data.draw(st.integers(1, 3)),
        data.draw(seeds),
        data.draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"])),
    )
    opset = data.draw(versions)
    some = lambda low, high: data.draw(st.lists(st.integers(low, high), min_size=d, max_size=d))  # noqa: E731
    attributes = {"kernel_shape": some(2, 3), "strides": some(1, 3)}
    auto = data.draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto == "NOTSET":
        attributes["pads"] = data.draw(st.lists(st.integers(0, 1), min_size=2 * d, max_size=2 * d))
    else:
        attributes["auto_pad"] = auto
    if op != "LpPool" and opset >= 10 and auto == "NOTSET":
        attributes["ceil_mode"] = int(data.draw(st.booleans()))
    if auto == "NOTSET" and ((op == "MaxPool" and opset >= 10) or (op == "AveragePool" and opset >= 19)):
        attributes["dilations"] = some(1, 2)
    if op == "AveragePool":
        attributes["count_include_pad"] = int(data.draw(st.booleans()))
    x = normal(seed, 2, 3, *data.draw(st.lists(st.integers(6, 8), min_size=d, max_size=d)))
    agree(built(op, x, (), opset, **attributes), x)


@given(data=st.data())
@quick
def test_resizing(data):
    seed, opset = data.draw(seeds), data.draw(st.sampled_from([11, 13, 18, 19]))
    mode = data.draw(st.sampled_from(["nearest", "linear", "cubic"]))
    where = data.draw(st.sampled_from(["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]))
    attributes = {"mode": mode, "coordinate_transformation_mode": where}
    if mode == "nearest":
        attributes["nearest_mode"] = data.draw(
            st.sampled_from(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
        )
    if mode == "cubic":
        attributes["cubic_coeff_a"] = data.draw(st.sampled_from([-0.5, -0.75]))
        attributes["exclude_outside"] = int(data.draw(st.booleans()))
    x = normal(seed, 1, 2, data.draw(st.integers(4, 7)), data.draw(st.integers(4, 7)))
    sizes = torch.tensor([1, 2, data.draw(st.integers(2, 12)), data.draw(st.integers(2, 12))])
    agree(built("Resize", x, (None, None, sizes), opset, **attributes), x)


@given(
    seed=seeds,
    opset=st.sampled_from([7, 8, 9]),
    factor=st.sampled_from([1.0, 2.0, 3.0]),
    mode=st.sampled_from(["nearest", "linear"]),
)
@quick
def test_upsampling(seed, opset, factor, mode):
    x, scales = normal(seed, 1, 2, 4, 5), [1.0, 1.0, factor, 2.0]
    if opset < 9:
        agree(built("Upsample", x, (), opset, mode=mode, scales=scales), x)
    else:
        agree(built("Upsample", x, (torch.tensor(scales),), opset, mode=mode), x)


@given(data=st.data())
@quick
def test_recurrence(data):
    op, seed = data.draw(st.sampled_from(["RNN", "GRU", "LSTM"])), data.draw(seeds)
    direction = data.draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
    gates, ways = {"RNN": 1, "GRU": 3, "LSTM": 4}[op], 2 if direction == "bidirectional" else 1
    time, batch, into, hidden = data.draw(st.tuples(*[st.integers(1, 4)] * 4))
    x = normal(seed, time, batch, into)
    constants = [normal(seed + 1, ways, gates * hidden, into), normal(seed + 2, ways, gates * hidden, hidden)]
    constants.append(normal(seed + 3, ways, 2 * gates * hidden) if data.draw(st.booleans()) else None)
    lengths = data.draw(st.lists(st.integers(1, time), min_size=batch, max_size=batch))
    constants.append(torch.tensor(lengths, dtype=torch.int32) if data.draw(st.booleans()) else None)
    constants.append(normal(seed + 4, ways, batch, hidden) if data.draw(st.booleans()) else None)
    if op == "LSTM":
        constants.append(normal(seed + 5, ways, batch, hidden) if data.draw(st.booleans()) else None)
        constants.append(normal(seed + 6, ways, 3 * hidden) if data.draw(st.booleans()) else None)
    while constants[-1] is None:
        constants.pop()
    attributes = {"hidden_size": hidden, "direction": direction}
    if op == "GRU":
        attributes["linear_before_reset"] = int(data.draw(st.booleans()))
    outputs = 3 if op == "LSTM" else 2
    agree(built(op, x, constants, data.draw(versions), outputs=outputs, **attributes), x)


@given(data=st.data())
@quick
def test_reductions(data):
    op = data.draw(st.sampled_from(["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare", "LogSumExp"]))
    opset, seed, keep = data.draw(versions), data.draw(seeds), int(data.draw(st.booleans()))
    axes = data.draw(st.lists(st.sampled_from([0, 1, 2, -1]), min_size=1, max_size=2, unique=True))
    assume(len({a % 3 for a in axes}) == len(axes) and (opset >= 11 or min(axes) >= 0))
    x = normal(seed, 3, 2, 4)
    if opset >= (13 if op == "Sum" else 18):
        agree(built(f"Reduce{op}", x, (torch.tensor(axes),), opset, keepdims=keep), x)
    else:
        agree(built(f"Reduce{op}", x, (), opset, axes=axes, keepdims=keep), x)


@given(data=st.data())
@quick
def test_slices(data):
    seed, opset = data.draw(seeds), data.draw(versions)
    x, numbers = normal(seed, 4, 5, 6), st.integers(-7, 7)
    axes = data.draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True))
    starts, ends = ([data.draw(numbers) for _ in axes] for _ in range(2))
    if opset < 10:
        agree(built("Slice", x, (), opset, starts=starts, ends=ends, axes=axes), x)
        return
    steps = [data.draw(st.sampled_from([1, 2, -1, -2])) for _ in axes]
    agree(built("Slice", x, [torch.tensor(v) for v in (starts, ends, axes, steps)], opset), x)


@given(data=st.data())
@quick
def test_padding(data):
    seed, opset, mode = (
        data.draw(seeds),
        data.draw(versions),
        data.draw(st.sampled_from(["constant", "reflect", "edge"])),
    )
    x = normal(seed, 1, 2, 4, 5)
    low = -1 if mode == "constant" else 0
    pads = [
        0,
        0,
        *data.draw(st.lists(st.integers(low, 2), min_size=2, max_size=2)),
        0,
        0,
        1,
        data.draw(st.integers(0, 2)),
    ]
    if opset < 11:
        agree(built("Pad", x, (), opset, mode=mode, pads=pads, value=0.5), x)
    else:
        agree(built("Pad", x, (torch.tensor(pads), torch.tensor(0.5)), opset, mode=mode), x)


PLAIN = {
    **dict.fromkeys(
        ["Exp", "Tanh", "Sigmoid", "Relu", "Softplus", "Softsign", "Abs", "Neg", "Sin", "Cos", "Identity"], 7
    ),
    **dict.fromkeys(
        ["Atan", "Elu", "Selu", "LeakyRelu", "HardSigmoid", "Reciprocal", "Erf", "Sinh", "Cosh", "Asinh"], 9
    ),
    **dict.fromkeys(["ThresholdedRelu", "Shrink", "Celu", "HardSwish", "Mish", "Gelu", "LpNormalization"], 20),
    **dict.fromkeys(["Softmax", "LogSoftmax", "Flatten", "Transpose", "GlobalAveragePool", "GlobalMaxPool"], 7),
    **dict.fromkeys(["MeanVarianceNormalization", "CumSum", "Trilu", "DepthToSpace", "SpaceToDepth"], 14),
}


@pytest.mark.parametrize("op", PLAIN)
@pytest.mark.parametrize("later", [0, 4])
def test_operators_of_one_input(op, later):
    x = normal(3, 2, 4, 4, 6)
    constants = (torch.tensor(1),) if op == "CumSum" else ()
    attributes = {"blocksize": 2} if op in {"DepthToSpace", "SpaceToDepth"} else {}
    agree(built(op, x, constants, min(PLAIN[op] + later, 22), **attributes), x)


NORMALIZED = {
    "BatchNormalization": (4, 9), "InstanceNormalization": (2, 9), "LayerNormalization": (2, 17),
    "GroupNormalization": (2, 21), "PRelu": (1, 9), "Gemm": (0, 11), "MatMul": (0, 9), "LRN": (0, 9),
}  # fmt: skip


@given(seed=seeds, opset=versions)
@quick
def test_normalization(seed, opset):
    x = normal(seed, 3, 4, 5, 5)
    four = [normal(seed + 1, 4), normal(seed + 2, 4), normal(seed + 3, 4), normal(seed + 4, 4).abs() + 0.1]
    agree(built("BatchNormalization", x, four, opset, epsilon=1e-3), x)
    agree(built("InstanceNormalization", x, four[:2], opset, epsilon=1e-3), x)
    agree(built("LRN", x, (), opset, size=3, alpha=0.1, beta=0.7, bias=1.5), x)
    agree(built("PRelu", x, (normal(seed, 4, 1, 1).abs(),), opset), x)
    if opset >= 17:
        agree(built("LayerNormalization", x, (normal(seed, 5, 5), normal(seed + 1, 5, 5)), opset, axis=2), x)
    if opset >= 21:
        agree(built("GroupNormalization", x, four[:2], opset, num_groups=2), x)


@given(seed=seeds, opset=versions, a=st.booleans(), b=st.booleans(), alpha=st.sampled_from([1.0, 0.5]))
@quick
def test_products(seed, opset, a, b, alpha):
    x, w = normal(seed, *((3, 2) if a else (2, 3))), normal(seed + 1, *((4, 3) if b else (3, 4)))
    agree(built("Gemm", x, (w, normal(seed + 2, 4)), opset, transA=int(a), transB=int(b), alpha=alpha), x)
    agree(built("MatMul", normal(seed, 2, 2, 3), (normal(seed + 1, 3, 4),), opset), normal(seed, 2, 2, 3))
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min"):
        if opset >= 8 or op not in {"Max", "Min"}:
            agree(built(op, x, (normal(seed + 3, x.shape[1]),), opset), x)


@given(seed=seeds, opset=st.integers(10, 22), signed=st.booleans(), per_channel=st.booleans())
@quick
def test_rounding_to_integers_and_back(seed, opset, signed, per_channel):
    kind = torch.int8 if signed else torch.uint8
    many = 4 if per_channel and opset >= 13 else 1
    draw = torch.Generator().manual_seed(seed)
    scale = torch.rand(many, generator=draw) * 0.05 + 0.01
    zero = torch.randint(0, 9, (many,), generator=draw).to(kind)
    scale, zero = (scale, zero) if many > 1 else (scale[0], zero[0])
    x = normal(seed, 2, 4, 3, 3)
    attributes = {"axis": 1} if opset >= 13 else {}
    model = built("QuantizeLinear", x, (scale, zero), opset, **attributes)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT8 if signed else TensorProto.UINT8
    agree(model, x, slopes=False)
    back = helper.make_node("DequantizeLinear", ["y0", "c0", "c1"], ["z"], **attributes)
    model.graph.node.append(back)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
    own = x.clone().requires_grad_()
    out = OnnxNetwork(parse(model), "test", "z", {})({"x": own})
    torch.testing.assert_close(out.detach(), torch.from_numpy(theirs(model, x)[0]))
    (slope,) = torch.autograd.grad(out.sum(), own)
    inside = ((out - own).abs() <= scale.min() / 2).detach()  # where nothing was cut off
    torch.testing.assert_close(slope[inside], torch.ones_like(slope[inside]))


@given(seed=seeds, per_channel=st.booleans(), pads=st.integers(0, 2))
@quick
def test_quantized_convolution(seed, per_channel, pads):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 255, (1, 3, 6, 6), generator=draw, dtype=torch.uint8)
    w = torch.randint(-63, 63, (4, 3, 3, 3), generator=draw, dtype=torch.int8)
    many = (4,) if per_channel else ()
    constants = [
        torch.tensor(0.02), torch.tensor(120, dtype=torch.uint8), w, torch.rand(many, generator=draw) * 0.01 + 0.01,
        torch.zeros(many, dtype=torch.int8), torch.tensor(0.3), torch.tensor(100, dtype=torch.uint8),
        torch.randint(-500, 500, (4,), generator=draw, dtype=torch.int32),
    ]  # fmt: skip
    model = built("QLinearConv", x, constants, 13, pads=[pads] * 4)
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    right = torch.from_numpy(theirs(model, x)[0]).float()
    own = OnnxNetwork(parse(model), "test", "y0", {})({"x": x.float().requires_grad_()})
    assert own.requires_grad
    own = own.detach()
    assert float((own - right).abs().max()) <= 1  # half a step may round either way
    assert float((own != right).float().mean()) < 0.02


def test_the_versions_that_are_drawn_reach_the_newest_of_onnxruntime():
    assert onnx.defs.onnx_opset_version() >= 22
