"""Boxes, features of boxes, moved convolutions: the answers of onnxruntime, and right slopes."""

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

sys.path.append(str(Path(__file__).parent))

from one_node import agree, built, check_slopes, normal, quick, seeds

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork

INTEGER = TensorProto.INT64


def boxes_of(seed, n, many, side=10.0):
    draw = torch.Generator().manual_seed(seed)
    corners = torch.rand(n, many, 2, 2, generator=draw) * side
    return corners.sort(2).values.flatten(2)


@given(data=st.data())
@quick
def test_boxes_that_are_kept(data):
    seed, many = data.draw(seeds), data.draw(st.integers(1, 12))
    n, classes, centers = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3)), data.draw(st.integers(0, 1))
    boxes = boxes_of(seed, n, many)
    if centers:
        boxes = torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)
    elif data.draw(st.booleans()):
        boxes = boxes[..., [2, 3, 0, 1]]
    constants = [
        normal(seed + 1, n, classes, many),
        torch.tensor([data.draw(st.sampled_from([0, 1, 3, 20]))]),
        torch.tensor([data.draw(st.sampled_from([0.0, 0.3, 0.5]))]),
    ]
    if data.draw(st.booleans()):
        constants.append(torch.tensor([data.draw(st.sampled_from([-0.5, 0.0, 2.0]))]))
    model = built("NonMaxSuppression", boxes, constants, data.draw(st.sampled_from([10, 11, 17])), kind=INTEGER,
                  center_point_box=centers)  # fmt: skip
    agree(model, boxes, slopes=False)


@given(data=st.data())
@quick
def test_features_of_boxes(data):
    seed, many, opset = data.draw(seeds), data.draw(st.integers(1, 4)), data.draw(st.sampled_from([10, 16, 20]))
    x = normal(seed, 2, 3, data.draw(st.integers(4, 8)), data.draw(st.integers(4, 8)))
    rois = boxes_of(seed + 1, 1, many, 18.0)[0] - 2
    batch = torch.arange(many) % 2
    attributes = {
        "output_height": data.draw(st.integers(1, 3)), "output_width": data.draw(st.integers(1, 3)),
        "sampling_ratio": data.draw(st.integers(0, 3)), "spatial_scale": data.draw(st.sampled_from([0.25, 0.5, 1.0])),
        "mode": data.draw(st.sampled_from(["avg", "max"])),
    }  # fmt: skip
    if opset >= 16:
        attributes["coordinate_transformation_mode"] = data.draw(st.sampled_from(["half_pixel", "output_half_pixel"]))
    agree(built("RoiAlign", x, (rois, batch), opset, **attributes), x)


@pytest.mark.parametrize("ratio", [0, 2])
def test_slopes_reach_the_boxes(ratio):
    rois = torch.tensor([[0.7, 1.1, 4.2, 5.3], [2.3, 0.4, 6.1, 3.9]], dtype=torch.float64)
    model = built("RoiAlign", normal(0, 1, 2, 8, 8), (rois, torch.zeros(2, dtype=torch.int64)), 16,
                  output_height=2, output_width=2, sampling_ratio=ratio)  # fmt: skip
    model.graph.node[0].input[:] = ["c0", "x", "c1"]
    del model.graph.initializer[0]
    x = normal(1, 1, 2, 8, 8).double()
    network = OnnxNetwork(parse(model), "test", "y0", {"c0": x}).double()
    check_slopes(network, rois)


@given(data=st.data())
@quick
def test_moved_convolutions(data):
    seed, opset = data.draw(seeds), data.draw(st.sampled_from([19, 22]))
    group, moving = data.draw(st.sampled_from([1, 2])), data.draw(st.sampled_from([1, 2]))
    kh, kw, stride, dilation = (data.draw(st.integers(1, n)) for n in (3, 3, 2, 2))
    pad = data.draw(st.integers(0, 2))
    x = normal(seed, 2, 4, data.draw(st.integers(5, 7)), data.draw(st.integers(5, 7)))
    oh, ow = ((n + 2 * pad - dilation * (k - 1) - 1) // stride + 1 for n, k in zip(x.shape[2:], (kh, kw), strict=True))
    constants = [
        normal(seed + 1, 6, 4 // group, kh, kw),
        normal(seed + 2, 2, moving * kh * kw * 2, oh, ow),
        normal(seed + 3, 6) if data.draw(st.booleans()) else None,
        normal(seed + 4, 2, moving * kh * kw, oh, ow).sigmoid() if data.draw(st.booleans()) else None,
    ]
    while constants[-1] is None:
        constants.pop()
    attributes = {"kernel_shape": [kh, kw], "strides": [stride] * 2, "dilations": [dilation] * 2, "pads": [pad] * 4}
    agree(built("DeformConv", x, constants, opset, group=group, offset_group=moving, **attributes), x)


def test_slopes_reach_where_a_convolution_looks():
    x, weight, offset = normal(0, 1, 2, 6, 6), normal(1, 3, 2, 3, 3), normal(2, 1, 18, 4, 4).double()
    model = built("DeformConv", offset.float(), (x, weight), 19, kernel_shape=[3, 3])
    model.graph.node[0].input[:] = ["c0", "c1", "x"]
    check_slopes(OnnxNetwork(parse(model), "test", "y0", {}).double(), offset)


def test_a_box_of_no_size_has_no_features():
    x, rois = normal(0, 1, 2, 8, 8), torch.tensor([[2.0, 2.0, 2.0, 6.0], [1.0, 1.0, 5.0, 6.0]])
    agree(built("RoiAlign", x, (rois, torch.zeros(2, dtype=torch.int64)), 16, output_height=2, output_width=2), x)
