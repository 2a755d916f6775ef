"""An ONNX file on the command line."""

import warnings

import pytest
import torch

import saddlepoint as sp
from saddlepoint.cli import main


@pytest.fixture
def file(tmp_path):
    network = sp.zoo.load("fashion-pgd-linf")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (torch.zeros(1, 1, 28, 28),), str(tmp_path / "net.onnx"), dynamo=False)
    return tmp_path / "net.onnx"


def told(capsys, *args):
    code = main([*args])
    out = capsys.readouterr()
    return code, out.out + out.err


@pytest.mark.parametrize("access", [(), ("--access", "scores"), ("--access", "labels")])
def test_a_file_is_audited_as_the_network_it_came_from(file, tmp_path, capsys, access):
    lines = {}
    for name, model in (("file", str(file)), ("network", "zoo:fashion-pgd-linf")):
        code, out = told(
            capsys, "audit", model, "--data", "fashion-mnist-1k[:10]", "--threat", "linf:0.1", "--quiet",
            "--plan", "quick", "--budget", "300", "--out", str(tmp_path / name), *access,
        )  # fmt: skip
        assert code == 0, out
        lines[name] = [line for line in out.splitlines() if line.startswith(("clean", "robust"))]
    assert lines["file"] == lines["network"]


def test_what_is_wrong_with_a_file_is_one_line(tmp_path, capsys):
    (tmp_path / "net.onnx").write_bytes(b"\x08\x01")
    code, out = told(
        capsys, "audit", str(tmp_path / "net.onnx"), "--data", "fashion-mnist-1k[:10]", "--threat", "linf:0.1"
    )
    assert code != 0
    assert "is no whole ONNX file" in out
    assert "Traceback" not in out
