"""Tables of features, one sample in each row: CSV and Parquet, brought into [0, 1] column by column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.query import class_names, options
from saddlepoint.zoo.data.selection import Ids
from saddlepoint.zoo.data.source import Array, arrays

USUAL = ("label", "target", "class", "y")
"""Names of columns that hold labels, if none is named."""
OPTIONS = ("label", "low", "high", "classes")


@dataclass(frozen=True)
class Table:
    """A table in memory: features ``x [N, D]`` in [0, 1], from ``low [D]`` at 0 to ``high [D]`` at 1."""

    x: Array
    y: Ids
    classes: tuple[str, ...]
    note: str
    low: Array
    high: Array

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.y)

    def labels(self, ids: Ids) -> Ids:
        """Labels at ``ids``."""
        return self.y[ids]

    def pixels(self, ids: Ids) -> Array:
        """Features at ``ids``, in [0, 1]."""
        picked: Array = self.x[ids]
        return picked


def read_table(path: Path, query: str) -> Table:
    """The features and labels of a CSV or Parquet file.

    Args:
        path: the file, with a header.
        query: what stands after ``?``: ``label=COLUMN`` (by default one called label, target, class or y, else the
            last); ``low=NUMBER`` and ``high=NUMBER``, the range of all features (by default each column's own; a
            constant one reaches 1 further); ``classes=a,b,c``, the order of labels that are text (by default sorted).

    Raises:
        DataError: unreadable, no rows, missing values, text where numbers are expected, each with its column and row.
    """
    said = options(query, OPTIONS, str(path))
    content = _columns(path)
    label = _label(list(content), said.get("label"), str(path))
    y, classes = _labels(content.pop(label), label, said.get("classes"), str(path))
    if not content:
        raise DataError(f"{path} has no column beside {label!r}: N samples of no features")
    raw = np.stack([_numbers(values, name, str(path)) for name, values in content.items()], 1)
    low, high = _range(raw, said, str(path))
    inside = np.clip((raw - low) / (high - low), 0, 1).astype(np.float32)
    made = arrays(inside, y, classes, f"table {path.name}, labels in {label!r}", str(path))
    return Table(made.x, made.y, made.classes, made.note, low, high)


def _columns(path: Path) -> dict[str, Any]:
    import pyarrow as pa

    try:
        if path.suffix == ".csv":
            from pyarrow import csv

            table = csv.read_csv(path)
        else:
            from pyarrow import parquet

            table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path} is no readable table ({' '.join(str(error).split())}): truncated or damaged?"
        ) from error
    if not table.num_rows:
        raise DataError(f"{path}: no samples (N = 0)")
    names = table.column_names
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise DataError(f"{path} has two columns called {twice!r}")
    return {name: _whole(table.column(name), name, str(path)) for name in names}


def _whole(column: Any, name: str, origin: str) -> Any:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(
            f"{origin}: column {name!r} has no value in row {row + 1} ({column.null_count} in all); fill or drop it"
        )
    return column.to_numpy()


def _label(names: list[str], wanted: str | None, origin: str) -> str:
    if wanted is not None:
        if wanted not in names:
            raise DataError(f"{origin} has no column {wanted!r}; it has {', '.join(names[:20])}")
        return wanted
    return next((name for name in USUAL if name in names), names[-1])


def _labels(values: Any, name: str, order: str | None, origin: str) -> tuple[Array, tuple[str, ...] | None]:
    if np.issubdtype(values.dtype, np.integer) or values.dtype == np.bool_:
        return values.astype(np.int64), None
    if np.issubdtype(values.dtype, np.floating):
        if not (values == np.round(values)).all():
            raise DataError(f"{origin}: column {name!r} holds fractions, no labels: name the column with ?label=COLUMN")
        return values.astype(np.int64), None
    text = [str(value) for value in values]
    classes = tuple(sorted(set(text))) if order is None else class_names(order)
    if missing := set(text) - set(classes):
        raise DataError(f"{origin}: the label {sorted(missing)[0]!r} is none of ?classes={order}")
    places = {label: i for i, label in enumerate(classes)}
    return np.array([places[label] for label in text]), classes


def _numbers(values: Any, name: str, origin: str) -> Array:
    if values.dtype.kind not in "iufb":
        raise DataError(f"{origin}: column {name!r} holds {values[0]!r} in row 1, no number; encode or drop it")
    out: Array = values.astype(np.float64)
    if not np.isfinite(out).all():
        raise DataError(f"{origin}: column {name!r} has NaN or infinity in row {int((~np.isfinite(out)).argmax()) + 1}")
    return out


def _range(raw: Array, said: dict[str, str], origin: str) -> tuple[Array, Array]:
    try:
        low = np.full(raw.shape[1], float(said["low"])) if "low" in said else raw.min(0)
        high = np.full(raw.shape[1], float(said["high"])) if "high" in said else raw.max(0)
    except ValueError as error:
        raise DataError(f"{origin}: low and high are numbers: {error}") from error
    high = np.where((high == low) & ("high" not in said), low + 1, high)
    if (low >= high).any() or (raw < low).any() or (raw > high).any():
        raise DataError(
            f"{origin}: features lie in [{raw.min():g}, {raw.max():g}], ?low and ?high say [{low.min():g},"
            f" {high.max():g}]: give the range that features may take"
        )
    return low, high
