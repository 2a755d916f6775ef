"""``saddlepoint patch``."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from saddlepoint.cli import main

ASK = ["zoo:fashion-standard", "--data", "fashion-mnist-1k[:40]"]


def test_the_patch_is_stored_to_be_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("patch.png", "patch.safetensors"):
        asked = [*ASK, "--side", "10", "--epochs", "3", "--held-out", "fashion-mnist-1k[500:530]"]
        assert main(["patch", *asked, "--out", str(tmp_path / name)]) == 0
        printed = capsys.readouterr().out
        assert "10 x 10 pixels, 13% of a picture" in printed
        assert sum("a gray patch" in line for line in printed.splitlines()) == 2
    content = load_file(tmp_path / "patch.safetensors")["content"]
    assert content.shape == (1, 1, 10, 10)
    picture = np.asarray(Image.open(tmp_path / "patch.png"))
    assert picture.shape == (520, 520)
    assert np.array_equal(picture[26::52, 26::52], (255 * content[0, 0]).round().numpy().astype(np.uint8))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--out", "patch.jpg"], ".png or .safetensors"),
        (["--budget", "9"], "--epochs limits the effort"),
        (["--side", "40"], "between 1 and 28 pixels"),
        (["--zoom", "0.5"], "zoom >= 1"),
        (["--target", "12"], "--target 12: no such class; take a number below 10, or T-shirt/top"),
    ],
)
def test_errors_are_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["patch", *ASK, *(words if "--side" in words else ["--side", "10", *words])]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert os.linesep not in error
