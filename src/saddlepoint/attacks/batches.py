"""Batches that fit: where memory runs out, the batch is halved, for good, and the work goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess, ScoreAccess
from saddlepoint.errors import ModelError

T = TypeVar("T")
_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "failed to allocate",
    "bad_alloc",
    "status_alloc_failed",  # cuDNN, cuBLAS
)


class HasBatchSize(Protocol):
    """Something that remembers how many samples fit at once: a model, a ledger."""

    batch_size: int


def in_batches(run: Callable[[Tensor], T], access: LabelAccess, n: int) -> Iterator[T]:
    """``run`` over consecutive batches of the rows 0..n-1 of an access; a run that failed is not counted."""
    ledger = access.ledger

    def uncounted_if_failed(rows: Tensor) -> T:
        own = access.rows[rows]
        before = [book[own] for book in (ledger.forwards, ledger.backwards, ledger.spent_out)]
        try:
            return run(rows)
        except (RuntimeError, MemoryError):
            for book, was in zip((ledger.forwards, ledger.backwards, ledger.spent_out), before, strict=True):
                book[own] = was
            raise

    return that_fit(uncounted_if_failed, ledger, n, access.rows.device)


def clean_scores(access: ScoreAccess, x: Tensor) -> Tensor:
    """Logits of the inputs under attack x [N, *D], [N, K]; NaN where the budget forbids to ask."""
    return torch.cat(list(in_batches(lambda rows: access.view(rows).clean_scores(x[rows]), access, len(x))))


def that_fit(run: Callable[[Tensor], T], size: HasBatchSize, n: int, device: torch.device) -> Iterator[T]:
    """``run`` over consecutive batches of the rows 0..n-1 (long, on ``device``), of at most ``size.batch_size``.

    Raises:
        ModelError: memory runs out with a single sample.
    """
    first = 0
    while first < n:
        rows = torch.arange(first, min(first + size.batch_size, n), device=device)
        try:
            yield run(rows)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if len(rows) == 1:
                raise ModelError(
                    f"out of memory with a single sample: a smaller model or more memory is needed ({error})"
                ) from error
            size.batch_size = max(len(rows) // 2, 1)
            continue
        first += len(rows)


def out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` is some backend's way of saying that memory ran out."""
    said = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(words in said for words in _OUT_OF_MEMORY)
