"""``saddlepoint transfer``."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest

from saddlepoint.auditing.crossing import ATTACKS
from saddlepoint.cli import main

ASK = ["--data", "fashion-mnist-1k[:24]", "--threat", "linf:0.1", "--attacks", "fgsm,mi_fgsm(steps=3)", "--quiet"]
PAIR = ["zoo:fashion-standard", "zoo:fashion-fgsm"]


@pytest.mark.parametrize("form", ["json", "md"])
def test_the_table_is_printed_and_kept(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"table.{form}"
    assert main(["transfer", *PAIR, *ASK, "--sources", PAIR[0], "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "samples that every model classifies rightly" in printed
    line = next(line for line in printed.splitlines() if line.startswith("mi_fgsm(steps=3)"))
    assert line.split()[1] == "fashion-standard"
    if form == "json":
        kept = json.loads(out.read_text())
        assert kept["models"] == ["fashion-standard", "fashion-fgsm"]
        assert len(kept["crossings"]) == 4
    else:
        assert out.read_text().splitlines()[-1].split("|")[1:4] == [f" {word} " for word in line.split()[:3]]


def test_rules_are_tried_with_each_attack(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transfer", *PAIR, *ASK, "--sources", PAIR[0], "--backward", "none,soft(beta=5)"]) == 0
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("fgsm + soft(beta=5)")]
    assert len([line for line in printed.splitlines() if " fashion-standard " in line]) == 4 + 1  # and the header


def test_the_command_in_the_docs_runs_on_fewer_images(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs/transfer.md").read_text()
    (command,) = re.findall(r"^```sh\nsaddlepoint (.*?)^```", page, re.DOTALL | re.MULTILINE)
    words = shlex.split(command.replace("\\\n", " ").replace("[:200]", "[:12]"))
    assert main([*words, "--quiet"]) == 0
    assert "mi_fgsm + intrinsic" in capsys.readouterr().out


def test_attacks_need_not_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transfer", *PAIR, "--data", "fashion-mnist-1k[:2]", "--threat", "linf:0.1", "--quiet"]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines() if "fashion-standard" in line} >= set(
        ATTACKS
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([PAIR[0], *ASK], "say two models or more"),
        ([PAIR[0], PAIR[0], *ASK], "a model is named twice"),
        ([*PAIR, *ASK, "--out", "table.csv"], "ends in .json or .md"),
        ([*PAIR, *ASK, "--backward", "linear,soft"], "soft: beta is missing"),
        ([*PAIR, *ASK, "--backward", "linear,,soft"], "--backward linear,,soft: a name is missing"),
        ([*PAIR, *ASK, "--budget", "5"], "--budget is for attacks on the model itself"),
        ([*PAIR, *ASK, "--sources", "zoo:fashion-smooth"], "no model is called 'fashion-smooth' here"),
        ([*PAIR, "--data", "fashion-mnist-1k[:4]", "--threat", "linf:0.1", "--attacks", "pdg"], "did you mean pgd?"),
    ],
)
def test_errors_are_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["transfer", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert os.linesep not in error
