"""The shipped generators: by name, with weights verified before they are parsed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from torch import Tensor

from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.sets import Generator, Mixing
from saddlepoint.zoo import data, shipped
from saddlepoint.zoo.camera import CAMERA
from saddlepoint.zoo.learned import LearnedSet, opened, opened_file
from saddlepoint.zoo.networks import NUM_CLASSES
from saddlepoint.zoo.painter import WIDTH, Painter
from saddlepoint.zoo.placing import placed

PAINTER: Final = "fashion-painter.safetensors"
CHANGER: Final = "fashion-camera.safetensors"
STYLES: Final = 64
"""How many of the packaged images lend their style."""


class Painted:
    """A painter as a generator of perturbations: codes stand for what an image is like; its class stays.

    The class is the painter's own judgment of the input, so that one code moves within one class.
    """

    def __init__(self, name: str, painter: Painter) -> None:
        self.name, self.painter = name, painter

    def __str__(self) -> str:
        return self.name

    def encode(self, x: Tensor) -> Tensor:
        """The mean code of images x [N, 1, 28, 28]: [N, 16]."""
        return self._at(x).look(_checked(x))[0]

    def decode(self, x: Tensor, code: Tensor) -> Tensor:
        """Images of the classes of x, [N, 1, 28, 28], from codes [N, 16]."""
        painter = self._at(x)
        with torch.no_grad():
            classes = painter.look(_checked(x))[2].softmax(1)
        return painter.paint(code, classes)

    @property
    def width(self) -> int:
        """How many numbers a code has."""
        return self.painter.width

    def paint(self, code: Tensor, classes: Tensor) -> Tensor:
        """Images of the classes (long [N]) from codes [N, 16]: [N, 1, 28, 28]."""
        one_of = torch.nn.functional.one_hot(classes, NUM_CLASSES).to(code)
        return self._at(code).paint(code, one_of)

    def judge(self, x: Tensor) -> Tensor:
        """The logits of what the painter takes images x [N, 1, 28, 28] for: [N, 10]."""
        logits: Tensor = self._at(x)(_checked(x))
        return logits

    @torch.no_grad()
    def classes(self, x: Tensor) -> Tensor:
        """What the painter takes images x [N, 1, 28, 28] for, long [N]."""
        return self.judge(x).argmax(1)

    @torch.no_grad()
    def draw(self, classes: Tensor, seed: int = 0) -> Tensor:
        """New images of the classes (long [N]), from standard normal codes: [N, 1, 28, 28]."""
        code = torch.randn(len(classes), WIDTH, generator=torch.Generator().manual_seed(seed)).to(classes.device)
        return self.paint(code, classes)

    def _at(self, like: Tensor) -> Painter:
        return placed(self.painter, like)


@overload
def generator(name: Literal["fashion"]) -> Painted: ...
@overload
def generator(name: Literal["fashion-camera"]) -> LearnedSet: ...
@overload
def generator(name: str) -> Generator: ...
def generator(name: str) -> Generator:
    """A generator for ``sp.Latent``, by name.

    "fashion" paints gray images of 28 x 28 pixels like those of Fashion-MNIST; "fashion-styles" mixes their styles with
    those of the last 64 of the packaged images; "fashion-camera" has learned from pairs what a poor camera does to
    them; "camera" is what the pairs were made by, for pictures of any kind. A path to a file that ends in .safetensors
    is a set that ``sp.zoo.learn_set`` learned.

    Raises:
        OptionError: unknown name.
        DataError, ModelError: the weights are missing, damaged, or do not fit.

    >>> generator("fashion").draw(torch.tensor([1, 9])).shape
    torch.Size([2, 1, 28, 28])
    """
    if name.partition("@")[0].endswith(".safetensors"):
        return opened_file(name)
    if name not in NAMES:
        raise OptionError(f"no generator called {name!r}; there are {', '.join(NAMES)}, and files FILE.safetensors")
    return NAMES[name]()


def _painted() -> Painted:
    painter = Painter()
    try:
        painter.load_state_dict(parse_weights(shipped.read(PAINTER)))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"the weights of {PAINTER} do not fit: {error}; reinstall saddlepoint") from error
    return Painted("fashion", painter.eval().requires_grad_(False))


def _styles() -> Mixing:
    painted = _painted()
    return Mixing("fashion-styles", painted, painted.encode(data.load(f"fashion-mnist-1k[-{STYLES}:]").x))


NAMES: Final[dict[str, Callable[[], Generator]]] = {
    "fashion": _painted,
    "fashion-styles": _styles,
    "fashion-camera": lambda: opened(shipped.read(CHANGER), "fashion-camera"),
    "camera": lambda: CAMERA,
}


def _checked(x: Tensor) -> Tensor:
    if x.shape[1:] != (1, 28, 28):
        raise DataError(f"this generator paints images [N, 1, 28, 28]; the inputs have the shape {list(x.shape)}")
    return x
