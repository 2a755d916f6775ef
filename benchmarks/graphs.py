"""ONNX graphs against the torch networks they were exported from, and against onnx2pytorch where it is installed.

python benchmarks/graphs.py [speed] [others] [made] [--rounds 5]

`forward and backward` is one gradient with respect to a batch of pictures. Then, for the ONNX files of others that come
inside of packages (tests/access/adapters/onnx/test_real_files.py names them): whether the answer is onnxruntime's. Then
the same, slopes included, for what torch's two exporters and onnxruntime's own tools write of networks that
are defined in the tests beside it.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import statistics
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "examples"))
sys.path.append(str(Path(__file__).parents[1] / "tests/access/adapters/onnx"))

import onnx
import onnxruntime
import real
import torch
from measure import provenance, ratio, side_by_side
from peers import peer
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access.adapters.onnx.graph import read_graph
from saddlepoint.access.adapters.onnx.network import OnnxNetwork
from saddlepoint.access.adapters.onnx.runtime import Session

BATCH = 16


def other(path: Path) -> nn.Module | None:
    """The network that onnx2pytorch makes of a file."""
    library = peer("onnx2pytorch")
    return None if library is None else library.ConvertModel(onnx.load(path), experimental=True).eval()


def slope(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """One gradient."""
    given = x.clone().requires_grad_()
    (out,) = torch.autograd.grad(network(given).sum(), given)
    return out


def speed(rounds: int) -> None:
    """Print how long graphs take."""
    networks = {
        "EfficientNet-Lite0": (real.efficientnet(), torch.rand(BATCH, 3, 224, 224)),
        "fashion-pgd-linf": (sp.zoo.load("fashion-pgd-linf"), torch.rand(256, 1, 28, 28)),
    }
    print("| network | who | forward and backward, CPU s (median) | ratio to torch | largest difference of slopes |")
    print("|---|---|---|---|---|")
    for name, (network, x) in networks.items():
        network.requires_grad_(False).eval()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.onnx"
            torch.onnx.export(network, (x,), str(path), dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
            runners = {"torch": network, "saddlepoint": sp.open_model(str(path)), "onnx2pytorch": other(path)}
        runs = {who: run for who, run in runners.items() if run is not None}
        seconds = side_by_side({who: lambda run=run, x=x: slope(run, x) for who, run in runs.items()}, rounds)
        right = slope(network, x)
        for who, run in runs.items():
            off = float((slope(run, x) - right).abs().max() / right.abs().max())
            times = ratio(seconds, who, "torch")
            print(f"| {name} | {who} | {statistics.median(seconds[who]):.3f} | {times:.2f} | {off:.0e} |", flush=True)


def agrees(answer: Callable[[], Tensor], truth: Tensor, tolerance: float) -> str:
    """Whether an answer is the truth to rounding, or what came instead."""
    try:
        found = answer().detach().float()
    except Exception as error:
        return f"{type(error).__name__}"
    if found.shape != truth.shape:
        return f"shape {list(found.shape)} for {list(truth.shape)}"
    off = float((found - truth).abs().max()) / max(1.0, float(truth.abs().max()))
    return "yes" if off <= tolerance else f"off by {off:.0e}"


def coverage() -> None:
    """Print whose answers on the files of others are onnxruntime's."""
    files = importlib.import_module("test_real_files")
    print("\n| file | operators | saddlepoint | onnx2pytorch |\n|---|---|---|---|")
    for name, file in files.FILES.items():
        path = real.folder(file.package) / file.path
        graph, draw = read_graph(path), torch.Generator().manual_seed(0)
        types, output = {port.name: port.type for port in graph.inputs}, graph.outputs[0].name
        given = {k: torch.tensor(v).to(types[k]) for k, v in file.given.items() if k in types}
        inputs = {k: (file.scale * torch.randn(s, generator=draw)).to(types[k]) for k, s in file.shapes.items()}
        truth = Session(path, output)({**inputs, **given}).float()

        def ours(graph=graph, path=path, output=output, given=given, inputs=inputs) -> Tensor:
            return OnnxNetwork(graph, path.name, output, given)(inputs)

        def theirs(path=path, types=types, given=given, inputs=inputs) -> Tensor:
            everything = {**inputs, **given}
            out = other(path)(*(everything[k] for k in types if k in everything))
            return out if isinstance(out, Tensor) else out[0]

        kinds = len({node.op_type for node in onnx.load(path).graph.node})
        told = "" if peer("onnx2pytorch") is None else agrees(theirs, truth, file.tolerance)
        print(f"| {name} | {kinds} | {agrees(ours, truth, file.tolerance)} | {told} |", flush=True)


def exported(folder: Path) -> Iterator[tuple[str, Path, nn.Module, Tensor]]:
    """A name, a file, the network it is of, and an input: two exporters in several versions."""
    kinds, x = importlib.import_module("test_dynamo"), torch.rand(2, 3, 16, 16)
    for kind in (kinds.Convolutions, kinds.Transformer, kinds.Recurrence):
        for newer, versions in ((False, (14, 17, 20)), (True, (18, 20, 23))):
            for opset in versions:
                torch.manual_seed(0)
                network, path = kind().eval(), folder / "net.onnx"
                if newer:
                    how = {"dynamic_shapes": ({0: torch.export.Dim("n")},), "verbose": False}
                else:
                    how = {"input_names": ["x"], "dynamic_axes": {"x": {0: "n"}}}
                torch.onnx.export(network, (x,), str(path), dynamo=newer, opset_version=opset, **how)
                yield f"{kind.__name__}, {'newer' if newer else 'older'} exporter, {opset}", path, network, x


def processed(folder: Path) -> Iterator[tuple[str, Path, nn.Module, Tensor]]:
    """The same of what onnxruntime's own tools make of fashion-standard and of a transformer's block."""
    tools = importlib.import_module("test_whole_networks")
    x, form = sp.zoo.data.load("fashion-mnist-1k[:64]").x, tools.quantization.QuantFormat
    for name, network in (("fashion-standard", sp.zoo.load("fashion-standard")), ("block", tools.Block().eval())):
        path = folder / f"{name}.onnx"
        tools.export(network, x[:2], path)
        files = {
            "integers": tools.quantized(path, x, f"{name}_q", form.QOperator),
            "rounding between": tools.quantized(path, x, f"{name}_qdq", form.QDQ),
            "optimized": tools.optimized(path, "extended"),
        }
        files["integers, optimized"] = tools.optimized(files["integers"], "extended")
        tools.quantization.quantize_dynamic(
            str(path), str(folder / f"{name}_d.onnx"), weight_type=tools.quantization.QuantType.QUInt8
        )
        files["by the own range"] = folder / f"{name}_d.onnx"
        yield from ((f"{name}, {how}", file, network, x[:1]) for how, file in files.items())


def led(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The slope of a weighted sum of what comes out."""
    return slope(lambda z: network(z) @ torch.arange(1.0, 1.0 + network(x).shape[1]), x)


def told(make: Callable[[], Callable[[Tensor], Tensor]], x: Tensor, truth: Tensor, right: Tensor) -> str:
    """Whether the answers are the truth to rounding, and the cosine of the slopes with the right ones."""
    answers = agrees(lambda: make()(x), truth, 1e-3)
    try:
        found = led(make(), x)
        cosine = f"{float(torch.cosine_similarity(found.flatten(), right.flatten(), 0)):.3f}"
    except Exception as error:
        cosine = type(error).__name__
    return f"{answers} | {cosine}"


def converted() -> None:
    """Print whose answers, and whose slopes, are those of the network that a file was made of."""
    print("\n| file | saddlepoint: answers | slopes | onnx2pytorch: answers | slopes |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, path, network, x in itertools.chain(exported(Path(folder)), processed(Path(folder))):
            graph = read_graph(path)
            port, output = graph.inputs[0].name, graph.outputs[0].name
            truth, right = Session(path, output)({port: x}), led(network, x)
            ours = OnnxNetwork(graph, path.name, output, {})
            rows = [told(lambda run=ours, port=port: lambda z: run({port: z}), x, truth, right)]
            rows.append(" | " if peer("onnx2pytorch") is None else told(lambda p=path: other(p), x, truth, right))
            print(f"| {name} | {' | '.join(rows)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    onnxruntime.set_default_logger_severity(4)
    parser.add_argument("what", nargs="*", choices=["speed", "others", "made"], help="which tables; all by default")
    args = parser.parse_args()
    tables = {"speed": lambda: speed(args.rounds), "others": coverage, "made": converted}
    for name in args.what or tables:
        tables[name]()
    print(f"\n{provenance(BATCH)}")
