"""What runs each operator, by families. Importing this registers all of them."""

from saddlepoint.access.adapters.onnx.operators import (
    attention,
    control,
    convolution,
    elementwise,
    fused,
    indexing,
    normalization,
    quantization,
    quantized,
    recurrent,
    reduction,
    regions,
    resizing,
    shaping,
    signal,
    transformers,
)

__all__ = [
    "attention",
    "control",
    "convolution",
    "elementwise",
    "fused",
    "indexing",
    "normalization",
    "quantization",
    "quantized",
    "recurrent",
    "reduction",
    "regions",
    "resizing",
    "shaping",
    "signal",
    "transformers",
]
