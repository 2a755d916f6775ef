from __future__ import annotations

import ctypes
import platform

import pytest

from saddlepoint.auditing import heap


def test_glibc_is_asked_to_trim() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another C library")
    assert heap._trim()(0) in (0, 1)
    heap.give_back()


@pytest.mark.parametrize("fault", [OSError, TypeError, AttributeError])
def test_elsewhere_nothing_happens(fault: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> object:
        raise fault

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    heap._trim.cache_clear()
    heap.give_back()
    heap._trim.cache_clear()
