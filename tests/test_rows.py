from __future__ import annotations

import dataclasses as dc
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from saddlepoint.rows import column, flat_norm, put, take, where


class Pair(NamedTuple):
    a: Tensor
    b: int


@dc.dataclass(frozen=True)
class Inner:
    value: Tensor
    name: str


@dc.dataclass(frozen=True)
class Tree:
    inner: Inner
    parts: tuple[Tensor, None, Pair]
    flag: bool


def tree(offset: float = 0.0, n: int = 4) -> Tree:
    values = torch.arange(n * 3, dtype=torch.float64).view(n, 3) + offset
    return Tree(Inner(values, "same"), (values[:, 0] + 100, None, Pair(values.bool(), 7)), True)


def test_take_goes_through_dataclasses_tuples_and_named_tuples() -> None:
    taken = take(tree(), torch.tensor([3, 1]))
    assert taken.inner.value.tolist() == [[9, 10, 11], [3, 4, 5]]
    assert taken.inner.name == "same"
    assert taken.flag is True
    first, nothing, pair = taken.parts
    assert first.tolist() == [109, 103]
    assert nothing is None
    assert isinstance(pair, Pair)
    assert pair.b == 7
    assert len(pair.a) == 2


def test_take_of_no_rows_keeps_the_form() -> None:
    empty = take(tree(), torch.tensor([], dtype=torch.long))
    assert empty.inner.value.shape == (0, 3)


def test_take_leaves_what_is_no_tree_alone() -> None:
    assert take({"not": "a tree"}, torch.tensor([0])) == {"not": "a tree"}
    assert take(Tree, torch.tensor([0])) is Tree


def test_where_picks_rows_in_every_tensor() -> None:
    mask = torch.tensor([True, False, False, True])
    picked = where(mask, tree(1000.0), tree())
    assert picked.inner.value[:, 0].tolist() == [1000, 3, 6, 1009]
    assert picked.parts[0].tolist() == [1100, 103, 106, 1109]
    assert picked.parts[1] is None


def test_put_replaces_rows_and_writes_to_nothing() -> None:
    into, value = tree(), tree(1000.0, n=2)
    before = into.inner.value.clone()
    out = put(into, torch.tensor([2, 0]), value)
    assert out.inner.value[:, 0].tolist() == [1003, 3, 1000, 9]
    assert torch.equal(into.inner.value, before)


def test_put_keeps_the_dtype_it_is_put_into() -> None:
    out = put(torch.zeros(3, dtype=torch.int8), torch.tensor([1]), torch.tensor([5]))
    assert out.dtype == torch.int8
    assert out.tolist() == [0, 5, 0]


def test_take_then_put_is_the_identity() -> None:
    keep = torch.tensor([2, 0, 3])
    again = put(tree(), keep, take(tree(), keep))
    assert torch.equal(again.inner.value, tree().inner.value)


def test_trees_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError):
        where(torch.tensor([True]), (torch.zeros(1), torch.zeros(1)), (torch.zeros(1),))


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3, 4)])
def test_column_scales_rows(shape: tuple[int, ...]) -> None:
    x, scale = torch.ones(shape), torch.arange(5.0)
    assert torch.equal((x * column(scale, x)).flatten(1 if len(shape) > 1 else 0).view(5, -1)[:, 0], scale)


@pytest.mark.parametrize("p", [0, 1, 2, float("inf")])
def test_flat_norm_is_that_of_each_row(p: float) -> None:
    x = torch.tensor([[[3.0, -4.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, -1.0]]])
    expected = {0: [2.0, 4.0], 1: [7.0, 4.0], 2: [5.0, 2.0], float("inf"): [4.0, 1.0]}
    assert flat_norm(x, p).tolist() == expected[p]
