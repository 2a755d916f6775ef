from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from saddlepoint.errors import DataError
from saddlepoint.zoo.data import from_torch

X = torch.linspace(0, 1, 7 * 4).view(7, 1, 2, 2)
Y = torch.arange(7) % 3


class Forgetful(Dataset[Any]):
    """Knows its length, and wraps around beyond it instead of raising IndexError."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return X[i % 7], int(Y[i % 7])


class Endless(IterableDataset[Any]):
    """Counts what is taken of it."""

    taken = 0

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        while True:
            self.taken += 1
            yield X[self.taken % 7], self.taken % 3


@pytest.mark.parametrize(
    "stream",
    [TensorDataset(X, Y), Forgetful(), DataLoader(TensorDataset(X, Y), batch_size=3), DataLoader(Forgetful())],
    ids=["tensors", "map", "batches", "singles"],
)
def test_data_sets_and_loaders_give_the_same(stream: Any) -> None:
    data = from_torch(stream)
    assert torch.equal(data.x, X)
    assert torch.equal(data.y, Y)
    assert data.ids.tolist() == list(range(7))
    assert data.sha256 == from_torch(TensorDataset(X, Y)).sha256


def test_the_limit_stops_an_endless_stream() -> None:
    stream = Endless()
    data = from_torch(stream, limit=5, classes=("a", "b", "c"), name="counted")
    assert (len(data), stream.taken) == (5, 5)
    assert (data.classes, data.name) == (("a", "b", "c"), "counted")
    assert "Endless" in data.note


def test_bytes_are_scaled_and_bfloat16_is_taken() -> None:
    tensors = TensorDataset(torch.tensor([[0, 255]], dtype=torch.uint8), Y[:1])
    assert from_torch(tensors).x.tolist() == [[0.0, 1.0]]
    assert torch.equal(from_torch(TensorDataset(X.bfloat16(), Y)).x, X.bfloat16().float())


def test_a_shuffling_loader_is_refused() -> None:
    with pytest.raises(DataError, match="shuffle=False"):
        from_torch(DataLoader(TensorDataset(X, Y), shuffle=True))


class Items(Dataset[Any]):
    def __init__(self, *items: Any) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (Items(), "N = 0"),
        (Items(X[0]), r"expected \(input, label\) pairs, got Tensor"),
        (Items({"image": X[0]}), r"expected \(input, label\) pairs, got dict"),
        (Items(("picture", 0)), "inputs are str, expected tensors: give the Dataset a transform"),
        (Items((X[0], 0), (X[0, :, :1], 0)), r"sample 1 has shape \[1, 1, 2\], sample 0 \[1, 2, 2\]"),
        (Items((X[0], torch.eye(3)[0]), (X[1], torch.eye(3)[1])), "one-hot"),
        (Items((X[0], 0.5)), "labels are integers"),
        (Items((X[0] - 0.5, 0)), r"normalized|scaled"),
        (Items((X[0] / 0, 0)), "NaN"),
        (DataLoader(Items((X, Y[:3])), batch_size=None), "sizes differ"),
    ],
)
def test_what_cannot_be_used_is_refused(stream: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_torch(stream)


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(DataError, match="at least 1"):
        from_torch(TensorDataset(X, Y), limit=0)
