"""The idx format of the MNIST family: magic number, sizes, bytes; plain or gzip-compressed."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from saddlepoint.errors import DataError

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, sha256: str | None = None) -> npt.NDArray[np.uint8]:
    """The array stored in an idx file of unsigned bytes.

    Args:
        path: the file; ``.gz`` files are decompressed first.
        sha256: expected SHA-256 of the decompressed content, or None to take any.

    Returns:
        uint8 array of the shape the header states.

    Raises:
        DataError: missing, truncated, damaged, not idx, or not the expected content.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read ({error}): missing, truncated or damaged; install it anew") from error
    array = _parse(content, path)
    if sha256 is not None and (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise DataError(f"{path}: decompressed content has SHA-256 {found}, expected {sha256}: not the official file")
    return array


def _parse(content: bytes, path: Path) -> npt.NDArray[np.uint8]:
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise DataError(f"{path}: magic number {content[:4].hex() or 'none'}, expected 000008xx: no idx file of bytes")
    head = 4 + 4 * content[3]
    if len(content) < head:
        raise DataError(f"{path}: the header is truncated")
    shape = struct.unpack(f">{content[3]}I", content[4:head])
    expected = math.prod(shape)
    if len(content) - head != expected:
        raise DataError(f"{path}: {len(content) - head} bytes of content, the header announces {expected}: truncated?")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(shape)
