"""Windows, Fourier transforms and mel weights; and random numbers, each run its own."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.adapters.onnx.node import FLOAT, Node, Run, operator


@operator("HannWindow", "HammingWindow", "BlackmanWindow", host=(0,), needs_run=True)
def window(node: Node, run: Run, size: Any) -> Tensor:
    """A window of cosines."""
    size = size[0] if isinstance(size, list) else size
    periodic = bool(node.get("periodic", 1))
    at = torch.arange(size, dtype=torch.float64) / (size if periodic else size - 1)
    a = {"HannWindow": (0.5, 0.5, 0.0), "HammingWindow": (25 / 46, 21 / 46, 0.0), "BlackmanWindow": (0.42, 0.5, 0.08)}[
        node.op
    ]
    out = a[0] - a[1] * torch.cos(2 * math.pi * at) + a[2] * torch.cos(4 * math.pi * at)
    return out.to(dtype=run.dtype(node.get("output_datatype", FLOAT)), device=run.device)


@operator("DFT", host=(1, 2))
def dft(node: Node, x: Tensor, length: Any = None, axis: Any = None) -> Tensor:
    """The discrete Fourier transform along an axis; real and imaginary parts on the last one."""
    length, axis = (v[0] if isinstance(v, list) else v for v in (length, axis))
    axis = node.get("axis", 1) if node.opset < 20 else (-2 if axis is None else axis)
    axis = axis % x.ndim
    inverse, half = bool(node.get("inverse", 0)), bool(node.get("onesided", 0))
    if inverse and half:
        full = torch.view_as_complex(x.contiguous())
        return torch.fft.irfft(full, length, axis).unsqueeze(-1)
    z = torch.view_as_complex(x.contiguous()) if x.shape[-1] == 2 else x.squeeze(-1)
    if half:
        return torch.view_as_real(torch.fft.rfft(z, length, axis))
    return torch.view_as_real((torch.fft.ifft if inverse else torch.fft.fft)(z, length, axis))


@operator("STFT", host=(1, 3))
def stft(node: Node, x: Tensor, step: Any, shape: Tensor | None = None, length: Any = None) -> Tensor:
    """Fourier transforms of frames, each through a window: [N, frames, frequencies, 2]."""
    step, length = (v[0] if isinstance(v, list) else v for v in (step, length))
    length = len(shape) if length is None and shape is not None else length
    z = torch.view_as_complex(x.contiguous()) if x.ndim == 3 and x.shape[-1] == 2 else x.reshape(x.shape[0], -1)
    frames = z.unfold(1, length, step)
    frames = frames if shape is None else frames * shape
    half = bool(node.get("onesided", 1)) and not frames.is_complex()
    return torch.view_as_real((torch.fft.rfft if half else torch.fft.fft)(frames, dim=-1))


@operator("MelWeightMatrix", host=(0, 1, 2, 3, 4), needs_run=True)
def mel(node: Node, run: Run, bins: int, size: int, rate: int, low: float, high: float) -> Tensor:
    """Triangles on the mel scale: [frequencies, bins]."""

    def to_mel(f: float) -> float:
        return 2595 * math.log10(1 + f / 700)

    frequencies = size // 2 + 1
    step = (to_mel(high) - to_mel(low)) / (bins + 2)
    edges = [700 * (10 ** ((to_mel(low) + i * step) / 2595) - 1) for i in range(bins + 2)]
    at = [int((size + 1) * edge // rate) for edge in edges]
    out = torch.zeros(frequencies, bins, dtype=run.dtype(node.get("output_datatype", FLOAT)))
    for i in range(bins):
        left, middle, right = at[i : i + 3]
        for j in range(left, middle + 1):
            out[j, i] = 1.0 if left == middle else (j - left) / (middle - left)
        for j in range(middle, right):
            out[j, i] = (right - j) / (right - middle)
    return out.to(run.device)


@operator("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", needs_run=True, random=True)
def draw(node: Node, run: Run, *like: Tensor) -> Tensor:
    """New random numbers at each run: an audit finds that out and takes the mean over draws."""
    shape = list(like[0].shape) if like else node.get("shape")
    code = node.get("dtype")
    kind = (like[0].dtype if like else run.floating) if code is None else run.dtype(code)
    if "Normal" in node.op:
        out = torch.randn(shape, device=run.device) * node.get("scale", 1.0) + node.get("mean", 0.0)
    else:
        low, high = node.get("low", 0.0), node.get("high", 1.0)
        out = torch.rand(shape, device=run.device) * (high - low) + low
    return out.to(kind)


@operator("Bernoulli", needs_run=True, random=True)
def bernoulli(node: Node, run: Run, p: Tensor) -> Tensor:
    """1 with the probabilities that are given."""
    code = node.get("dtype")
    return torch.bernoulli(p).to(p.dtype if code is None else run.dtype(code))
