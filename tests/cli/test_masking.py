"""What may change, from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import saddlepoint as sp
from saddlepoint.cli import main
from saddlepoint.cli.masking import masked
from saddlepoint.errors import OptionError

X = torch.rand(3, 2, 4, 5)


def test_pictures_and_arrays_mark_what_may_change(tmp_path: Path) -> None:
    marks = np.zeros((4, 5), dtype=np.uint8)
    marks[1:3, 2:4] = 1
    Image.fromarray(255 * marks).save(tmp_path / "marks.png")
    np.save(tmp_path / "marks.npy", marks)
    np.save(tmp_path / "each.npy", np.broadcast_to(marks, (3, 2, 4, 5)))
    for name, shape in (("marks.png", [1, 1, 4, 5]), ("marks.npy", [1, 1, 4, 5]), ("each.npy", [3, 2, 4, 5])):
        mask = masked(sp.Linf(0.1), tmp_path / name, X).mask
        assert mask is not None
        assert list(mask.shape) == shape
        assert torch.equal(mask[0, 0], torch.from_numpy(marks).bool())
    assert masked(sp.Linf(0.1), None, X).mask is None


def test_files_that_are_no_masks_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", np.ones((9, 9)))
    np.save(tmp_path / "black.npy", np.zeros((4, 5)))
    (tmp_path / "words.png").write_text("no picture")
    for name, says in (
        ("long.npy", r"shape \[9, 9\], the samples are \[3, 2, 4, 5\]: give one of \[4, 5\], \[2, 4, 5\]"),
        ("black.npy", "marks nothing"),
        ("words.png", "no picture"),
        ("none.npy", "no picture"),
    ):
        with pytest.raises(OptionError, match=says):
            masked(sp.Linf(0.1), tmp_path / name, X)


def test_attack_and_audit_keep_to_it(tmp_path: Path) -> None:
    marks = np.zeros((28, 28), dtype=np.uint8)
    marks[4:16, 4:24] = 255
    Image.fromarray(marks).save(tmp_path / "band.png")
    common = ["zoo:fashion-standard", "--data", "fashion-mnist-1k[:8]", "--mask", str(tmp_path / "band.png"), "--quiet"]
    out = tmp_path / "found.safetensors"
    assert main(["attack", "pgd", *common, "--threat", "linf:0.3", "--steps", "5", "--out", str(out)]) == 0
    stored, x = load_file(out), sp.zoo.data.load("fashion-mnist-1k[:8]").x
    changed = (stored["x_adv"] != x).any(0)[0]
    assert changed[4:16, 4:24].any()
    changed[4:16, 4:24] = False
    assert not changed.any()
    each = np.random.default_rng(0).random((8, 1, 28, 28)) < 0.3
    np.save(tmp_path / "each.npy", each)
    own = [str(tmp_path / "each.npy") if word.endswith("band.png") else word for word in common]
    asked = ["--threat", "linf:0.3", "--steps", "3", "--batch-size", "3", "--out", str(out)]
    assert main(["attack", "pgd", *own, *asked]) == 0
    changed = load_file(out)["x_adv"] != x
    assert changed.any()
    assert not (changed & ~torch.from_numpy(each)).any()
    asked = [
        "--threat",
        "linf:0.3",
        "--attacks",
        "fgsm",
        "--curve",
        "none",
        "--no-report",
        "--out",
        str(tmp_path / "run"),
    ]
    assert main(["audit", *common, *asked]) == 0
    assert "mask" in (tmp_path / "run" / "spec.json").read_text()
