"""What a question must be before a model is asked: inputs in its range, labels among its classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from saddlepoint.access.model import Box
from saddlepoint.errors import DataError


def check_inputs(x: Tensor, box: Box) -> Tensor:
    """x as it can be asked about: a detached floating tensor inside the box. Raises DataError with what is wrong."""
    if not isinstance(x, Tensor):
        raise DataError(f"inputs must be a tensor [N, *D], got {type(x).__name__}: torch.as_tensor(x) makes one")
    if x.dtype not in (torch.float32, torch.float64):
        raise DataError(
            f"inputs are {x.dtype}; float32 or float64 were expected (bytes: x.float() / 255; the model itself may"
            " have any precision)"
        )
    x = x.detach()
    if x.ndim < 2 or not x.numel():
        raise DataError(f"inputs have shape {list(x.shape)}; at least one sample, [N, *D], was expected")
    low, high = float(x.amin()), float(x.amax())
    if not torch.isfinite(x).all():
        bad = int((~x.flatten(1).isfinite()).any(1).sum())
        raise DataError(f"{bad} of {len(x)} inputs hold NaN or infinity")
    slack = 4 * torch.finfo(x.dtype).eps * max(abs(box.low), abs(box.high), 1.0)
    if low < box.low - slack or high > box.high + slack:
        raise DataError(
            f"inputs range over [{low:g}, {high:g}], outside the bounds [{box.low:g}, {box.high:g}]: if they are"
            " normalized, pass them unnormalized and say sp.wrap(model, mean=..., std=...); else state the bounds:"
            " sp.wrap(model, bounds=(low, high))"
        )
    return x.clone().clamp(box.low, box.high)


def check_labels(label: Tensor, x: Tensor, classes: int, what: str = "labels") -> Tensor:
    """``label`` as long [N] on the device of x. Raises DataError with what is wrong; ``what`` it is called there."""
    if not isinstance(label, Tensor):
        raise DataError(f"{what} must be a tensor of integers [N], got {type(label).__name__}")
    if label.is_floating_point() or label.dtype == torch.bool or label.ndim != 1:
        hint = " (one-hot rows: use y.argmax(1))" if label.ndim == 2 else ""
        raise DataError(f"{what} must be integers [N], got {label.dtype} {list(label.shape)}{hint}")
    if len(label) != len(x):
        raise DataError(f"{len(x)} inputs but {len(label)} {what}")
    first, last = int(label.min()), int(label.max())
    if first < 0 or last >= classes:
        hint = f": if they count from {first}, take y - {first}" if first > 0 and last - first < classes else ""
        raise DataError(
            f"{what} range over [{first}, {last}]; the model has {classes} classes, 0 to {classes - 1}{hint}"
        )
    return label.to(device=x.device, dtype=torch.long)


def check_features(names: Sequence[str], fitted: Sequence[str], data: str) -> None:
    """Raises DataError where columns of ``data`` are not those a model was ``fitted`` on; names unknown fit any.

    >>> check_features(["age", "size"], ["age", "size"], "cells.csv")
    """
    if not names or not fitted or list(names) == list(fitted):
        return
    missing = [name for name in fitted if name not in names]
    more = [name for name in names if name not in fitted]
    if missing:
        what = f"the model was fitted on {missing[0]!r}, which is none of its columns {', '.join(names[:20])}"
    elif more:
        what = f"the model was not fitted on {more[0]!r}: leave it out with ?drop={','.join(more)}"
    else:
        at = next(i for i, (own, wanted) in enumerate(zip(names, fitted, strict=True)) if own != wanted)
        what = (
            f"its columns are in another order than the model was fitted on: {names[at]!r} stands where {fitted[at]!r}"
            f" was expected; write them as {', '.join(fitted[:20])}"
        )
    raise DataError(f"{data}: {what}")
