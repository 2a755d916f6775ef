from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.idx import read_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
CONTENT = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2, 3, 4) + ARRAY.tobytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def stored(folder: Path, content: bytes, name: str = "images-idx3-ubyte") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_plain_and_compressed_files_are_read(tmp_path: Path) -> None:
    plain = stored(tmp_path, CONTENT)
    packed = stored(tmp_path, gzip.compress(CONTENT), "images.gz")
    for path in (plain, packed):
        assert np.array_equal(read_idx(path), ARRAY)
        assert np.array_equal(read_idx(path, SHA256), ARRAY)


def test_another_content_than_expected_is_refused(tmp_path: Path) -> None:
    changed = CONTENT[:-1] + b"\0"
    with pytest.raises(DataError, match=f"expected {SHA256}: not the official file"):
        read_idx(stored(tmp_path, gzip.compress(changed), "images.gz"), SHA256)


@pytest.mark.parametrize("keep", [0, 5, 20, -1])
def test_a_truncated_gzip_file_is_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(DataError, match=r"images.gz.*(truncated|magic)"):
        read_idx(stored(tmp_path, gzip.compress(CONTENT)[:keep], "images.gz"))


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(CONTENT))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(DataError, match="truncated or damaged"):
        read_idx(stored(tmp_path, bytes(packed), "images.gz"))


def test_what_is_no_gzip_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images.gz cannot be read"):
        read_idx(stored(tmp_path, CONTENT, "images.gz"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing"):
        read_idx(tmp_path / "images.gz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-3], "21 bytes of content, the header announces 24"),
        (CONTENT + b"x", "25 bytes of content, the header announces 24"),
        (CONTENT[:9], "the header is truncated"),
        (b"\x89PNG" + CONTENT, "magic number 89504e47"),
        (bytes([0, 0, 13, 3]) + CONTENT[4:], "magic number 00000d03"),
        (b"", "magic number none"),
        (bytes([0, 0, 8, 3]) + b"\xff" * 12, "the header announces 79228162458924105385300197375"),
    ],
)
def test_wrong_magic_and_wrong_lengths_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(stored(tmp_path, content))
