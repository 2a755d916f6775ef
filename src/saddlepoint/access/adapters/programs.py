"""Whole programs that were saved with their weights: TorchScript archives and ``torch.export`` programs.

What could run code when it is read, or reach files when it runs, is refused before it is opened: ``safety`` says how.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.access.adapters import safety
from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.foreign import Foreign
from saddlepoint.access.model import scores_in
from saddlepoint.errors import ModelError

REFUSED = {
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".joblib": "a joblib pickle",
    ".skops": "a scikit-learn archive",
    ".h5": "a Keras file",
    ".keras": "a Keras file",
    ".tflite": "a TensorFlow Lite file",
}
"""Kinds of files that are never read as models."""


def open_program(spec: str, access: Literal["labels", "scores", "gradients"] | None = None) -> nn.Module:
    """The module in a TorchScript archive (.pt, .pth, .ts) or a ``torch.export`` program (.pt2), on the CPU.

    Raises:
        ModelError: missing or damaged file; weights alone, or a pickled module; a program with more than tensors in it.
    """
    path = Path(spec)
    if not path.is_file():
        raise ModelError(f"no file at {path}{_hint(path)}")
    if path.suffix.lower() == ".pt2":
        return _exported(path)
    members = _members(path)
    if (other := _disguised(path, members)) is not None:
        kind, suffix = other
        raise ModelError(f"{path} is {kind} by what is in it: give it the name {path.with_suffix(suffix).name}")
    if not any("/code/" in name for name in members):
        raise ModelError(
            f"{path} is no TorchScript archive{_hint(path)}; whole modules that were pickled are not read, because that"
            " could run code"
        )
    safety.check_script(path)
    try:
        network: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        return network.eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"{path} is no whole TorchScript archive: {first_line(error)}") from error


def refuse(spec: str, access: object = None) -> nn.Module:
    """Say why a file of this kind is not read, and what to do."""
    kind = REFUSED[Path(spec).suffix.lower()]
    raise ModelError(
        f"{spec} is {kind}, which is not read: it could run code, or holds no network that torch can run; name code"
        " that builds the model (package.module:callable), or export it to ONNX"
    )


def _hint(path: Path) -> str:
    return f" (a file of weights has no architecture: name the code that builds it, and --weights {path})"


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _disguised(path: Path, members: list[str]) -> tuple[str, str] | None:
    """What a file is that has the name of a TorchScript archive, and the suffix that it should have."""
    if any(name.endswith("/archive_format") for name in members):
        return "a torch.export program", ".pt2"
    with path.open("rb") as file:
        first = file.read(16)
    if first[:1] == b"\x08" and first[2:3] in {b"\x12", b":", b"B"}:  # the version of ONNX, then producer or graph
        return "an ONNX file", ".onnx"
    if len(first) > 8 and first[8:9] == b"{" and int.from_bytes(first[:8], "little") < path.stat().st_size:
        return "a safetensors file of weights", ".safetensors"
    return None


def _exported(path: Path) -> nn.Module:
    if not _members(path):
        raise ModelError(f"{path} is no whole torch.export archive: it is no zip file, or truncated")
    safety.check_export(path)
    try:
        program = torch.export.load(str(path))
    except Exception as error:  # torch.export raises whatever it stumbles over
        raise ModelError(f"{path} cannot be read as a torch.export program: {first_line(error)}") from error
    return Exported(program)


class Exported(Foreign):
    """A ``torch.export`` program that takes any number of inputs: groups of the size it was exported for.

    A batch axis that was exported as dynamic is used as it is.
    """

    made_from = "a torch.export program"

    def __init__(self, program: Any) -> None:
        super().__init__()
        self.module, self.size = program.module(check_guards=False), _fixed_batch(program)

    def train(self, mode: bool = True) -> Exported:
        """Programs are exported in one mode and stay in it."""
        self.training = mode
        return self

    def forward(self, x: Tensor) -> Any:
        """What the program gives for x [N, *D]."""
        if self.size is None or len(x) == self.size:
            return self.module(x)
        short = -len(x) % self.size
        whole = torch.cat([x, x[-1:].expand(short, *x.shape[1:])]) if short else x
        return torch.cat([scores_in(self.module(part)) for part in torch.split(whole, self.size)])[: len(x)]


def _fixed_batch(program: Any) -> int | None:
    """The number of samples a program was exported for, None where it is free."""
    users = program.graph_signature.user_inputs
    if len(users) != 1:
        raise ModelError(f"the program takes {len(users)} inputs; one, a batch of samples, is expected")
    node = next(n for n in program.graph.nodes if n.name == users[0])
    length = node.meta["val"].shape[0]
    return length if isinstance(length, int) else None
