"""Audits of models that answer with labels only, with a surrogate learned on the way."""

import json

import pyarrow.parquet as pq
import pytest

from saddlepoint.cli import main


def audit(tmp_path, capsys, *args):
    code = main([
        "audit", "zoo:fashion-standard", "--data", "fashion-mnist-1k[:60]", "--threat", "linf:0.1", "--quiet",
        "--access", "labels", "--plan", "quick", "--budget", "60", "--out", str(tmp_path / "run"), *args,
    ])  # fmt: skip
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_surrogate_is_learned_and_what_fools_it_is_tried(tmp_path, capsys):
    code, out = audit(tmp_path, capsys, "--surrogate", "learn:240")
    assert code == 0, out
    records = pq.read_table(tmp_path / "run" / "records.parquet").to_pydict()
    met = [met for attack, met in zip(records["attack"], records["met"], strict=True) if attack == "transfer"]
    assert len(met) > 20  # those that the attacks before it left
    assert 0 < sum(met) < len(met)
    assert "learned from 228 labels" in (tmp_path / "run" / "spec.json").read_text()
    told = json.loads((tmp_path / "run" / "summary.json").read_text())["outlay"]
    assert (told["labels"], told["agreement"]["n"], told["usage"]) == (240, 12, None)
    assert 0.2 < told["agreement"]["value"] <= 1  # one class in ten by chance
    report = (tmp_path / "run" / "report.html").read_text()
    assert "agrees with the model on what is new" in report
    assert "n = 12" in report
    assert "stand-in: labels asked for 240, agrees with the model on what is new" in " ".join(out.split())


@pytest.mark.parametrize("number", ["", "many", "-3", "0"])
def test_how_many_labels_must_be_a_number(tmp_path, capsys, number):
    code, out = audit(tmp_path, capsys, "--surrogate", f"learn:{number}")
    assert code != 0
    assert "labels" in out or "budget" in out
    assert "Traceback" not in out
    assert len(out.strip().splitlines()) == 1
