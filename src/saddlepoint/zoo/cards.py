"""Model cards: what a shipped network is, how it was trained, and what was measured."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from saddlepoint.errors import ModelError


@dataclass(frozen=True)
class Recipe:
    """Everything the training of a network depends on, apart from code and machine.

    Attributes:
        architecture: key of :data:`saddlepoint.zoo.networks.ARCHITECTURES`.
        note: one line on what the network is for.
        norm: "none" trains on clean inputs; "linf" and "l2" on adversarial ones.
        radius: of the training perturbations, in input units.
        steps: gradient steps of the inner maximization.
        step_size: of each, in input units.
        warmup: epochs over which the radius grows linearly from zero.
        epochs: passes over the 60 000 training images.
        batch_size: samples per weight update.
        learning_rate: peak of the one-cycle schedule of Adam.
        weight_decay: decoupled.
        ema: decay per update of the averaged weights that are shipped.
        shift: images are moved by up to this many pixels, and mirrored with probability 1/2.
        seed: of weights, order, augmentation and random starts.
    """

    architecture: str
    note: str
    norm: str = "none"
    radius: float = 0.0
    steps: int = 0
    step_size: float = 0.0
    warmup: float = 0.0
    epochs: int = 8
    batch_size: int = 256
    learning_rate: float = 4e-3
    weight_decay: float = 1e-4
    ema: float = 0.99
    shift: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Measured:
    """A share of test images, in percent, with what was measured and on how many.

    Attributes:
        what: "clean" or the attack with its radius and steps.
        data: specification of the images.
        n: number of images.
        accuracy: percent classified rightly.
    """

    what: str
    data: str
    n: int
    accuracy: float


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        name: of the network.
        data: training set.
        parameters: number of weights.
        recipe: of the training.
        measured: results, clean accuracy on the packaged thousand first.
        sha256: of the weight file.
        date: of the training, ISO.
        made_with: command, torch version, threads, precision and seconds.
    """

    name: str
    data: str
    parameters: int
    recipe: Recipe
    measured: tuple[Measured, ...]
    sha256: str
    date: str
    made_with: str

    @property
    def clean(self) -> Measured:
        """Clean accuracy on the packaged thousand images."""
        return self.measured[0]

    def dumps(self) -> str:
        """The card as JSON."""
        return json.dumps(asdict(self), indent=2) + "\n"


def loads(text: str) -> Card:
    """A card from its JSON.

    Raises:
        ModelError: it is no card.
    """
    try:
        fields = json.loads(text)
        recipe = Recipe(**fields.pop("recipe"))
        measured = tuple(Measured(**one) for one in fields.pop("measured"))
        return Card(recipe=recipe, measured=measured, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"no model card: {error}; reinstall saddlepoint") from error
