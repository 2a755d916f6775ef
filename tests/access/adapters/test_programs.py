"""TorchScript archives and torch.export programs: the same answers and slopes; nothing runs when they are read."""

import contextlib
import io
import json
import pickle
import re
import warnings
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.access.adapters.trying import check_shape
from saddlepoint.certificates import why_not
from saddlepoint.cli import main
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.zoo.opening import open_model


class Bomb:
    """A pickle of this writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def scripted(network, path):
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 1, 8, 8)), str(path))
    return path


def exported(network, path, batch=2, dynamic=False):
    shapes = ({0: torch.export.Dim("n")},) if dynamic else None
    torch.export.save(torch.export.export(network, (torch.zeros(batch, 1, 8, 8),), dynamic_shapes=shapes), str(path))
    return path


class Named(nn.Module):
    """Answers by name, as networks of transformers do."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return {"logits": self.network(x)}


@pytest.mark.parametrize("batch", [1, 2])
def test_a_program_that_answers_by_name(network, tmp_path, batch):
    opened = sp.wrap(open_model(str(exported(Named(network), tmp_path / "net.pt2", batch=batch))))
    x = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(opened(x), network(x))


KINDS = {
    "script": lambda network, folder: scripted(network, folder / "net.pt"),
    "script, other name": lambda network, folder: scripted(network, folder / "net.ts"),
    "export, one": lambda network, folder: exported(network, folder / "net.pt2", batch=1),
    "export, two": lambda network, folder: exported(network, folder / "net.pt2", batch=2),
    "export, any": lambda network, folder: exported(network, folder / "net.pt2", dynamic=True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_answers_as_the_network_it_came_from(network, tmp_path, kind):
    opened = open_model(str(KINDS[kind](network, tmp_path)))
    for n in (1, 2, 5):
        x = torch.rand(n, 1, 8, 8, requires_grad=True)
        torch.testing.assert_close(opened(x), network(x))
        slopes = [torch.autograd.grad(m(x)[:, 0].sum(), x)[0] for m in (opened, network)]
        torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_attacked_as_the_network_is(network, tmp_path, kind):
    opened = open_model(str(KINDS[kind](network, tmp_path)))
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    y = network(x).argmax(1)
    own, other = (sp.attacks.pgd(m, x, y, sp.Linf(0.1), steps=4) for m in (opened, network))
    assert own.met.tolist() == other.met.tolist()
    torch.testing.assert_close(own.x_adv, other.x_adv)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_audited_from_the_command_line(network, tmp_path, capsys, kind):
    path, x = KINDS[kind](network, tmp_path), torch.rand(24, 1, 8, 8)
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=network(x).argmax(1).numpy())
    ask = ["--data", str(tmp_path / "data.npz"), "--threat", "linf:0.1", "--plan", "quick", "--no-report"]
    assert main(["audit", str(path), *ask, "--quiet", "--out", str(tmp_path / "run")]) == 0
    assert re.search(r"clean +100.0 % +24 of 24", capsys.readouterr().out)


def test_a_script_says_why_samples_do_not_fit_and_shows_no_layers(network, tmp_path):
    model = sp.wrap(open_model(str(scripted(network, tmp_path / "net.pt"))))
    with pytest.raises(ModelError, match=r"the samples of photos, which are \[3, 8, 8\]: RuntimeError: Given groups=1"):
        check_shape(model, torch.zeros(1, 3, 8, 8), "photos")
    with pytest.raises(OptionError, match="no module 'features'; it has none"):
        sp.wrap(model.network, bpda=["features"])


def test_weights_alone_and_pickled_modules_are_no_models(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    torch.save(network, tmp_path / "module.pt")
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    for name in ("weights.pt", "module.pt", "bomb.pt"):
        with pytest.raises(ModelError, match=rf"--weights .*{name}.* pickled are not read"):
            open_model(str(tmp_path / name))
    assert not (tmp_path / "ran").exists()


def test_files_that_have_the_name_of_another_kind_are_told_their_own(network, tmp_path):
    from safetensors.torch import save_file

    exported(network, tmp_path / "net.pt2").rename(tmp_path / "a.pt")
    torch.onnx.export(network, (torch.zeros(1, 1, 8, 8),), str(tmp_path / "b.pt"), dynamo=False)
    save_file(network.state_dict(), tmp_path / "c.pth")
    for name, words in {
        "a.pt": "a torch.export program by what is in it: give it the name a.pt2",
        "b.pt": "an ONNX file by what is in it: give it the name b.onnx",
        "c.pth": "a safetensors file of weights by what is in it: give it the name c.safetensors",
    }.items():
        with pytest.raises(ModelError, match=words):
            open_model(str(tmp_path / name))


@pytest.mark.parametrize("name", ["net.pt", "net.pt2", "net.onnx"])
def test_a_certificate_says_that_programs_show_no_layers(network, tmp_path, name):
    path = tmp_path / name
    if name == "net.onnx":
        torch.onnx.export(network, (torch.zeros(1, 1, 8, 8),), str(path), dynamo=False)
    else:
        (scripted if name == "net.pt" else exported)(network, path)
    said = why_not(sp.wrap(open_model(str(path))), torch.zeros(1, 1, 8, 8))
    assert re.fullmatch(r"a certificate needs the layers of a torch module, which an? .* does not show", said or "")


@pytest.mark.parametrize("suffix", [".pkl", ".joblib", ".skops", ".h5", ".tflite"])
def test_kinds_that_are_never_read(tmp_path, suffix):
    file = tmp_path / f"net{suffix}"
    file.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(ModelError, match=r"which is not read.*export it to ONNX"):
        open_model(str(file))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["net.pt", "net.pt2"])
def test_truncated_archives_are_told(network, tmp_path, name):
    path = (scripted if name == "net.pt" else exported)(network, tmp_path / name)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ModelError):
        open_model(str(path))
    with pytest.raises(ModelError, match="no file at"):
        open_model(str(tmp_path / f"none-{name}"))


def changed(path, to, change):
    """A copy of an archive with each member changed by ``change(name, content)``, None for none."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for item in old.infolist():
            content = change(item.filename, old.read(item))
            if content is not None:
                new.writestr(item.filename, content)
    return to


def pickled(flag):
    """Bytes that write a file at ``flag`` when they are unpickled, as torch.save lays them out."""
    out = io.BytesIO()
    torch.save(Bomb(flag), out)
    return out.getvalue()


RUNS = "__import__('pathlib').Path({!r}).touch()"
WAYS = {
    "sample inputs": lambda flag: lambda name, c: pickled(flag) if "sample_inputs" in name else c,
    "sample inputs, bare": lambda flag: lambda name, c: pickle.dumps(Bomb(flag)) if "sample_inputs" in name else c,
    "weights": lambda flag: (
        lambda name, c: (
            pickled(flag) if name.endswith("weight_0") else c.replace(b'"use_pickle": false', b'"use_pickle": true')
        )
    ),
    "a size": lambda flag: (
        lambda name, c: (
            re.sub(rb'"expr_str": "[^"]*"', b'"expr_str": "%s"' % RUNS.format(str(flag)).encode(), c)
            if name.endswith("model.json")
            else c
        )
    ),
    "a target": lambda flag: lambda name, c: c.replace(b"torch.ops.aten.relu.default", b"torch.os.getcwd"),
    "an opener": lambda flag: lambda name, c: c.replace(b"torch.ops.aten.relu.default", b"torch.ops.aten.from_file"),
    "a method": lambda flag: lambda name, c: c.replace(b"torch.ops.aten.relu.default", b"_operator.methodcaller"),
    "a graph that is cut": lambda flag: lambda name, c: c[:-9] if name.endswith("model.json") else c,
    "an old format": lambda flag: lambda name, c: None if name.endswith("archive_format") else c,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_could_run_code_is_refused_before_it_is_read(network, tmp_path, way):
    flag = tmp_path / "ran"
    path = changed(exported(network, tmp_path / "net.pt2", dynamic=True), tmp_path / "bomb.pt2", WAYS[way](flag))
    with pytest.raises(ModelError):
        open_model(str(path))
    assert not flag.exists()


def test_guards_are_not_compiled(network, tmp_path):
    flag = tmp_path / "ran"
    guard = json.dumps([RUNS.format(str(flag))]).encode()
    path = changed(
        exported(network, tmp_path / "net.pt2"), tmp_path / "bomb.pt2",
        lambda name, c: re.sub(rb'"guards_code": \[[^\]]*\]', lambda _: b'"guards_code": ' + guard, c),
    )  # fmt: skip
    assert guard in b"".join(zipfile.ZipFile(path).read(n) for n in zipfile.ZipFile(path).namelist())
    with contextlib.suppress(ModelError):
        open_model(str(path))(torch.zeros(2, 1, 8, 8))
    assert not flag.exists()


@pytest.mark.parametrize(
    "name", ["data/constants/custom_obj_0", "data/constants/opaque_obj_0", "data/aotinductor/a.so"]
)
def test_objects_and_libraries_are_refused(network, tmp_path, name):
    path = exported(network, tmp_path / "net.pt2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"net/{name}", b"anything")
    with pytest.raises(ModelError, match="holds a custom object or a library"):
        open_model(str(path))


def test_a_script_that_writes_files_is_refused(tmp_path):
    class Writes(nn.Module):
        def forward(self, x):
            torch.save(x, "written")
            return x

    torch.jit.save(torch.jit.script(Writes()), str(tmp_path / "net.pt"))
    with pytest.raises(ModelError, match=r"calls save\(\.\.\.\) in .*, which reaches files"):
        open_model(str(tmp_path / "net.pt"))


def test_more_than_one_input_is_told(tmp_path):
    class Two(nn.Module):
        def forward(self, x, z):
            return x + z

    program = torch.export.export(Two(), (torch.zeros(1, 3), torch.zeros(1, 3)))
    torch.export.save(program, str(tmp_path / "two.pt2"))
    with pytest.raises(ModelError, match="takes 2 inputs"):
        open_model(str(tmp_path / "two.pt2"))
