from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import Audit, Silent, atomic, read_spec
from saddlepoint.auditing import conduct as conduct_module
from saddlepoint.auditing import stages as stages_module
from saddlepoint.errors import RunError

Make = Callable[..., Any]


class Notes(Silent):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def begin(self, stages: Any, n: int) -> None:
        self.said.append(("begin", list(stages), n))

    def stage(self, name: str, samples: int, standing: int) -> None:
        self.said.append(("stage", name, samples))

    def piece(self, done: int, total: int, fooled: int, seconds: float) -> None:
        self.said.append(("piece", done, total, fooled, seconds > 0))

    def asked(self, forwards: int) -> None:
        self.said.append(("asked", forwards))

    def estimate(self, seconds: float | None) -> None:
        self.said.append(("estimate", seconds))

    def notice(self, text: str) -> None:
        self.said.append(("notice", text))

    def end(self, summary: Any) -> None:
        self.said.append(("end", summary))

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [note[1:] for note in self.said if note[0] == kind]


class Dead(BaseException):
    """Stands for the end of the process: nothing after it touches the disk."""


def dying(monkeypatch: pytest.MonkeyPatch, write: int, before: bool) -> None:
    """Let the process end at the rename number ``write``, just before or just after it."""
    replace, count = os.replace, iter(range(10_000))

    def end(source: Path, target: Path) -> None:
        fatal = next(count) == write
        if fatal and before:
            raise Dead
        replace(source, target)
        if fatal:
            raise Dead

    monkeypatch.setattr(atomic.os, "replace", end)


@pytest.mark.parametrize("before", [True, False])
def test_whichever_write_is_the_last_the_next_call_ends_the_same(
    quick: Make, tmp_path: Path, fingerprint: Make, before: bool
) -> None:
    small = {"threat": sp.Linf(0.1), "piece_size": 14}
    writes, replace = [], os.replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", lambda a, b: (writes.append(b), replace(a, b)))
        quick(tmp_path / "whole", **small)
    expected = fingerprint(tmp_path / "whole")
    assert len(writes) > 12
    for write in range(len(writes)):
        run = tmp_path / f"run-{write}"
        with pytest.MonkeyPatch.context() as patch:
            dying(patch, write, before)
            with pytest.raises(Dead):
                quick(run, **small)
        assert bool(list(run.rglob(".tmp-*"))) == before
        quick(run, **small)
        assert fingerprint(run) == expected


DRIVER = """
import json, os, random, shutil, signal, sys, time
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from conftest import content, make_audit
from pathlib import Path
import saddlepoint.auditing.atomic as atomic

def killed_at_write(run, write):
    replace, count = os.replace, iter(range(10_000))
    def end(source, target):
        replace(source, target)
        if next(count) == write:
            os.kill(os.getpid(), signal.SIGKILL)
    atomic.os.replace = end
    make_audit(run)

def killed_by(child, after):
    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]

root = Path(sys.argv[2])
started = time.perf_counter()
make_audit(root / "whole")
took = time.perf_counter() - started
expected = content(root / "whole")
draw = random.Random(0)
answers = []
for i in range(8):
    run = root / f"run-{i}"
    if i % 2:
        status = killed_by(lambda: make_audit(run), draw.random() * took)
    else:
        status = killed_by(lambda: killed_at_write(run, draw.randrange(20)), None)
    pieces = len(list(run.rglob("part-*.parquet")))
    make_audit(run)
    answers.append([status, pieces, content(run) == expected])
print(json.dumps(answers))
"""


def test_kill_minus_nine_at_random_moments(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [same for _, _, same in answers] == [True] * len(answers)
    assert all(status == 9 for status, _, _ in answers[::2])
    assert len({pieces for _, pieces, _ in answers}) > 2, "the kills fell at different moments"


@pytest.mark.parametrize("stage", ["01-pgd", "02-apgd_ce", "03-pgd", "04-apgd_ce"])
def test_ctrl_c_leaves_a_run_that_can_be_gone_on_with(
    quick: Make, run: Path, whole: Audit, fingerprint: Make, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    work = stages_module.AttackStage.work

    def interrupted(self: Any, subject: Any, rows: Any) -> Any:
        if self.name == stage:
            raise KeyboardInterrupt
        return work(self, subject, rows)

    monkeypatch.setattr(stages_module.AttackStage, "work", interrupted)
    with pytest.raises(KeyboardInterrupt):
        quick(run)
    done = {path.parent.name for path in run.rglob("part-*.parquet")}
    assert f"stage={stage}" not in done
    assert "stage=00-clean" in done
    monkeypatch.undo()
    quick(run)
    assert fingerprint(run) == fingerprint(whole.run_dir)


def test_nothing_is_asked_twice(quick: Make, network: Make, run: Path, whole: Audit) -> None:
    asked = []

    class Watched(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            asked.append(len(x))
            answer: Tensor = super().forward(x)
            return answer

    model = Watched(*network())
    first = quick(run, model=model)
    probes = read_spec(run)["diagnosis"]["forwards"]
    planes = len(first.summary().landscapes) * (21 * 21 + 1)
    assert sum(asked) == sum(first.records.column("forwards").to_pylist()) + 2 + probes + planes
    assert 0 < probes < 32 * 20
    asked.clear()
    again = quick(run, model=model)
    assert asked == [2], "but for the first two samples, to learn what the answers look like"
    assert again.records.equals(first.records)
    assert again.summary() == first.summary()


def test_a_run_of_half_goes_on_with_the_other_half(quick: Make, run: Path, whole: Audit, fingerprint: Make) -> None:
    shutil.copytree(whole.run_dir, run)
    for stage in ("02-apgd_ce", "03-pgd", "04-apgd_ce"):
        for path in run.rglob(f"stage={stage}"):
            shutil.rmtree(path)
    notes = Notes()
    quick(run, listener=notes)
    assert fingerprint(run) == fingerprint(whole.run_dir)
    fresh = [new for *_, new in notes.of("piece")]
    assert fresh == sorted(fresh)
    assert 0 < sum(fresh) < len(fresh)


@pytest.mark.parametrize("kind", ["results", "inputs"])
@pytest.mark.parametrize("harm", ["truncated", "flipped", "emptied", "lost"])
def test_a_damaged_piece_is_set_aside_and_computed_again(
    quick: Make, run: Path, whole: Audit, fingerprint: Make, kind: str, harm: str
) -> None:
    shutil.copytree(whole.run_dir, run)
    victim = sorted((run / kind).rglob("stage=01-pgd/part-*"))[1]
    content = victim.read_bytes()
    half = len(content) // 2
    if harm == "lost":
        victim.unlink()
    else:
        flipped = content[:32] + bytes(byte ^ 1 for byte in content[32:48]) + content[48:]
        victim.write_bytes({"truncated": content[:half], "flipped": flipped, "emptied": b""}[harm])
    notes = Notes()
    summary = quick(run, listener=notes).summary()
    lost_records = harm == "lost" and kind == "results"
    assert len(notes.of("notice")) == (0 if lost_records else 1)
    assert lost_records or "set aside as *.damaged and is computed again" in summary.notices[0]
    found, expected = fingerprint(run), fingerprint(whole.run_dir)
    aside = {name for name in found if name.endswith(".damaged")}
    assert bool(aside) != lost_records
    assert {k: v for k, v in found.items() if k not in aside | {"summary.json"}} == {
        k: v for k, v in expected.items() if k != "summary.json"
    }
    assert "part-00001.parquet" in str(sorted(run.rglob("stage=01-pgd/part-*.parquet"))[1])


def test_a_piece_with_other_samples_is_not_believed(quick: Make, run: Path, whole: Audit, fingerprint: Make) -> None:
    shutil.copytree(whole.run_dir, run)
    first, second = sorted(run.rglob("stage=00-clean/part-*.parquet"))[:2]
    table = pq.read_table(second, partitioning=None)
    note = json.loads(table.schema.metadata[b"saddlepoint"])
    forged = table.replace_schema_metadata({b"saddlepoint": json.dumps({**note, "part": 0})})
    pq.write_table(forged, first)
    notes = Notes()
    quick(run, listener=notes)
    assert "holds other samples than it should" in notes.of("notice")[0][0]
    found = fingerprint(run)
    assert all(found[k] == v for k, v in fingerprint(whole.run_dir).items() if k != "summary.json")


def sized(run: Path, stage: str) -> list[int]:
    return [pq.read_metadata(path).num_rows for path in sorted(run.rglob(f"stage={stage}/part-*.parquet"))]


@pytest.mark.parametrize(("seconds", "pieces"), [(1e-9, [16, 16, 2]), (1e9, [34])])
def test_pieces_are_of_as_many_as_the_clean_pass_says(
    quick: Make, run: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, pieces: list[int]
) -> None:
    """34 of 40 samples are right; a clean pass is never cut."""
    monkeypatch.setattr(conduct_module, "SECONDS", seconds)
    quick(run, threat=sp.Linf(0.1), piece_size=None)
    assert (sized(run, "00-clean"), sized(run, "01-pgd")) == ([40], pieces)
    monkeypatch.setattr(conduct_module, "NUMBERS", 5 * 18)
    quick(run.with_name("few"), threat=sp.Linf(0.1), piece_size=None)
    assert max(sized(run.with_name("few"), "01-pgd")) == 5, "of 18 numbers each"


def test_whoever_goes_on_takes_pieces_of_any_size(
    quick: Make, run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One piece lost, in the middle or the first: the rest is taken, or put aside where it no longer fits."""
    options = {"threat": sp.Linf(0.1), "piece_size": None}
    whole = quick(tmp_path / "large", **options).records
    monkeypatch.setattr(conduct_module, "SECONDS", 1e-9)
    quick(run, **options)
    monkeypatch.undo()
    for lost, left in ((2, [16, 16, 2]), (1, [16, 18]), (0, [34])):
        for kind in ("results", "inputs"):
            next((run / kind).rglob(f"stage=01-pgd/part-{lost:05d}.*")).unlink()
        again = quick(run, **options).records
        assert sized(run, "01-pgd") == left
        same = ["threat", "stage", "sample", "met", "status", "predicted", "steps"]
        assert again.select(same).equals(whole.select(same))
        assert sp.auditing.read_records(run, read_spec(run)).num_rows == again.num_rows


def test_a_full_disk_is_one_line_and_loses_nothing(
    quick: Make, run: Path, whole: Audit, fingerprint: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, count = atomic._store, iter(range(100))

    def full(path: Path, content: bytes) -> None:
        if next(count) >= 9:
            path.write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        store(path, content)

    monkeypatch.setattr(atomic, "_store", full)
    with pytest.raises(RunError, match=r"no space left for .*: free some, then issue the same command again") as caught:
        quick(run)
    assert "\n" not in str(caught.value)
    kept = {k: v for k, v in fingerprint(run).items() if "part-" in k}
    assert len(kept) >= 7
    monkeypatch.undo()
    quick(run)
    found = fingerprint(run)
    assert found == fingerprint(whole.run_dir)
    assert all(found[name] == content for name, content in kept.items())


def test_memory_that_runs_out_halves_the_batch_and_is_said(quick: Make, network: Make, run: Path) -> None:
    class Small(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
            if len(x) > 5:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            answer: Tensor = super().forward(x)
            return answer

    notes = Notes()
    audited = quick(run, model=Small(*network()), listener=notes)
    usual = quick()
    assert audited.summary().union == usual.summary().union
    assert notes.of("notice") == [("memory ran out: batches of 4 samples now, not 256",)]
    assert audited.summary().notices == ("memory ran out: batches of 4 samples now, not 256",)


def test_a_listener_hears_everything_in_order(quick: Make, whole: Audit) -> None:
    notes = Notes()
    audited = quick(listener=notes, threat=[sp.Linf(0.1), sp.L0(2)], attacks=["frank_wolfe(steps=2)", "fgsm"])
    assert notes.said[0] == (
        "begin",
        ["none 00-clean", "linf:0.1 01-frank_wolfe", "linf:0.1 02-fgsm", "l0:2.0 03-fgsm"],
        40,
    )
    known = ", ".join(kind.__name__ for kind in sp.attacks.frank_wolfe.sets)
    assert notes.said[1] == ("notice", f"frank_wolfe was left out for l0:2.0: it works in {known}")
    assert notes.said[-1] == ("end", audited.summary())
    assert [name for name, _ in notes.of("stage")] == ["00-clean", "01-frank_wolfe", "02-fgsm", "03-fgsm"]
    kinds = [note[0] for note in notes.said]
    first_attack = [i for i, kind in enumerate(kinds) if kind == "stage"][1]
    assert kinds.index("estimate") < first_attack
    (seconds,) = notes.of("estimate")[0]
    assert seconds > 0
    clean = [done for done, total, *_ in notes.of("piece") if total == 40][:5]
    assert clean == [9, 18, 27, 36, 40]
    assert sum(asked for (asked,) in notes.of("asked")) == sum(audited.records.column("forwards").to_pylist())


def test_survivors_of_the_whole_data_are_batched_anew(quick: Make) -> None:
    notes = Notes()
    audited = quick(listener=notes, threat=sp.Linf(0.1), piece_size=7)
    everyone, right, standing = (n for _, n in notes.of("stage"))
    assert everyone == 40 > right > standing > 7
    last = [(done, total) for done, total, *_ in notes.of("piece") if total == standing]
    assert last == [(7, standing), (standing, standing)]
    assert audited.summary().threats[0].stages[1].ran_on == standing
