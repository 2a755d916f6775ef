"""What runs each operator, by families. Importing this registers all of them."""

from saddlepoint.access.adapters.onnx.operators import (
    attention,
    control,
    convolution,
    elementwise,
    indexing,
    normalization,
    quantization,
    recurrent,
    reduction,
    resizing,
    shaping,
    signal,
)

__all__ = [
    "attention",
    "control",
    "convolution",
    "elementwise",
    "indexing",
    "normalization",
    "quantization",
    "recurrent",
    "reduction",
    "resizing",
    "shaping",
    "signal",
]
