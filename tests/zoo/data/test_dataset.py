from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.dataset import assemble, unit_interval
from saddlepoint.zoo.data.source import arrays


def ids(*positions: int) -> np.ndarray:
    return np.array(positions, dtype=np.int64)


def test_bytes_are_divided_by_255() -> None:
    x = np.array([[0, 51, 255]], dtype=np.uint8)
    data = assemble(arrays(x, np.array([0]), None, "note", "here"), ids(0), "name")
    assert data.x.dtype == torch.float32
    assert torch.equal(data.x, torch.tensor([[0, 51, 255]]) / 255)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.dtype(">f4")])
def test_floats_stay_what_they_are(dtype: type) -> None:
    x = np.array([[0.0, 0.25, 1.0]], dtype=dtype)
    assert unit_interval(x, "here").tolist() == [[0.0, 0.25, 1.0]]


def test_positions_and_labels_follow_the_selection() -> None:
    source = arrays(np.zeros((5, 2)), np.array([0, 1, 2, 0, 1]), ("a", "b", "c"), "note", "here")
    data = assemble(source, ids(4, 0, 2), "name")
    assert (data.ids.tolist(), data.y.tolist()) == ([4, 0, 2], [1, 0, 2])
    assert data.ids.dtype == data.y.dtype == torch.int64
    assert (data.classes, data.name, data.note, len(data)) == (("a", "b", "c"), "name", "note", 3)


def test_the_checksum_is_of_the_content() -> None:
    x = np.array([[0.0, 0.5], [1.0, 0.25]], dtype=np.float32)
    y = np.array([0, 1])
    source = arrays(x, y, None, "note", "here")
    expected = hashlib.sha256(b"(2, 2) (2,)" + x.tobytes() + y.astype("<i8").tobytes()).hexdigest()
    assert assemble(source, ids(0, 1), "one").sha256 == expected
    assert assemble(source, ids(0, 1), "other").sha256 == expected
    assert assemble(source, ids(1, 0), "one").sha256 != expected
    relabeled = arrays(x, 1 - y, None, "note", "here")
    assert assemble(relabeled, ids(0, 1), "one").sha256 != expected


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (0, 255, r"x lies in \[0, 255\], expected \[0, 1\]: 0..255 stored as floats\?"),
        (-1, 1, r"x lies in \[-1, 1\].*scaled to \[-1, 1\]\?"),
        (-2.1, 2.6, r"x lies in \[-2.1, 2.6\].*normalized by mean and standard deviation\?"),
        (0, 1.000001, r"x lies in \[0, 1.000001\]"),
    ],
)
def test_values_outside_the_unit_interval_are_refused_with_the_likely_cause(
    low: float, high: float, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        unit_interval(np.array([[low, high]], dtype=np.float64), "here")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    with pytest.raises(DataError, match="1 of 2 samples hold NaN"):
        unit_interval(np.array([[0.0, 0.0], [bad, bad]]), "here")


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.uint16])
def test_other_number_types_have_no_obvious_scale(dtype: type) -> None:
    with pytest.raises(DataError, match=r"give uint8 \(0..255\) or floats"):
        unit_interval(np.zeros((1, 2), dtype=dtype), "here")
