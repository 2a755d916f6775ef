"""A graph run by onnxruntime: a black box, which answers what any file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.errors import ModelError

EXACT = ("session.x64quantprecision", "1")
"""Sums of products of integers are not cut off at 16 bits where a processor has no instructions for them: else an
answer depends on the machine."""
INSTALL = "running ONNX files as a black box needs onnxruntime: pip install 'saddlepoint[onnx]'"


class Session(nn.Module):
    """``output`` of a file for tensors by the names of its inputs, without slopes.

    Raises:
        ModelError: onnxruntime is missing, or refuses the file or an input.
    """

    def __init__(self, path: Path, output: str) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(INSTALL) from error
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry(*EXACT)
        options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 4
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no base
            raise ModelError(f"onnxruntime refuses {path}: {first_line(error)}") from error
        self.path, self.output = path, output
        self.types = {i.name: _NUMPY.get(i.type, np.float32) for i in self.session.get_inputs()}

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """The output for ``inputs``, on the device of the first of them."""
        first = next(iter(inputs.values()))
        arrays = {k: v.detach().cpu().numpy().astype(self.types[k]) for k, v in inputs.items() if k in self.types}
        try:
            (out,) = self.session.run([self.output], arrays)
        except Exception as error:  # its errors share no base
            raise ModelError(f"onnxruntime could not run {self.path}: {first_line(error)}") from error
        return torch.from_numpy(np.asarray(out)).to(first.device)


_NUMPY: dict[str, Any] = {
    "tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16,
    "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8,
    "tensor(bool)": np.bool_,
}  # fmt: skip
