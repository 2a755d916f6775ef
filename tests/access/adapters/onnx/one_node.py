"""Files of one node, and what holds them against onnxruntime."""

import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from saddlepoint.access.adapters.onnx.graph import parse
from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.access.adapters.onnx.runtime import EXACT

onnxruntime.set_default_logger_severity(4)
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
seeds = st.integers(0, 2**16)
versions = st.integers(7, 22)


def exact():
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry(*EXACT)
    return options


def normal(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def built(op, x, constants=(), opset=17, outputs=1, domain="", kind=TensorProto.FLOAT, **attributes):
    """A file with one node: ``x`` goes in, the constants (None: left out) stand in the file; ``kind`` comes out."""
    names = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    node = helper.make_node(op, ["x", *names], [f"y{i}" for i in range(outputs)], domain=domain, **attributes)
    stored = [numpy_helper.from_array(c.numpy(), n) for c, n in zip(constants, names, strict=True) if c is not None]
    came = helper.np_dtype_to_tensor_dtype(x.numpy().dtype)
    ports = [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)]
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", came, list(x.shape))], ports, stored)
    imports = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    for port in model.graph.output:
        port.type.tensor_type.elem_type = kind
    return model


def theirs(model, x):
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), exact(), providers=["CPUExecutionProvider"])
        return session.run(None, {"x": x.numpy()})
    except Exception:  # what onnxruntime itself refuses is no case
        assume(False)


def agree(model, x, slopes=True, tolerance=1e-4):
    right = theirs(model, x)
    for i, expected in enumerate(right):
        network = OnnxNetwork(parse(model), "test", f"y{i}", {})
        own = network({"x": x})
        assert tuple(own.shape) == expected.shape, (own.shape, expected.shape)
        scale = max(1.0, float(abs(expected).max())) if expected.size else 1.0
        torch.testing.assert_close(
            own.detach().double(), torch.from_numpy(expected).double(), rtol=0, atol=tolerance * scale
        )
    if slopes:
        check_slopes(OnnxNetwork(parse(model), "test", "y0", {}).double(), x.double())


def check_slopes(network, x):
    """The slope along a random direction against a central difference, in double precision."""
    x = x.clone().requires_grad_()
    out = network({"x": x})
    assert out.dtype == torch.float64
    weight = normal(1, *out.shape).double()
    (slope,) = torch.autograd.grad((weight * out).sum(), x)
    along = normal(2, *x.shape).double()
    step = 1e-6
    with torch.no_grad():
        up, down = (network({"x": x + sign * step * along}) for sign in (1, -1))
    assert float((slope * along).sum()) == pytest.approx(
        float((weight * (up - down)).sum() / (2 * step)), rel=1e-4, abs=1e-5
    )
