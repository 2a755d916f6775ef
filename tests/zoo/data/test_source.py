from __future__ import annotations

import numpy as np
import pytest

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.source import arrays

X = np.zeros((6, 3, 8, 8), dtype=np.uint8)
Y = np.arange(6) % 3


def test_arrays_answer_for_chosen_positions() -> None:
    x = np.arange(6, dtype=np.uint8)[:, None]
    source = arrays(x, Y.astype(np.uint8), None, "note", "here")
    assert source.count == 6
    assert source.classes == ("0", "1", "2")
    assert source.pixels(np.array([4, 1])).tolist() == [[4], [1]]
    assert source.labels(np.array([4, 1])).tolist() == [1, 1]
    assert source.y.dtype == np.int64


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.eye(3)[Y], r"y has shape \[6, 3\], one-hot by the look of it: store y.argmax\(1\)"),
        (Y[:, None], r"y has shape \[6, 1\], expected one label per sample \[N\]"),
        (Y.astype(float), "y has type float64, labels are integers"),
        (Y - 1, "label -1 is negative"),
        (Y[:5], r"x has shape \[6, 3, 8, 8\], y \[5\]"),
        (np.array(3), "first axes must agree"),
        (np.array(["a"] * 6), "labels are integers"),
    ],
)
def test_labels_that_are_none_are_refused_with_their_remedy(y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match="here: .*" + message):
        arrays(X, y, None, "note", "here")


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 8, 8, 3), r"channels last: store x.transpose\(0, 3, 1, 2\)"),
        ((6, 28, 28), r"without a channel axis: store x\[:, None\]"),
        ((6,), r"expected inputs \[N, \*D\]"),
        ((6, 0), r"expected inputs \[N, \*D\]"),
    ],
)
def test_layouts_that_mean_something_else_are_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays(np.zeros(shape), Y, None, "note", "here")


@pytest.mark.parametrize("shape", [(6, 3, 8, 8), (6, 1, 3, 3), (6, 3, 3, 3), (6, 20), (6, 2, 100)])
def test_other_layouts_pass(shape: tuple[int, ...]) -> None:
    assert arrays(np.zeros(shape), Y, None, "note", "here").x.shape == shape


def test_no_samples_are_refused() -> None:
    with pytest.raises(DataError, match="N = 0"):
        arrays(X[:0], Y[:0], None, "note", "here")


def test_a_label_without_a_name_is_refused() -> None:
    with pytest.raises(DataError, match="label 2 has no name, only 2 classes are named"):
        arrays(X, Y, ("cat", "dog"), "note", "here")
