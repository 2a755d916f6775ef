from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from saddlepoint.errors import DataError
from saddlepoint.zoo import shipped


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "a.bin").write_bytes(b"content")
    shipped.seal(tmp_path)
    yield tmp_path
    shipped.checksums.cache_clear()


def test_a_sealed_file_is_read(folder: Path) -> None:
    assert shipped.read("a.bin", folder) == b"content"
    sums = json.loads((folder / shipped.SUMS).read_text())
    assert sums == {"a.bin": hashlib.sha256(b"content").hexdigest()}


def test_a_changed_file_is_refused_naming_both_sums(folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"c0ntent")
    found, expected = (hashlib.sha256(content).hexdigest() for content in (b"c0ntent", b"content"))
    with pytest.raises(DataError, match=f"a.bin has SHA-256 {found}, the shipped file has {expected}"):
        shipped.read("a.bin", folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    (folder / "a.bin").unlink()
    with pytest.raises(DataError, match=r"a.bin cannot be read .*reinstall"):
        shipped.read("a.bin", folder)


def test_a_file_that_is_not_listed_is_refused(folder: Path) -> None:
    (folder / "b.bin").write_bytes(b"content")
    with pytest.raises(DataError, match=r"b.bin is not among the shipped files: a.bin"):
        shipped.read("b.bin", folder)


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_a_missing_or_damaged_list_is_refused(folder: Path, content: bytes | None) -> None:
    (folder / shipped.SUMS).unlink()
    if content is not None:
        (folder / shipped.SUMS).write_bytes(content)
    with pytest.raises(DataError, match="the list of checksums cannot be read"):
        shipped.read("a.bin", folder)


def test_the_packaged_files_are_the_listed_ones() -> None:
    present = {path.name for path in shipped.FOLDER.iterdir()} - {shipped.SUMS}
    assert present == set(shipped.checksums())
    for name in present:
        assert shipped.read(name)


def test_no_packaged_file_exceeds_two_megabytes() -> None:
    for path in shipped.FOLDER.iterdir():
        assert path.stat().st_size <= 2_000_000, path


def test_the_license_of_the_images_lies_beside_them() -> None:
    text = (shipped.FOLDER / "fashion_mnist_LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in text
    assert "Zalando SE" in text
