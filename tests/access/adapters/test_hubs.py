"""Networks of timm and transformers: their own preprocessing, from pixels in [0, 1]; nothing is downloaded.

Where a library is not installed, one that answers as it does stands in for it.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import saddlepoint as sp
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.setup import prepare
from saddlepoint.errors import ModelError, OptionError
from saddlepoint.zoo.opening import open_model

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
CONFIG = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD}


class Small(nn.Module):
    """Three channels to four classes."""

    def __init__(self, num_classes=4):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 5, 3), nn.Linear(5, num_classes)
        self.pretrained_cfg = {"mean": MEAN, "std": STD}
        self.config = types.SimpleNamespace(id2label={3: "dog", 0: "bird", 2: "deer", 1: "cat"})

    def forward(self, x):
        return self.head(self.conv(x).tanh().mean((2, 3)))


def as_timm(monkeypatch, stored=True):
    def create(name, pretrained, **options):
        if name != "small" or (pretrained and not stored) or options.keys() - {"num_classes"}:
            raise RuntimeError(f"no {name} here")
        torch.manual_seed(0)
        return Small(**options)

    module = types.ModuleType("timm")
    module.create_model, module.list_models = create, lambda name: ["small"] if name == "small" else []
    monkeypatch.setitem(sys.modules, "timm", module)


class Bars:
    """Whether transformers shows how loading goes."""

    def __init__(self):
        self.shown = True

    def is_progress_bar_enabled(self):
        return self.shown

    def disable_progress_bar(self):
        self.shown = False

    def enable_progress_bar(self):
        self.shown = True


def as_transformers(monkeypatch, folder):
    bars = Bars()

    class Auto:
        @staticmethod
        def from_pretrained(place, **options):
            assert not bars.shown
            assert options == {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
            if place != str(folder):
                raise OSError(f"{place} is not a local folder")
            torch.manual_seed(0)
            return Small()

    module = types.ModuleType("transformers")
    module.AutoModelForImageClassification = Auto
    module.utils = types.SimpleNamespace(cached_file=lambda place, name, local_files_only: folder / name, logging=bars)
    monkeypatch.setitem(sys.modules, "transformers", module)
    return bars


def right(x):
    torch.manual_seed(0)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return Small()((x - mean) / std)


@pytest.fixture
def x():
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_timm_is_seen_from_pixels(monkeypatch, tmp_path, x):
    as_timm(monkeypatch)
    torch.testing.assert_close(open_model("timm:small@cache")(x), right(x))
    torch.manual_seed(0)
    state = {k: v + 1 for k, v in Small().state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    own = open_model("timm:small", tmp_path / "w.safetensors")
    torch.testing.assert_close(own.network.state_dict(), state)
    result = sp.attacks.pgd(own, x, own(x).argmax(1), sp.Linf(0.1), steps=3)
    assert float((result.x_adv - x).abs().max()) <= 0.1 + 1e-6
    assert 0 <= float(result.x_adv.min()) <= float(result.x_adv.max()) <= 1


def test_an_untrained_network_is_not_audited_by_mistake(monkeypatch):
    as_timm(monkeypatch, stored=False)
    with pytest.raises(ModelError, match=r"timm:small has no weights: give --weights .* or say timm:small@cache"):
        open_model("timm:small")
    open_model("timm:small@random")
    with pytest.raises(ModelError, match="timm has no weights of it on this machine"):
        open_model("timm:small@cache")
    with pytest.raises(ModelError, match="timm has no such model"):
        open_model("timm:smal")
    with pytest.raises(ModelError, match="after @ stands cache or random"):
        open_model("timm:small@hub")


def test_options_of_timm_stand_behind_the_name(monkeypatch, tmp_path, x):
    as_timm(monkeypatch, stored=False)
    save_file(Small(num_classes=7).state_dict(), tmp_path / "w.safetensors")
    assert open_model("timm:small?num_classes=7", tmp_path / "w.safetensors")(x).shape == (2, 7)
    with pytest.raises(ModelError, match=r"or say timm:small@cache\?num_classes=7 .* timm:small@random\?num_classes=7"):
        open_model("timm:small?num_classes=7")
    with pytest.raises(OptionError, match=r"whole numbers, such as num_classes=4: .* 'many'"):
        open_model("timm:small?num_classes=many")
    with pytest.raises(ModelError, match=r"timm cannot build it so: no small here"):
        open_model("timm:small@random?wings=2")


def test_a_library_that_does_not_import_says_why(monkeypatch, tmp_path):
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(ModelError, match=r"timm is installed, but importing it raised RuntimeError: operator torchv"):
        open_model("timm:small")


def test_what_a_configuration_does_not_say_can_be_said(monkeypatch, x, capsys, tmp_path):
    as_timm(monkeypatch)
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=right(x).argmax(1).numpy(), classes=np.array(list("abcd")))
    ready = prepare(
        "timm:small@cache", str(tmp_path / "data.npz"), ModelOptions(dtype="float64", draws=2), WorkOptions()
    )
    assert ready.model.draws == 2
    assert ready.model.dtype == ready.data.x.dtype == torch.float64
    torch.testing.assert_close(ready.model(x.double()), right(x).double(), rtol=1e-4, atol=1e-4)
    bent = prepare("timm:small@cache", str(tmp_path / "data.npz"), ModelOptions(bpda="conv"), WorkOptions())
    assert list(bent.model.stand_ins) == ["conv"]
    with pytest.raises(OptionError, match="wrapped already, so --mean cannot be given"):
        prepare("timm:small@cache", str(tmp_path / "data.npz"), ModelOptions(mean="0.5"), WorkOptions())


def test_transformers_is_seen_from_pixels(monkeypatch, tmp_path, x):
    bars = as_transformers(monkeypatch, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CONFIG))
    opened = open_model(f"hf:{tmp_path}")
    torch.testing.assert_close(opened(x), right(x))
    assert opened.class_names == ["bird", "cat", "deer", "dog"]
    assert bars.shown


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"do_normalize": False}, lambda x: x),
        (
            {"do_rescale": False},
            lambda x: (255 * x - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1),
        ),
        ({"rescale_factor": 2 / 255, "do_normalize": False}, lambda x: 2 * x),
    ],
)
def test_each_step_of_the_preprocessing_counts(monkeypatch, tmp_path, x, change, expected):
    as_transformers(monkeypatch, tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CONFIG | change))
    opened = open_model(f"hf:{tmp_path}")
    torch.manual_seed(0)
    torch.testing.assert_close(opened(x), Small()(expected(x)))


def test_what_is_missing_is_told(monkeypatch, tmp_path):
    as_transformers(monkeypatch, tmp_path)
    with pytest.raises(ModelError, match=r"has no preprocessor_config.json"):
        open_model(f"hf:{tmp_path}")
    with pytest.raises(ModelError, match=r"hf:nobody/nothing is no image classifier with weights in safetensors"):
        open_model("hf:nobody/nothing")
    for name, hint in (
        ("timm", r"pip install 'saddlepoint\[timm\]'"),
        ("transformers", r"pip install 'saddlepoint\[hf\]'"),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModelError, match=hint):
            open_model({"timm": "timm:resnet18", "transformers": "hf:folder"}[name])


def there(name):
    return pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed")


class Empty(type):
    """A class with any attribute."""

    def __getattr__(cls, name):
        return attribute(name)


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module below torchvision, full of empty classes: loaders and boxes, which networks never call."""

    def find_spec(self, name, path, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name.startswith("torchvision") else None

    def exec_module(self, module):
        module.__version__, module.__getattr__ = "0.0", attribute


def attribute(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Empty(name, (), {})


@pytest.fixture
def timm(monkeypatch):
    """timm itself. Of torchvision there is not always a build that fits torch: nothing stands in for it."""
    if importlib.util.find_spec("torchvision") is None:
        monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Absent()])
    before = set(sys.modules)
    try:
        yield importlib.import_module("timm")
    finally:
        for name in set(sys.modules) - before:
            if name.startswith("torchvision"):
                del sys.modules[name]


@there("timm")
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050"])
def test_real_networks_of_timm(timm, name):

    model, x = open_model(f"timm:{name}@random"), torch.rand(2, 3, 224, 224)
    config = timm.data.resolve_data_config({}, model=model.network)
    mean, std = (torch.tensor(config[k]).view(3, 1, 1) for k in ("mean", "std"))
    with model.quiet(), torch.no_grad():
        torch.testing.assert_close(model(x), model.network((x - mean) / std), rtol=1e-4, atol=1e-4)


@there("transformers")
@pytest.mark.parametrize("kind", ["ViT", "ResNet", "ConvNext"])
def test_real_networks_of_transformers(kind, tmp_path):
    import transformers

    small = {
        "ViT": {
            "hidden_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "intermediate_size": 32,
            "image_size": 32,
        },
        "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
        "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    }[kind]
    config = getattr(transformers, f"{kind}Config")(num_labels=4, **small)
    network = getattr(transformers, f"{kind}ForImageClassification")(config).eval()
    network.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(
        json.dumps({**CONFIG, "image_processor_type": "ViTImageProcessor"})
    )
    x = torch.rand(2, 3, 32, 32)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    model = open_model(f"hf:{tmp_path}")
    with torch.no_grad():
        torch.testing.assert_close(model(x), network((x - mean) / std).logits, rtol=1e-4, atol=1e-5)
    result = sp.attacks.pgd(model, x, model(x).argmax(1), sp.Linf(0.05), steps=3)
    assert float((result.x_adv - x).abs().max()) <= 0.05 + 1e-6
