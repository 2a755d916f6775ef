"""``saddlepoint universal``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import saddlepoint as sp
from saddlepoint.cli import main

ASK = ["zoo:fashion-standard", "--data", "fashion-mnist-1k[:64]", "--threat", "linf:0.15"]


def test_the_perturbation_is_stored_and_does_what_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "delta.safetensors"
    assert main(["universal", *ASK, "--held-out", "fashion-mnist-1k[500:600]", "--epochs", "4", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    kept = load_file(out)
    assert kept["delta"].shape == (1, 1, 28, 28)
    assert float(kept["delta"].abs().max()) <= 0.15 + 1e-6
    net = sp.zoo.load("fashion-standard")
    for part, line in (("[:64]", "made from"), ("[500:600]", "held out")):
        x = sp.zoo.data.load(f"fashion-mnist-1k{part}").x
        with torch.no_grad():
            fooled = int((net((x + kept["delta"]).clamp(0, 1)).argmax(1) != net(x).argmax(1)).sum())
        assert f"{fooled} of {len(x)}" in next(text for text in printed.splitlines() if line in text)


def test_a_class_that_all_are_to_be_taken_for_goes_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for target in ("Bag", "8"):
        assert main(["universal", *ASK, "--epochs", "2", "--target", target]) == 0
        told.append(capsys.readouterr().out)
        assert f"taken for {target}" in told[-1]
    counts = [next(line.split("made from")[1] for line in text.splitlines() if "made from" in line) for text in told]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "delta.npz"], "ends in .safetensors"),
        (["--budget", "9"], "--epochs limits the effort"),
        (["--method", "deepfool", "--target", "3"], "take method='sgd'"),
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
    ],
)
def test_errors_are_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["universal", *ASK, *words]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert os.linesep not in error
