from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saddlepoint.auditing.lock import held
from saddlepoint.errors import RunError

OTHER = """
import fcntl, os, sys
handle = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(handle, fcntl.LOCK_EX)
os.write(handle, f"pid {os.getpid()} on elsewhere".encode())
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    command = [sys.executable, "-S", "-c", OTHER, str(tmp_path / "run.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with (
            pytest.raises(RunError, match=rf"in use by another process \(pid {other.pid} on elsewhere\)"),
            held(tmp_path),
        ):
            pass
        other.kill()
        other.wait()
    with held(tmp_path):
        assert f"pid {os.getpid()} on" in (tmp_path / "run.lock").read_text()


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(RunError, match=f"pid {os.getpid()}"), held(tmp_path):
        pass
    with held(tmp_path):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="there is a file in its place"), held(tmp_path / "file"):
        pass


def test_a_read_only_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(RunError, match=r"cannot be written \(Read-only file system\)"), held(tmp_path):
        pass
