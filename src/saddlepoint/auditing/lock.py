"""One process at a time: an advisory lock that the operating system drops when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from saddlepoint.auditing.atomic import explain
from saddlepoint.errors import RunError

NAME = "run.lock"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold ``folder`` (made if missing) for this process.

    Raises:
        RunError: another process holds it, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / NAME, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise explain(error, folder) from error
    try:
        _take(handle, folder)
        yield
    finally:
        os.close(handle)


def _take(handle: int, folder: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 200).decode(errors="replace").strip() or "unknown"
        raise RunError(
            f"{folder} is in use by another process ({holder}): wait until it ends, or give another folder"
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.write(handle, f"pid {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError as error:
        raise explain(error, folder) from error
