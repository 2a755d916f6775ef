"""Samples ready for a model: inputs in [0, 1], integer labels, and each sample's place in its full set."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from saddlepoint.errors import DataError
from saddlepoint.shapes import Inputs, Labels
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array, Source
from saddlepoint.zoo.data.tables import Table


@dataclass(frozen=True, eq=False)
class Data:
    """A checked selection of samples.

    Attributes:
        x: inputs, float32 ``[N, *D]`` in [0, 1].
        y: labels, int64 ``[N]`` in 0..K-1.
        ids: int64 ``[N]``, position of each sample in the full set, whatever was selected of it.
        classes: K class names.
        name: the specification it was loaded from.
        sha256: of the content (shapes and little-endian bytes of x and y), not of the file.
        note: origin and license, one line.
        low, high: the values of each feature, float64 ``[D]``, that 0 and 1 stand for; None where data are as a model
            takes them.
        features: the names of the features, where they have names.
        whole: which features hold whole numbers alone, bool ``[D]``.
    """

    x: Inputs
    y: Labels
    ids: Labels
    classes: tuple[str, ...]
    name: str
    sha256: str
    note: str
    low: Tensor | None = None
    high: Tensor | None = None
    features: tuple[str, ...] = ()
    whole: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)


def assemble(source: Source, ids: Ids, name: str) -> Data:
    """The samples of ``source`` at positions ``ids``, converted and checked.

    Args:
        source: where they come from.
        ids: positions ``[n]`` in the full set.
        name: what to call the selection.

    Raises:
        DataError: NaN, values outside [0, 1], or a number type that has no obvious scale.
    """
    x = unit_interval(source.pixels(ids), name)
    y = source.labels(ids)
    scale = (source.low, source.high) if isinstance(source, Table) else None
    return Data(
        x=torch.from_numpy(x),
        y=torch.from_numpy(y.astype(np.int64)),
        ids=torch.from_numpy(ids.astype(np.int64)),
        classes=source.classes,
        name=name,
        sha256=_digest(x, y, scale),
        note=source.note,
        low=None if scale is None else torch.from_numpy(scale[0]),
        high=None if scale is None else torch.from_numpy(scale[1]),
        features=source.names if isinstance(source, Table) else (),
        whole=torch.from_numpy(source.whole) if isinstance(source, Table) else None,
    )


def unit_interval(x: Array, origin: str) -> Array:
    """Inputs as contiguous float32 in [0, 1]: bytes are divided by 255, floats must already be there.

    Raises:
        DataError: another number type, NaN, or values outside [0, 1], with the likely cause.
    """
    if x.dtype == np.uint8:
        scaled = np.ascontiguousarray(x).astype(np.float32)
        scaled /= np.float32(255)
        return scaled
    if not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{origin}: x has type {x.dtype}; give uint8 (0..255) or floats in [0, 1]")
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x)).reshape(len(x), -1).any(axis=1).sum())
        raise DataError(f"{origin}: {bad} of {len(x)} samples hold NaN or infinity; drop or repair them")
    low, high = float(x.min()), float(x.max())
    if low < 0 or high > 1:
        raise DataError(f"{origin}: x lies in [{low:.9g}, {high:.9g}], expected [0, 1]: {_cause(low, high)}")
    return np.ascontiguousarray(x, dtype=np.float32)


def _cause(low: float, high: float) -> str:
    if low >= 0 and high <= 255:
        return "0..255 stored as floats? store x / 255, or uint8"
    if low >= -1 and high <= 1:
        return "scaled to [-1, 1]? store (x + 1) / 2 and let the model do the scaling"
    return "normalized by mean and standard deviation? store raw pixels and put the normalization into the model"


def _digest(x: Array, y: Ids, scale: tuple[Array, Array] | None) -> str:
    digest = hashlib.sha256(f"{x.shape} {y.shape}".encode())
    digest.update(np.ascontiguousarray(x, dtype="<f4").data)
    digest.update(np.ascontiguousarray(y, dtype="<i8").data)
    for bound in scale or ():
        digest.update(np.ascontiguousarray(bound, dtype="<f8").data)
    return digest.hexdigest()
