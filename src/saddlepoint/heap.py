"""What glibc does with freed memory: kept for the next step of an attack, given back between pieces of an audit."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""The names of these two parameters in malloc.h."""
KEPT = {TRIM_THRESHOLD: 1 << 30, MMAP_THRESHOLD: 1 << 25}
"""Bytes: how much may lie free at the end of the heap, and from which size on an array lies outside of it."""
_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES")
"""How a user tells glibc otherwise."""


@functools.cache
def keep_freed() -> None:
    """From here on keep up to 1 GiB of freed memory at hand, where the C library can; what its user told it stands.

    Each step of an attack frees arrays and asks for the like again. By itself glibc hands them back to the system each
    time and has them cleared anew, page by page, which took up to a third of an attack's time on the CPU.
    """
    if not any(name in os.environ for name in _OWN):
        for name, size in KEPT.items():
            _glibc("mallopt")(name, size)


def give_back() -> None:
    """Hand free pages inside the heap back to the system, where the C library can.

    Batches of many sizes leave holes in glibc's heap that the next sizes do not fit: without this, the memory of a long
    audit grows with the number of samples, though nothing is kept of them.
    """
    _glibc("malloc_trim")(0)


@functools.cache
def _glibc(function: str) -> Callable[..., int]:
    try:
        return getattr(ctypes.CDLL(None), function)  # type: ignore[no-any-return]
    except (OSError, TypeError, AttributeError):  # not glibc: another allocator, with other habits
        return lambda *_: 0
