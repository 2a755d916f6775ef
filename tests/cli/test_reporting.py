"""``saddlepoint report`` in its three forms and for many runs, and what an audit prints of the trust in its numbers."""

from __future__ import annotations

import dataclasses as dc
import json
import shutil

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.auditing import Doubt, Summary
from saddlepoint.cli import main
from saddlepoint.cli.audit import _trust
from saddlepoint.report import markdown


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with two runs, one of them damaged."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(12, 1, 4, 4, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
        y = model(x).argmax(1)
    folder = tmp_path_factory.mktemp("runs")
    sp.audit(model, x, y, threat=sp.Linf(0.05), attacks=["pgd(steps=5)"], curve=None, out=folder / "net")
    shutil.copytree(folder / "net", folder / "worn")
    (folder / "worn" / "spec.json").write_text("{}")
    return folder


def summary_of(run):
    return Summary.from_json((run / "summary.json").read_text())


def test_markdown_goes_to_stdout_alone(runs, capsys):
    assert main(["report", str(runs / "net"), "--format", "md"]) == 0
    assert capsys.readouterr().out == markdown(summary_of(runs / "net"))
    assert not list(runs.rglob("*.md"))


@pytest.mark.parametrize("form", ["md", "json"])
def test_it_goes_into_a_file_if_one_is_given(runs, tmp_path, capsys, form):
    assert main(["report", str(runs / "net"), "--format", form]) == 0
    printed = capsys.readouterr().out
    out = tmp_path / "folder" / f"out.{form}"
    assert main(["report", str(runs / "net"), "--format", form, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    assert out.read_text() == printed


def test_json_may_be_said_in_two_ways(runs, capsys):
    assert main(["report", str(runs / "net"), "--json"]) == 0
    short = capsys.readouterr().out
    assert main(["report", str(runs / "net"), "--format", "json"]) == 0
    assert capsys.readouterr().out == short
    assert json.loads(short)["summary"]["n"] == 12


def test_a_page_is_the_default(runs, tmp_path, capsys):
    for words in ([], ["--format", "html"]):
        assert main(["report", str(runs / "net"), "--out", str(tmp_path / "page.html"), *words]) == 0
        assert capsys.readouterr().out == f"report: {tmp_path / 'page.html'}\n"


def test_a_folder_of_runs_gets_an_index_with_the_damaged_one_named(runs, capsys):
    assert main(["report", str(runs)]) == 0
    assert capsys.readouterr().out == f"index: {runs / 'index.html'}\n"
    twin = json.loads((runs / "index.json").read_text())
    assert [entry["folder"] for entry in twin["entries"]] == ["net"]
    assert [one["folder"] for one in twin["unread"]] == ["worn"]
    assert main(["report", str(runs), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == twin


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "md"], "holds several audits, Markdown is of one"),
        (["--out", "index.txt"], "must end in .html"),
        (["--format", "pdf"], '"html", "md", "json"'),
    ],
)
def test_what_cannot_be_is_one_line(runs, capsys, words, message):
    assert main(["report", str(runs), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_an_audit_prints_proofs_verdict_and_doubts(runs):
    summary = summary_of(runs / "net")
    threat = summary.threats[0]
    doubts = (
        Doubt("few", "note", "Few samples", "12 samples", "take more"),
        Doubt("flat", "fatal", "Slopes are zero", "all of them", "name the module", threat.threat),
    )
    proven = dc.replace(summary, threats=(dc.replace(threat, certified=1),), doubts=doubts)
    standing = threat.robust.correct
    assert _trust(proven) == [
        "",
        f"Linf 0.05: between 8.3 % (1 of 12 are proven to withstand) and {100 * standing / 12:.1f} % ({standing} are"
        f" not broken); {standing - 1} stay undecided",
        "verdict: invalid. A check failed that these numbers rest on: they mean nothing until its cause is removed.",
        "fatal: Slopes are zero (Linf 0.05). All of them. Name the module.",
        "note: Few samples. 12 samples. Take more.",
    ]
    assert _trust(dc.replace(summary, doubts=()))[1:] == [
        "verdict: sound. No automatic check found a reason to distrust these numbers."
    ]
