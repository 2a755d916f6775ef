"""Giving memory back between pieces."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Hand free pages inside the heap back to the system, where the C library can.

    Batches of many sizes leave holes in glibc's heap that the next sizes do not fit: without this, the memory of a long
    audit grows with the number of samples, though nothing is kept of them.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], int]:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):  # not glibc: another allocator, with other habits
        return lambda _: 0
