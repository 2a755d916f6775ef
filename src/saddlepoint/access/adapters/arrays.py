"""Models that take and give NumPy arrays, seen as black boxes."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from saddlepoint.access.adapters.wording import first_line
from saddlepoint.access.model import Model, wrap
from saddlepoint.errors import ModelError

Array = npt.NDArray[Any]


def from_numpy(
    answer: Callable[[Array], Any],
    *,
    gives: Literal["scores", "labels"] = "scores",
    classes: int | None = None,
    bounds: tuple[float, float] = (0.0, 1.0),
    batch_size: int = 1024,
    name: str = "",
    identity: str = "",
) -> Model:
    """A model from a function on arrays: inputs [N, *D] (float64) -> scores [N, K] or labels [N].

    Args:
        answer: the function; it is asked without slopes.
        gives: whether it answers scores (logits or probabilities, told from the first answer) or labels.
        classes: number of classes, needed for labels.
        bounds: the range of valid inputs.
        batch_size: how many samples it is asked at once, at most.
        name: shown in reports.
        identity: what the answers come from, such as a hash of weights: an audit goes on with a run only if it is the
            same. By default, where the function is defined.

    Raises:
        ModelError: at the first answer, if it raises, or gives NaN, text, or another number of rows.

    >>> model = from_numpy(lambda x: np.stack([x.sum(1), 2 * x.sum(1)], 1))
    >>> model(torch.tensor([[0.25, 0.5]]))
    tensor([[0.7500, 1.5000]])
    """
    name = name or getattr(answer, "__name__", type(answer).__name__)
    asked = Asked(answer, name, identity or _place(answer))
    output: Literal["labels", "auto"] = "labels" if gives == "labels" else "auto"
    model = wrap(asked, bounds=bounds, output=output, access=gives, classes=classes, batch_size=batch_size, name=name)
    model.dtype = torch.float64
    return model


@dc.dataclass(frozen=True)
class Asked:
    """A function on arrays, asked with tensors; ``identity`` tells it from others."""

    answer: Callable[[Array], Any]
    name: str
    identity: str

    def __call__(self, x: Tensor) -> Tensor:
        """The numbers for x [N, *D]."""
        try:
            given = np.asarray(self.answer(x.detach().cpu().double().numpy()))
        except Exception as error:  # the user's own code: whatever it raises is told in one line
            raise ModelError(f"{self.name} raised {type(error).__name__}: {first_line(error)}") from error
        return torch.from_numpy(_numbers(given, len(x), self.name)).to(x.device)


def _place(answer: object) -> str:
    module, name = (getattr(answer, key, None) or getattr(type(answer), key) for key in ("__module__", "__qualname__"))
    return f"{module}.{name}"


def _numbers(given: Array, rows: int, name: str) -> Array:
    if given.dtype.kind not in "fiub":
        raise ModelError(f"{name} answered {given.dtype}; numbers were expected: labels are 0..K-1, scores floats")
    if given.shape[:1] != (rows,):
        raise ModelError(f"{name} answered {list(given.shape)} to {rows} inputs; one row for each was expected")
    if not np.isfinite(given).all():
        raise ModelError(f"{name} answered NaN or infinity: attacks cannot tell what is better or worse")
    return np.array(given, dtype=np.float64 if given.dtype.kind == "f" else np.int64)
