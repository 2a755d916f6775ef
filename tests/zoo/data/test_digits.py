from __future__ import annotations

import sys

import pytest
import torch

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import load


def test_the_digits_are_all_there_and_in_the_unit_interval() -> None:
    data = load("digits")
    assert data.x.shape == (1797, 1, 8, 8)
    assert (float(data.x.min()), float(data.x.max())) == (0.0, 1.0)
    assert torch.equal(data.x * 16, (data.x * 16).round())
    assert data.y.bincount().min() >= 174


def test_a_digit_looks_like_itself() -> None:
    # The first digit is a zero: its middle is empty, its ring is not.
    first = load("digits[:1]")
    assert first.y.tolist() == [0]
    assert float(first.x[0, 0, 3:5, 3:5].max()) < 0.1 < float(first.x[0, 0, 3, 2])


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install 'saddlepoint\[sklearn\]'"):
        load("digits")
