from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from saddlepoint.auditing import atomic
from saddlepoint.errors import RunError


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    atomic.write(tmp_path / "a" / "b", b"new")
    assert (tmp_path / "a" / "b").read_bytes() == b"new"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_until_the_rename_the_old_file_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atomic.write(tmp_path / "a", b"old")

    def look(source: Path, target: Path) -> None:
        assert Path(target).read_bytes() == b"old"
        assert Path(source).read_bytes() == b"new"
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", look)
    with pytest.raises(KeyboardInterrupt):
        atomic.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    atomic.sweep(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.ENOSPC, r"no space left for .*a \(this file needs 2.0 MB\): free some, then issue the same command"),
        (errno.EROFS, r"a cannot be written .*: give a folder you may write to"),
        (errno.EACCES, r"a cannot be written"),
        (errno.EIO, r"a: .*: remove the cause, then issue the same command"),
    ],
)
def test_a_failing_disk_is_one_line_and_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    atomic.write(tmp_path / "a", b"old")

    def fail(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=says) as caught:
        atomic.write(tmp_path / "a", b"n" * 2_000_000)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")
    with pytest.raises(RunError, match="there is a file in its place"):
        atomic.write(tmp_path / "a" / "b", b"")


def test_sweeping_takes_the_unfinished_only(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / ".tmp-1-part-00000.parquet").write_text("half")
    (tmp_path / "deep" / "part-00000.parquet").write_text("whole")
    atomic.sweep(tmp_path)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["part-00000.parquet"]
