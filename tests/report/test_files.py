"""The report of a real, small run on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.auditing import Summary
from saddlepoint.errors import RunError
from saddlepoint.report import page_of, runs_in, summary_of, write_index, write_report


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A linear model on 20 pictures, of which the threat breaks some and leaves some."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(20, 1, 4, 4, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        y = model(x).argmax(1)
    out = tmp_path_factory.mktemp("run") / "run"
    sp.audit(model, x, y, threat=sp.Linf(0.05), attacks=["pgd(steps=5)"], curve=None, out=out)
    return out


def test_page_and_twin_lie_in_the_run_and_agree_with_its_summary(run_dir):
    path = write_report(run_dir)
    assert path == run_dir / "report.html"
    stored = Summary.from_json((run_dir / "summary.json").read_text())
    twin = json.loads((run_dir / "report.json").read_text())
    assert Summary.from_json(json.dumps(twin["summary"])) == stored
    broken = 20 - stored.union.correct
    assert 0 < broken < 20
    assert path.read_text().count("<img") == 3 * broken


def test_writing_it_twice_gives_the_same_bytes(run_dir, tmp_path):
    first, second = (write_report(run_dir, tmp_path / name) for name in ("a.html", "b.html"))
    assert first.read_bytes() == second.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.html", "a.json", "b.html", "b.json"]


def test_a_run_without_its_summary_is_summed_up_from_its_records(run_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "summary.json").unlink()
    assert page_of(copy).summary == page_of(run_dir).summary


def test_a_run_that_was_stopped_says_that_it_is_not_complete(run_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "summary.json").unlink()
    shutil.rmtree(next(copy.glob("results/threat=linf*")))
    page = page_of(copy)
    assert not page.summary.complete
    assert page.summary.union.correct == page.summary.clean_correct
    assert "not complete" in page.warnings[0]


def test_no_run_no_report(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        write_report(tmp_path)


def test_evidence_that_is_gone_is_named(run_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    shutil.rmtree(copy / "inputs")
    with pytest.raises(RunError, match="the command of the audit again"):
        write_report(copy, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_page_has_a_name_that_browsers_know(run_dir, tmp_path):
    with pytest.raises(RunError, match=r"must end in \.html"):
        write_report(run_dir, tmp_path / "page.txt")


def test_a_place_that_cannot_be_written_is_one_clear_error(run_dir, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="give another folder"):
        write_report(run_dir, tmp_path / "file" / "page.html")


def test_command_of_a_run_from_python_is_not_made_up(run_dir):
    page = page_of(Path(run_dir))
    assert page.summary.command is None
    assert "This command" not in write_report(run_dir).read_text()


def test_a_folder_of_runs_has_an_index(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "good")
    shutil.copytree(run_dir, tmp_path / "begun")
    (tmp_path / "begun" / "summary.json").unlink()
    shutil.rmtree(tmp_path / "begun" / "results")
    shutil.copytree(run_dir, tmp_path / "half")
    (tmp_path / "half" / "summary.json").unlink()
    shutil.rmtree(next((tmp_path / "half").glob("results/threat=linf*")))
    shutil.copytree(run_dir, tmp_path / "damaged")
    (tmp_path / "damaged" / "summary.json").write_bytes(b"\xff\xfe{")
    (tmp_path / "no run").mkdir()
    (tmp_path / "file").write_text("")
    path = write_index(tmp_path)
    assert path == tmp_path / "index.html"
    twin = json.loads((tmp_path / "index.json").read_text())
    assert [(e["folder"], e["complete"]) for e in twin["entries"]] == [("half", False), ("good", True)]
    reasons = {one["folder"]: one["reason"] for one in twin["unread"]}
    assert "clean pass has not ended" in reasons["begun"]
    assert "is damaged" in reasons["damaged"]
    assert reasons.keys() == {"begun", "damaged"}


def test_a_run_is_no_folder_of_runs(run_dir, tmp_path):
    assert runs_in(run_dir) == []
    assert runs_in(tmp_path / "nowhere") == []
    with pytest.raises(RunError, match="none of its folders does"):
        write_index(tmp_path)


def test_a_summary_that_is_no_text_is_damaged(run_dir, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run_dir, copy)
    (copy / "summary.json").write_bytes(b"\xff\xfe{")
    with pytest.raises(RunError, match="the command of the audit again"):
        summary_of(copy)
