"""What the README tells a new user to type, typed: the examples, and the demo in an empty folder from a clean clone."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import saddlepoint as sp

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NETWORK = """
from torch import nn

def build():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("saddlepoint ")]


def run(words: list[str], folder: Path, **env: str) -> str:
    inherited = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(words, cwd=folder, env=inherited | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the examples speak of."""
    here = tmp_path_factory.mktemp("readme")
    (here / "mypkg").mkdir()
    (here / "mypkg" / "models.py").write_text(NETWORK)
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    nn.init.constant_(network[1].bias, 0)
    network[1].bias.data -= network[1].weight.data.sum(1) / 2  # gray is on the border of all three: each has pictures
    x = torch.rand(1000, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    save_file(network.state_dict(), here / "net.safetensors")
    np.savez(here / "test.npz", x=x.numpy(), y=network(x).argmax(1).numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (x[:1],), str(here / "net.onnx"), dynamo=False)
    for i, (picture, label) in enumerate(zip(x[:30], network(x[:30]).argmax(1).tolist(), strict=True)):
        (here / "images" / str(label)).mkdir(parents=True, exist_ok=True)
        pixels = (255 * picture).byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(here / "images" / str(label) / f"{i}.png")
    return here


def test_the_readme_has_commands_and_examples() -> None:
    assert len(COMMANDS) >= 4
    assert len(blocks("python")) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run_as_they_stand_on_fewer_images(
    folder: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "report runs/net" in command:
        monkeypatch.chdir(folder)
        _audited()
    fewer = re.sub(r"fashion-mnist-1k(\[:\d+\])?", "fashion-mnist-1k[:8]", command)
    program, *words = shlex.split(fewer)
    out = run([str(Path(sys.executable).with_name(program)), *words], folder)
    if words[0] == "audit":
        assert "robust" in out
    else:
        assert out.strip()


def _audited() -> None:
    """The run that the examples speak of, where no other test, in another process maybe, has left it."""
    if not Path("runs/net/records.parquet").exists():
        sp.audit(sp.zoo.load("fashion-standard"), *_some(), threat=sp.Linf(0.1), attacks=["fgsm"], out="runs/net")


def test_what_the_readme_computes_in_python_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _audited()
    known = {"sp": sp, "model": sp.zoo.load("fashion-pgd-linf"), "data": sp.zoo.data.load("fashion-mnist-1k[:4]")}
    for block in blocks("python"):
        if ">>>" not in block:
            exec(compile(block, "README.md", "exec"), known)
    assert known["a"].records.num_rows >= 4


def test_the_sessions_in_the_readme_print_what_they_say() -> None:
    sessions = doctest.DocTestParser().get_doctest(README, {}, "README.md", "README.md", 0)
    assert sessions.examples
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(sessions).failed == 0


def _some() -> tuple[torch.Tensor, torch.Tensor]:
    data = sp.zoo.data.load("fashion-mnist-1k[:4]")
    return data.x, data.y


@pytest.mark.timeout(1500)
@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("make"), reason="needs git's history and make")
def test_the_demo_in_a_clean_clone(tmp_path: Path) -> None:
    """As a new user: nothing but python3, pip and make; a fresh environment; the last line says where the report is."""
    run(["git", "clone", "-q", str(ROOT), "clone"], tmp_path)
    out = run(["make", "demo"], tmp_path / "clone")
    page = tmp_path / "clone" / re.findall(r"\S+report\.html", out)[-1]
    assert page.read_text().startswith("<!doctype html>")
    assert "robust, Linf 0.1" in out
