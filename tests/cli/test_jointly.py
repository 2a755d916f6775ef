"""``saddlepoint fool-all``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import saddlepoint as sp
from saddlepoint.cli import main

PAIR = ["zoo:fashion-standard", "zoo:fashion-fgsm"]
ASK = ["--data", "fashion-mnist-1k[:24]", "--threat", "linf:0.15", "--steps", "8"]


def test_what_is_printed_and_stored_is_what_the_models_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fooled.safetensors"
    assert main(["fool-all", *PAIR, *ASK, "--out", str(out)]) == 0
    printed, kept, data = capsys.readouterr().out, load_file(out), sp.zoo.data.load("fashion-mnist-1k[:24]")
    assert float((kept["x"] - data.x).abs().max()) <= 0.15 + 1e-6
    with torch.no_grad():
        wrong = [sp.zoo.load(name.removeprefix("zoo:"))(kept["x"]).argmax(1) != data.y for name in PAIR]
    assert torch.equal(kept["fooled"], torch.stack(wrong, 1))
    for name, fooled in (("fashion-standard", wrong[0]), ("fashion-fgsm", wrong[1]), ("all at", wrong[0] & wrong[1])):
        line = next(text for text in printed.splitlines() if text.startswith(name))
        assert f"{int(fooled.sum())} of 24" in line
    assert int((wrong[0] & wrong[1]).sum()) > 3


def test_the_average_is_another_attack(tmp_path: Path) -> None:
    kept = []
    for words in ([], ["--average"]):
        assert main(["fool-all", *PAIR, *ASK, *words, "--out", str(tmp_path / "x.safetensors")]) == 0
        kept.append(load_file(tmp_path / "x.safetensors")["x"])
    data = sp.zoo.data.load("fashion-mnist-1k[:24]")
    nets = [sp.zoo.load(name.removeprefix("zoo:")) for name in PAIR]
    mean = sp.fool_all(nets, data.x, data.y, sp.Linf(0.15), steps=8, gamma=float("inf"))
    assert torch.equal(kept[1], mean.x_adv)
    assert not torch.equal(kept[0], kept[1])


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([PAIR[0], *ASK], "say two models or more"),
        ([PAIR[0], PAIR[0], *ASK], "a model is named twice"),
        ([*PAIR, *ASK, "--out", "x.npz"], "ends in .safetensors"),
        ([*PAIR, *ASK, "--budget", "5"], "limit the effort"),
        ([*PAIR, *ASK, "--restarts", "0"], "restarts"),
    ],
)
def test_errors_are_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fool-all", *words]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert os.linesep not in error
