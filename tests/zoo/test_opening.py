from __future__ import annotations

import textwrap

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from saddlepoint.access import Model, wrap
from saddlepoint.access.adapters.trying import check_shape
from saddlepoint.access.adapters.weights import fit, read_weights
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.zoo.opening import open_model

CODE = """
    import torch, saddlepoint
    from torch import nn

    class Net(nn.Module):
        def __init__(self, wide=3):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.head = nn.Linear(8, wide)
        def forward(self, x):
            return self.head(self.conv(x).flatten(1))

    net = Net(4)
    wrapped = saddlepoint.wrap(Net(5), bounds=(-1, 1))
    number = 5
    def build(): return Net()
    def needs(x): return Net()
    def fails(): raise KeyError("config")
    def gives_none(): return None
    class inner:
        build = staticmethod(build)
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The working folder, with a module of networks in it."""
    (tmp_path / "cli_models_nets.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "cli_models_broken.py").write_text("import cli_models_missing_dependency\n")
    (tmp_path / "cli_models_syntax.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "wide"), [("Net", 3), ("build", 3), ("net", 4), ("inner.build", 3)])
def test_classes_functions_and_instances_of_the_users_own_code(name, wide):
    made = open_model(f"cli_models_nets:{name}")
    assert isinstance(made, nn.Module)
    assert made(torch.zeros(2, 1, 4, 4)).shape == (2, wide)


def test_a_model_that_is_wrapped_already_stays_so():
    made = open_model("cli_models_nets:wrapped")
    assert isinstance(made, Model)
    assert (made.box.low, made.box.high) == (-1, 1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("cli_models_nets", "'cli_models_nets' is no model: expected zoo:NAME, .*package.module:callable"),
        (":build", "is no model"),
        ("cli_models_nets:", "is no model"),
        ("fashion-standard", r"did you mean zoo:fashion-standard\?"),
        ("net.pt", "a file of weights has no architecture.*--weights net.pt"),
        ("cli_models_nests:build", "no module 'cli_models_nests'; looked in"),
        ("cli_models_nets.deeper:build", "no module 'cli_models_nets.deeper'"),
        ("cli_models_nets:buidl", r"cli_models_nets has no 'buidl' \(did you mean build\?\)"),
        ("cli_models_nets:inner.nothing_like_it", "has no 'inner.nothing_like_it'"),
        (
            "cli_models_broken:x",
            "importing cli_models_broken raised ModuleNotFoundError.*cli_models_missing_dependency",
        ),
        ("cli_models_syntax:x", "importing cli_models_syntax raised SyntaxError"),
        ("cli_models_nets:needs", "raised TypeError: .*called without arguments"),
        ("cli_models_nets:fails", "raised KeyError: 'config'"),
        ("cli_models_nets:gives_none", "gave a NoneType; expected an nn.Module"),
        ("cli_models_nets:number", "is a int"),
    ],
)
def test_what_is_no_model_says_why(spec, message):
    with pytest.raises(ModelError, match=message):
        open_model(spec)


def test_unknown_shipped_network_names_the_nearest():
    with pytest.raises(OptionError, match=r"did you mean fashion-standard\?"):
        open_model("zoo:fashion-standrd")


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_are_loaded_and_used(here, suffix):
    state = {k: torch.full_like(v, 0.25) for k, v in open_model("cli_models_nets:build").state_dict().items()}
    path = here / f"net{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    made = open_model("cli_models_nets:build", path)
    assert all(bool((v == 0.25).all()) for v in made.state_dict().values())
    wrapped = open_model("cli_models_nets:wrapped", None)
    assert not bool((wrapped.network.head.weight == 0.25).all())


def test_weights_go_into_a_wrapped_network_too(here):
    network = open_model("cli_models_nets:wrapped").network
    save_file({k: torch.full_like(v, 0.5) for k, v in network.state_dict().items()}, here / "w.safetensors")
    made = open_model("cli_models_nets:wrapped", here / "w.safetensors")
    assert bool((made.network.head.weight == 0.5).all())


def test_misfits_are_named_with_both_shapes():
    network = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4))
    state = {**network.state_dict(), "1.weight": torch.zeros(9, 3), "extra": torch.zeros(1)}
    del state["0.bias"]
    with pytest.raises(ModelError) as told:
        fit(network, state, "net.pt")
    assert str(told.value) == (
        "the weights of net.pt do not fit Sequential: 0.bias is missing in the file; extra is in the file only;"
        " 1.weight is [9, 3] in the file, [4, 3] in the model"
    )


def test_many_misfits_are_counted():
    with pytest.raises(ModelError, match=r"; and 3 more$"):
        fit(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)), {"a": torch.zeros(1), "b": torch.zeros(1)}, "net.pt")


def test_a_misfit_changes_nothing():
    network = nn.Linear(2, 3)
    before = network.weight.detach().clone()
    with pytest.raises(ModelError, match="bias is missing"):
        fit(network, {"weight": torch.zeros(3, 2)}, "net.pt")
    assert torch.equal(network.weight, before)


def test_tied_weights_may_be_stored_once():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    network[1].weight = network[0].weight
    state = {k: torch.ones_like(v) for k, v in network.state_dict().items() if k != "1.weight"}
    fit(network, state, "net.safetensors")
    assert torch.equal(network[1].weight, torch.ones(2, 2))


class Bomb:
    """Unpickling it would leave a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_that_runs_code_is_refused_and_does_not_run(here):
    torch.save({"weight": Bomb(here / "trace")}, here / "net.pt")
    with pytest.raises(ModelError, match="could run code"):
        read_weights(here / "net.pt")
    assert not (here / "trace").exists()


def test_checkpoints_with_more_than_weights_are_refused_by_their_keys(here):
    torch.save({"epoch": 3, "state_dict": {"weight": torch.zeros(1)}}, here / "net.pth")
    with pytest.raises(ModelError, match=r"holds a dict with 'epoch', 'state_dict'; .* save net.state_dict\(\) alone"):
        read_weights(here / "net.pth")


@pytest.mark.parametrize("name", ["net.safetensors", "net.pt"])
def test_truncated_weights_are_refused(here, name):
    state = {"weight": torch.zeros(100)}
    save_file(state, here / name) if name.endswith("safetensors") else torch.save(state, here / name)
    (here / name).write_bytes((here / name).read_bytes()[:200])
    with pytest.raises(ModelError, match=f"{name} is"):
        read_weights(here / name)


def test_other_kinds_and_missing_files_are_refused(here):
    (here / "net.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"weights of the kind \.onnx are not read"):
        read_weights(here / "net.onnx")
    with pytest.raises(ModelError, match="no file of weights at"):
        read_weights(here / "nowhere.pt")


def test_shapes_that_do_not_fit_name_the_sample_and_the_layer():
    model = wrap(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    with pytest.raises(ModelError) as told:
        check_shape(model, torch.zeros(1, 1, 6, 6), "photos")
    text = str(told.value)
    assert text.startswith(
        "the model cannot take the samples of photos, which are [1, 6, 6]; it stopped at its layer 1,"
    )
    assert "Linear(in_features=64" in text
    assert "given [1, 36]" in text
    assert "\n" not in text


def test_trying_the_shape_leaves_no_trace():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(16, 3)).train()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    check_shape(wrap(network), torch.rand(1, 1, 4, 4), "photos")
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert network[0].training
    assert not network[0]._forward_pre_hooks


def test_normalization_for_other_channels_keeps_its_own_message():
    with pytest.raises(DataError, match="mean and std"):
        check_shape(wrap(nn.Flatten(), mean=(0.5, 0.5)), torch.zeros(1, 1, 4, 4), "photos")


@pytest.mark.parametrize(
    ("takes", "given", "way_out"),
    [
        ((3, 32, 32), (1, 28, 28), "it takes [3, 32, 32]: ?size=32&color=rgb behind"),
        ((3, 32, 32), (3, 60, 40), "it takes [3, 32, 32]: ?size=32 behind"),
        ((1, 28, 28), (3, 28, 28), "it takes [1, 28, 28]: ?color=gray behind"),
        ((3, 31, 31), (3, 28, 28), None),
        ((5, 28, 28), (5, 20, 20), None),
    ],
)
def test_pictures_of_another_shape_are_told_what_brings_them_there(takes, given, way_out):
    channels, height, width = takes
    network = nn.Sequential(nn.Conv2d(channels, 2, 3, padding=1), nn.Flatten(), nn.Linear(2 * height * width, 4))
    with pytest.raises(ModelError) as told:
        check_shape(wrap(network), torch.zeros(1, *given), "photos")
    assert way_out in str(told.value) if way_out else "behind" not in str(told.value)
