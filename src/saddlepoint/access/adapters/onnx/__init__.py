"""ONNX graphs run with torch operations, so that slopes reach the input; or by onnxruntime, as a black box."""

from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.access.adapters.onnx.opening import from_onnx, open_onnx

__all__ = ["OnnxNetwork", "from_onnx", "open_onnx"]
