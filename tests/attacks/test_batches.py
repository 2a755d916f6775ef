from __future__ import annotations

import dataclasses as dc
import itertools

import pytest
import torch
from torch import Tensor

from saddlepoint.access import LabelAccess, Ledger
from saddlepoint.attacks.batches import in_batches, out_of_memory, that_fit
from saddlepoint.errors import ModelError


@dc.dataclass
class Size:
    batch_size: int


def limited(most: int) -> tuple[list[list[int]], object]:
    done: list[list[int]] = []

    def run(rows: Tensor) -> int:
        if len(rows) > most:
            raise torch.OutOfMemoryError("out of memory")
        done.append(rows.tolist())
        return len(rows)

    return done, run


def test_covers_all_rows_once_in_order() -> None:
    done, run = limited(10)
    assert list(that_fit(run, Size(3), 8, torch.device("cpu"))) == [3, 3, 2]  # type: ignore[arg-type]
    assert list(itertools.chain.from_iterable(done)) == list(range(8))


def test_halves_until_it_fits_and_remembers() -> None:
    done, run = limited(3)
    size = Size(8)
    list(that_fit(run, size, 10, torch.device("cpu")))  # type: ignore[arg-type]
    assert list(itertools.chain.from_iterable(done)) == list(range(10))
    assert size.batch_size == 2
    assert max(map(len, done)) <= 3


def test_gives_up_at_one_sample() -> None:
    _, run = limited(0)
    with pytest.raises(ModelError, match="single sample"):
        list(that_fit(run, Size(4), 2, torch.device("cpu")))  # type: ignore[arg-type]


def test_a_run_that_failed_is_not_counted() -> None:
    asked: list[int] = []

    def ask(x: Tensor) -> Tensor:
        asked.append(len(x))
        if len(asked) == 2:
            raise MemoryError
        return torch.zeros(len(x), 2)

    access = LabelAccess(ask, Ledger(4, budget=2, batch_size=4))

    def run(rows: Tensor) -> None:
        access.view(rows).labels(torch.zeros(len(rows), 1))
        access.view(rows).labels(torch.zeros(len(rows), 1))

    list(in_batches(run, access, 4))
    assert asked == [4, 4, 2, 2, 2, 2]
    assert access.ledger.forwards.tolist() == [2, 2, 2, 2]
    assert not access.refused.any()


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (RuntimeError("trying to use a deallocated buffer"), False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(error: BaseException, is_memory: bool) -> None:
    assert out_of_memory(error) is is_memory
