"""Files that are there completely or not at all: written under another name, made safe on disk, then renamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from saddlepoint.errors import RunError

PREFIX = ".tmp-"
"""Names that begin so are unfinished, and nobody reads them."""


def write(path: Path, content: bytes) -> None:
    """Make ``content`` the content of ``path``, whatever happens in between.

    Raises:
        RunError: the disk is full, read-only, or fails otherwise; then ``path`` is as it was.
    """
    unfinished = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _store(unfinished, content)
        os.replace(unfinished, path)
        _sync_folder(path.parent)
    except OSError as error:
        unfinished.unlink(missing_ok=True) if _there(unfinished) else None
        raise explain(error, path, len(content)) from error


def sweep(folder: Path) -> None:
    """Remove what a killed process left unfinished below ``folder``."""
    try:
        for path in list(folder.rglob(f"{PREFIX}*")):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise explain(error, folder) from error


def explain(error: OSError, path: Path, size: int | None = None) -> RunError:
    """The error of the operating system as one line that names the way out."""
    again = "then issue the same command again: what is finished is kept"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        need = "" if size is None else f" (this file needs {max(size / 1e6, 0.1):.1f} MB)"
        return RunError(f"no space left for {path}{need}: free some, {again}")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return RunError(f"{path} cannot be written ({error.strerror}): give a folder you may write to")
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return RunError(f"{path} cannot be a folder, there is a file in its place: give another folder")
    return RunError(f"{path}: {error.strerror or error}: remove the cause, {again}")


def _store(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
