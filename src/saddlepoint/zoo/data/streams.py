"""Samples out of a torch Dataset or DataLoader, read one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.dataset import Data, assemble
from saddlepoint.zoo.data.source import arrays

Pair = tuple[Tensor, Tensor]


def from_torch(
    stream: Dataset[Any] | DataLoader[Any],
    limit: int | None = None,
    classes: Sequence[str] | None = None,
    name: str = "torch",
) -> Data:
    """The first ``limit`` samples of a torch data set or loader.

    Args:
        stream: yields (input, label) per sample (Dataset) or ([B, *D], [B]) per batch (DataLoader);
            inputs are uint8 or floats in [0, 1], images as [C, H, W].
        limit: read no further than this many samples; None reads all.
        classes: class names; None names them "0", "1", ...
        name: what to call the set.

    Returns:
        The samples; ``ids`` are positions in the order read.

    Raises:
        DataError: a shuffling loader (positions would mean nothing), items that are no pair of tensor and
            label, shapes that differ, and all that :func:`saddlepoint.zoo.data.load` refuses.

    >>> from torch.utils.data import TensorDataset
    >>> images = TensorDataset(torch.rand(5, 1, 4, 4), torch.arange(5) % 2)
    >>> from_torch(images, limit=3).y
    tensor([0, 1, 0])
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit={limit}: expected at least 1 sample, or None for all")
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    for x, y in islice(_samples(stream), limit):
        if inputs and x.shape != inputs[0].shape:
            raise DataError(
                f"sample {len(inputs)} has shape {list(x.shape)}, sample 0 {list(inputs[0].shape)}: resize them first"
            )
        inputs.append(x)
        labels.append(y)
    if not inputs:
        raise DataError(f"{name}: no samples (N = 0)")
    source = arrays(
        torch.stack(inputs).numpy(),
        torch.stack(labels).numpy(),
        None if classes is None else tuple(classes),
        f"read from a torch {type(stream).__name__}",
        name,
    )
    return assemble(source, np.arange(source.count, dtype=np.int64), name)


def _samples(stream: Dataset[Any] | DataLoader[Any]) -> Iterator[Pair]:
    if not isinstance(stream, DataLoader):
        yield from (_pair(item) for item in _items(stream))
        return
    if isinstance(stream.sampler, RandomSampler):
        raise DataError("the loader shuffles, so positions mean nothing: build it with shuffle=False")
    for batch in stream:
        inputs, labels = _pair(batch)
        if inputs.shape[:1] != labels.shape[:1]:
            raise DataError(f"a batch has inputs {list(inputs.shape)} and labels {list(labels.shape)}: sizes differ")
        yield from zip(inputs, labels, strict=True)


def _items(dataset: Dataset[Any]) -> Iterable[Any]:
    if isinstance(dataset, IterableDataset):
        return dataset
    if isinstance(dataset, Sized):
        return (dataset[i] for i in range(len(dataset)))
    return iter(dataset)


def _pair(item: Any) -> Pair:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"expected (input, label) pairs, got {type(item).__name__}")
    x, y = item
    if not isinstance(x, Tensor):
        raise DataError(f"inputs are {type(x).__name__}, expected tensors: give the Dataset a transform to tensors")
    # NumPy knows no bfloat16; the set is float32 in the end.
    plain = x.float() if x.is_floating_point() else x
    return plain.detach().cpu(), torch.as_tensor(y).detach().cpu()
