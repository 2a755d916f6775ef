"""Where samples come from before they are selected and checked: one protocol, one source of plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.selection import Ids

Array = npt.NDArray[Any]


class Source(Protocol):
    """A set that can be asked for labels and pixels of chosen positions, so that a slice costs a slice."""

    @property
    def count(self) -> int:
        """Number of samples of the full set."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; label k is ``classes[k]``."""
        ...

    @property
    def note(self) -> str:
        """Where the samples come from, and under which license."""
        ...

    def labels(self, ids: Ids) -> Ids:
        """Labels ``[n]`` of the samples at positions ``ids [n]``."""
        ...

    def pixels(self, ids: Ids) -> Array:
        """Inputs ``[n, *D]`` of the samples at positions ``ids [n]``: uint8, or float in [0, 1]."""
        ...


@dataclass(frozen=True)
class Arrays:
    """A set held in memory: ``x [N, *D]`` and ``y int64 [N]``."""

    x: Array
    y: Ids
    classes: tuple[str, ...]
    note: str

    @property
    def count(self) -> int:
        """Number of samples."""
        return len(self.y)

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``."""
        return self.y[ids]

    def pixels(self, ids: Ids) -> Array:
        """Inputs at ``ids``, as stored."""
        picked: Array = self.x[ids]
        return picked


MOST = 1_000_000
"""No model has as many classes."""


def arrays(x: Array, y: Array, classes: tuple[str, ...] | None, note: str, origin: str) -> Arrays:
    """A set from two arrays, their layout and labels checked.

    Args:
        x: inputs ``[N, *D]``, images as ``[N, C, H, W]``.
        y: integer labels ``[N]``.
        classes: class names, or None for "0", "1", ... up to the largest label.
        note: where the samples come from.
        origin: the file or object named in errors.

    Raises:
        DataError: see :func:`check_layout`, :func:`check_labels` and :func:`check_names`.
    """
    if len(x.shape) == 0 or len(y.shape) == 0 or len(x) != len(y):
        raise DataError(f"{origin}: x has shape {list(x.shape)}, y {list(y.shape)}: their first axes must agree")
    if len(x) == 0:
        raise DataError(f"{origin}: no samples (N = 0)")
    labels = check_labels(y, origin)
    check_layout(x.shape, origin)
    return Arrays(x, labels, check_names(labels, classes, origin), note)


def check_labels(y: Array, origin: str) -> Ids:
    """Labels as int64 ``[N]``.

    Raises:
        DataError: one-hot rows, floats or negative numbers, each with its remedy.
    """
    if y.ndim == 2 and y.shape[1] > 1:
        raise DataError(f"{origin}: y has shape {list(y.shape)}, one-hot by the look of it: store y.argmax(1)")
    if y.ndim != 1:
        raise DataError(f"{origin}: y has shape {list(y.shape)}, expected one label per sample [N]: store y.ravel()")
    if not np.issubdtype(y.dtype, np.integer):
        raise DataError(f"{origin}: y has type {y.dtype}, labels are integers 0..K-1: store y.astype('int64')")
    if y.min() < 0:
        raise DataError(f"{origin}: label {y.min()} is negative, labels are 0..K-1; drop unlabeled samples first")
    if y.max() >= MOST:
        raise DataError(f"{origin}: label {y.max()} is no class 0..K-1 but an identifier, by the look of it")
    return y.astype(np.int64)


def check_names(labels: Ids, classes: tuple[str, ...] | None, origin: str) -> tuple[str, ...]:
    """The names of the classes: those given, or "0", "1", ... up to the largest label.

    Raises:
        DataError: a label without a name.
    """
    known = classes or tuple(str(k) for k in range(int(labels.max()) + 1))
    if labels.max() >= len(known):
        raise DataError(f"{origin}: label {labels.max()} has no name, only {len(known)} classes are named")
    return known


def check_layout(shape: tuple[int, ...], origin: str) -> None:
    """Refuse the two layouts that mean something else than ``[N, C, H, W]``.

    Raises:
        DataError: channels last, or gray images without a channel axis.
    """
    if len(shape) < 2 or 0 in shape:
        raise DataError(f"{origin}: x has shape {list(shape)}, expected inputs [N, *D] with at least one number each")
    if len(shape) == 4 and shape[3] in {1, 3, 4} and shape[1] not in {1, 3, 4}:
        raise DataError(f"{origin}: x has shape {list(shape)}, channels last: store x.transpose(0, 3, 1, 2)")
    if len(shape) == 3 and shape[1] == shape[2] > 4:
        raise DataError(f"{origin}: x has shape {list(shape)}, images without a channel axis: store x[:, None]")
