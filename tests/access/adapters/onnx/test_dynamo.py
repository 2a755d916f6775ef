"""Files of torch's newer exporter, with other operators and a free batch: answers and slopes of what was exported."""

import warnings

import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

import saddlepoint as sp

pytest.importorskip("onnxscript", reason="torch.onnx.export(dynamo=True) needs onnxscript")


class Convolutions(nn.Module):
    """Depthwise and dense, a norm, resizing and two activations."""

    def __init__(self):
        super().__init__()
        self.dense, self.norm, self.deep = (
            nn.Conv2d(3, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 8, 3, 2, 1, 1, 8),
        )
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        z = functional.silu(self.deep(functional.hardswish(self.norm(self.dense(x)))))
        z = functional.interpolate(z, scale_factor=2, mode="bilinear")
        return self.head(functional.adaptive_avg_pool2d(z, 1).flatten(1))


class Transformer(nn.Module):
    """Patches, one layer of attention, and their mean."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, activation="gelu")
        self.patches, self.head = nn.Conv2d(3, 16, 4, 4), nn.Linear(16, 5)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)

    def forward(self, x):
        return self.head(self.layers(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Recurrence(nn.Module):
    """Rows of a picture as steps in time."""

    def __init__(self):
        super().__init__()
        self.rows, self.head = nn.LSTM(48, 6, batch_first=True, bidirectional=True), nn.Linear(12, 5)

    def forward(self, x):
        return self.head(self.rows(x.transpose(1, 2).flatten(2))[0][:, -1]).softmax(-1)


@pytest.mark.parametrize(
    ("kind", "opset", "needed"),
    [(Convolutions, None, {"Resize"}), (Transformer, 22, {"Gelu"}), (Recurrence, 18, {"LSTM"})],
)
def test_a_file_of_the_newer_exporter(tmp_path, kind, opset, needed):
    torch.manual_seed(0)
    network, x, path = kind().eval(), torch.rand(2, 3, 16, 16), tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = ({0: torch.export.Dim("n")},)
        torch.onnx.export(
            network, (x,), str(path), dynamo=True, dynamic_shapes=free, opset_version=opset, verbose=False
        )
    assert {node.op_type for node in onnx.load(path).graph.node} >= needed
    through, many = sp.open_model(str(path)), torch.rand(5, 3, 16, 16)
    mine, other = many.clone().requires_grad_(), many.clone().requires_grad_()
    out, right = through(mine), network(other)
    out = out.softmax(-1) if kind is Recurrence else out  # logits are taken from before a last softmax
    torch.testing.assert_close(out, right, rtol=1e-4, atol=1e-5)
    weight = torch.arange(5.0)
    slopes = [torch.autograd.grad((weight * v).sum(), at)[0] for v, at in ((out, mine), (right, other))]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-6)
