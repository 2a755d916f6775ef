"""Whole networks as onnxruntime's tools leave them, quantized or optimized: its answers, and slopes to attack by."""

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnxruntime import quantization
from torch import nn

import saddlepoint as sp

sys.path.append(str(Path(__file__).parent))
from one_node import exact

onnxruntime.set_default_logger_severity(4)
RADIUS = 0.1


class Batches(quantization.CalibrationDataReader):
    """What the quantizer looks at to choose scales."""

    def __init__(self, x):
        self.left = iter(x.split(50))

    def get_next(self):
        part = next(self.left, None)
        return None if part is None else {"x": part.numpy()}


@pytest.fixture(scope="module")
def data():
    return sp.zoo.data.load("fashion-mnist-1k[:200]")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The file of a float network."""
    path = tmp_path_factory.mktemp("whole") / "float.onnx"
    export(sp.zoo.load("fashion-standard"), torch.rand(2, 1, 28, 28), path)
    return path


def export(network, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network.eval(), (x,), str(path), dynamo=False, input_names=["x"], output_names=["y"],
                          dynamic_axes={"x": {0: "n"}}, opset_version=17)  # fmt: skip


def quantized(path, x, name, form, kind=quantization.QuantType.QUInt8, per_channel=False):
    to = path.with_name(f"{name}.onnx")
    quantization.quantize_static(str(path), str(to), Batches(x), quant_format=form, activation_type=kind,
                                 weight_type=quantization.QuantType.QInt8, per_channel=per_channel)  # fmt: skip
    return to


def run(path, x):
    return torch.from_numpy(onnxruntime.InferenceSession(str(path), exact()).run(None, {"x": x.numpy()})[0])


FORMS = {
    "integers": (quantization.QuantFormat.QOperator, quantization.QuantType.QUInt8, False),
    "integers by channel": (quantization.QuantFormat.QOperator, quantization.QuantType.QUInt8, True),
    "rounding between": (quantization.QuantFormat.QDQ, quantization.QuantType.QUInt8, False),
    "signed rounding between": (quantization.QuantFormat.QDQ, quantization.QuantType.QInt8, True),
    "by the own range": None,
}


@pytest.fixture(scope="module", params=FORMS)
def rounding(request, whole, data):
    """A file of the same network in one of the quantized forms."""
    if FORMS[request.param] is None:
        to = whole.with_name("dynamic.onnx")
        quantization.quantize_dynamic(str(whole), str(to), weight_type=quantization.QuantType.QUInt8)
        return to
    form, kind, per_channel = FORMS[request.param]
    return quantized(whole, data.x, request.param.replace(" ", "_"), form, kind, per_channel)


def test_a_quantized_network_answers_as_onnxruntime(rounding, data):
    ops = {node.op_type for node in onnx.load(rounding).graph.node}
    assert any(op.startswith(("QLinear", "Quantize", "ConvInteger")) for op in ops)
    network = sp.open_model(str(rounding))
    with torch.no_grad():
        own = network(data.x)
    right = torch.cat([run(rounding, one) for one in data.x.split(1)])  # ranges of whole batches would differ
    assert float((own - right).abs().max()) <= 0.05 * float(right.abs().max())
    assert float((own - right).abs().mean()) <= 0.005 * float(right.abs().max())
    assert (own.argmax(1) == right.argmax(1)).float().mean() >= 0.99


def test_what_breaks_a_float_network_breaks_it_quantized(rounding, whole, data):
    """Judged by onnxruntime on the quantized file, and attacked through its slopes."""
    x, y = data.x[:60], data.y[:60]

    def broken(path):
        model = sp.wrap(sp.open_model(str(path)))
        found = sp.attacks.pgd(model, x, y, sp.Linf(RADIUS), steps=10, seed=0)
        return torch.cat([run(rounding, one) for one in found.x_adv.split(1)]).argmax(1) != y

    by_float, by_own = broken(whole), broken(rounding)
    assert by_float.float().mean() > 0.9
    assert (by_float & ~by_own).sum() <= 1


class Block(nn.Module):
    """A transformer's block on rows of a picture, and a head."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(28, 4, batch_first=True)
        self.norm, self.wide, self.back = nn.LayerNorm(28), nn.Linear(28, 56), nn.Linear(56, 28)
        self.head = nn.Linear(28, 10)

    def forward(self, x):
        x = x[:, 0]
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head((x + self.back(nn.functional.gelu(self.wide(x)))).mean(1))


LEVELS = {
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def optimized(path, level):
    options = exact()
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = str(path.with_name(f"{path.stem}_{level}.onnx"))
    onnxruntime.InferenceSession(str(path), options)
    return path.with_name(f"{path.stem}_{level}.onnx")


def test_a_sample_is_rounded_by_its_own_range(whole, data):
    path = whole.with_name("dynamic_too.onnx")
    quantization.quantize_dynamic(str(whole), str(path), weight_type=quantization.QuantType.QUInt8)
    network = sp.open_model(str(path))
    with torch.no_grad():
        alone = torch.cat([network(one) for one in data.x[:20].split(1)])
        torch.testing.assert_close(network(data.x[:20]), alone, rtol=1e-5, atol=1e-4)
    assert (run(path, data.x[:20]) - alone).abs().max() > 1e-2  # as onnxruntime would in one batch


@pytest.mark.parametrize("level", ["basic", "extended"])
def test_an_optimized_transformer_keeps_its_slopes(level, tmp_path):
    torch.manual_seed(0)
    block, x = Block().eval(), torch.rand(3, 1, 28, 28)
    export(block, x, tmp_path / "block.onnx")
    path = optimized(tmp_path / "block.onnx", level)
    network = sp.open_model(str(path))
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, right = network(mine), block(other)
    torch.testing.assert_close(out, right, rtol=1e-4, atol=1e-5)
    weight = torch.from_numpy(np.random.default_rng(0).normal(size=out.shape)).float()
    slopes = [torch.autograd.grad((weight * v).sum(), at)[0] for v, at in ((out, mine), (right, other))]
    torch.testing.assert_close(*slopes, rtol=1e-3, atol=1e-5)
    if level == "extended":
        assert {node.domain for node in onnx.load(path).graph.node} & {"com.microsoft"}


@pytest.mark.parametrize("form", [quantization.QuantFormat.QOperator, quantization.QuantFormat.QDQ])
def test_an_optimized_quantized_network_answers_as_before(form, whole, data):
    path = optimized(quantized(whole, data.x, f"before_{form.name}", form), "extended")
    network = sp.open_model(str(path))
    right = run(path, data.x)
    with torch.no_grad():
        assert (network(data.x) - right).abs().max() <= 0.05 * right.abs().max()
    assert {node.op_type for node in onnx.load(path).graph.node} >= {"QLinearConv", "QGemm"}
