"""Tables of features, one sample in each row, brought into [0, 1] column by column."""

from __future__ import annotations

import json
import reprlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.query import class_names, options
from saddlepoint.zoo.data.source import Array, Arrays, arrays

USUAL = ("label", "target", "class", "y")
"""Names of columns that hold labels, if none is named."""
OPTIONS = ("label", "drop", "low", "high", "classes")


@dataclass(frozen=True)
class Table(Arrays):
    """A table in memory: features ``x [N, D]`` in [0, 1], from ``low [D]`` at 0 to ``high [D]`` at 1, by ``names``.

    ``whole`` (bool ``[D]``): those that hold whole numbers alone.
    """

    low: Array
    high: Array
    names: tuple[str, ...]
    whole: Array


def features(content: Any, query: str, origin: str, note: str) -> Table:
    """The features and labels in a table of arrow.

    Args:
        content: a ``pyarrow.Table``.
        query: what stands after ``?``: ``label=COLUMN`` (by default the one whose classes are named in the file, else
            one called label, target, class or y, else the last); ``drop=a,b``, columns that are left out;
            ``low=NUMBER`` and ``high=NUMBER``, the range of all
            features (by default each column's own; a constant one reaches 1 further); ``classes=a,b,c``, the order of
            labels that are text (by default sorted), or the names of labels that are numbers.
        origin: the file named in errors.
        note: where the samples come from.

    Raises:
        DataError: no rows, missing values, text where numbers are expected, each with its column and row.
    """
    said = options(query, OPTIONS, origin)
    content = _without(content, said["drop"].split(","), origin) if "drop" in said else content
    label = label_column(content, said.get("label"), origin) or content.column_names[-1]
    columns = {name: whole(content, name, origin, name == label) for name in content.column_names}
    y, classes = labels(columns.pop(label), label, said.get("classes"), origin, named_classes(content).get(label))
    if not columns:
        hint = next((f" (separated by {mark!r}? commas are expected)" for mark in ";\t|" if mark in label), "")
        raise DataError(f"{origin} has no column beside {label!r}: N samples of no features{hint}")
    raw = np.stack([_numbers(values, name, origin) for name, values in columns.items()], 1)
    low, high = _range(raw, said, origin)
    inside = np.clip((raw - low) / (high - low), 0, 1).astype(np.float32)
    made = arrays(inside, y, classes, f"{note}, labels in {label!r}", origin)
    whole_numbers = (raw == np.round(raw)).all(0)
    return Table(made.x, made.y, made.classes, made.note, low, high, tuple(columns), whole_numbers)


def _without(content: Any, dropped: list[str], origin: str) -> Any:
    if odd := next((name for name in dropped if name not in content.column_names), None):
        raise DataError(f"{origin} has no column {odd!r} to drop; it has {', '.join(content.column_names[:20])}")
    return content.drop_columns(dropped)


def named_classes(content: Any) -> dict[str, tuple[str, ...]]:
    """The names of classes that datasets of Hugging Face write beside their columns: {column: names}."""
    try:
        known = json.loads((content.schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"].items()
        return {name: tuple(map(str, kind["names"])) for name, kind in known if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def label_column(content: Any, wanted: str | None, origin: str) -> str | None:
    """The column that holds labels: the one wanted, else one whose classes are named, else one of a usual name.

    Raises:
        DataError: there is no such column.
    """
    names = content.column_names
    if wanted is not None:
        if wanted not in names:
            raise DataError(f"{origin} has no column {wanted!r}; it has {', '.join(names[:20])}")
        return wanted
    named = named_classes(content)
    return next((name for name in names if name in named), next((name for name in USUAL if name in names), None))


def whole(content: Any, name: str, origin: str, is_label: bool = False) -> Any:
    """A column as an array of NumPy.

    Raises:
        DataError: a row without a value.
    """
    column = content.column(name)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        way_out = "leave those rows out" if is_label else f"fill it, or leave the column out with ?drop={name}"
        raise DataError(
            f"{origin}: column {name!r} has no value in row {row + 1} ({column.null_count} in all); {way_out}"
        )
    return column.to_numpy()


def labels(
    values: Any, name: str, order: str | None, origin: str, named: tuple[str, ...] | None = None
) -> tuple[Array, tuple[str, ...] | None]:
    """Integer labels [N] and the names of their classes, if they have names: ``order`` as in ?classes, or ``named``.

    Raises:
        DataError: fractions, or a text that is none of the classes.
    """
    if values.dtype.kind in "iubf":
        values = values.astype(np.int64) if values.dtype.kind in "ub" else values
        if (values != np.round(values)).any():
            raise DataError(f"{origin}: column {name!r} holds fractions, no labels: name the column with ?label=COLUMN")
        return _by_number(values.astype(np.int64), named if order is None else class_names(order), origin)
    if not all(isinstance(value, str) for value in values):
        raise DataError(f"{origin}: column {name!r} holds {type(values[0]).__name__}, no labels: ?label=COLUMN")
    text = list(values)
    if order is None and named is None and all(label.isdecimal() for label in text):
        return np.array(text).astype(np.int64), None
    classes = tuple(sorted(set(text))) if order is None else class_names(order)
    if missing := set(text) - set(classes):
        raise DataError(f"{origin}: the label {sorted(missing)[0]!r} is none of ?classes={order}")
    places = {label: i for i, label in enumerate(classes)}
    return np.array([places[label] for label in text]), classes


def _by_number(y: Array, names: tuple[str, ...] | None, origin: str) -> tuple[Array, tuple[str, ...] | None]:
    """Labels, and the names of their classes; where these are numbers, labels are brought to their places.

    Raises:
        DataError: a label that is none of these numbers.
    """
    if names is None or not all(name.isdecimal() for name in names):
        return y, names
    places = {int(name): i for i, name in enumerate(names)}
    if missing := sorted(set(y.tolist()) - places.keys()):
        raise DataError(f"{origin}: the label {missing[0]} is none of ?classes={','.join(names)}")
    return np.array([places[label] for label in y.tolist()]), names


def _numbers(values: Any, name: str, origin: str) -> Array:
    if values.dtype.kind not in "iufb":
        raise DataError(
            f"{origin}: column {name!r} holds {reprlib.repr(values[0])} in row 1, no number; encode it, or leave it out"
            f" with ?drop={name}"
        )
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
