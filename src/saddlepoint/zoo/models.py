"""The shipped networks: by name, with weights verified before they are parsed."""

from __future__ import annotations

from typing import Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_weights
from torch import nn

from saddlepoint.errors import ModelError, OptionError, did_you_mean
from saddlepoint.zoo import cards, shipped
from saddlepoint.zoo.cards import Card
from saddlepoint.zoo.networks import build

NAMES: Final = (
    "fashion-standard",
    "fashion-fgsm",
    "fashion-pgd-linf",
    "fashion-pgd-l2",
    "fashion-smooth",
    "fashion-masked",
)


def names() -> dict[str, str]:
    """The shipped networks, each with one line: what it is, and its accuracy on clean images.

    >>> list(names())[0]
    'fashion-standard'
    """
    return {name: _line(card(name)) for name in NAMES}


def card(name: str) -> Card:
    """The model card of a shipped network.

    Args:
        name: one of :func:`names`.

    Raises:
        OptionError: unknown name.
        DataError: the card is missing or was changed.

    >>> card("fashion-standard").recipe.norm
    'none'
    """
    return cards.loads(shipped.read(f"{_known(name)}.json").decode())


def load(name: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A shipped network with its weights, in eval mode, on the CPU.

    Takes inputs ``[N, 1, 28, 28]`` in [0, 1], gives logits ``[N, 10]``.

    Args:
        name: one of :func:`names`.
        dtype: of the weights.

    Raises:
        OptionError: unknown name.
        DataError: the weight file is missing, or its SHA-256 is not the listed one.
        ModelError: the weights do not fit the architecture named on the card.

    >>> load("fashion-standard")(torch.zeros(1, 1, 28, 28)).shape
    torch.Size([1, 10])
    """
    network = build(card(name).recipe.architecture)
    content = shipped.read(f"{name}.safetensors")
    try:
        network.load_state_dict(parse_weights(content))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"the weights of {name} do not fit its card: {error}; reinstall saddlepoint") from error
    return network.to(dtype).eval()


def _known(name: str) -> str:
    if name in NAMES:
        return name
    raise OptionError(f"no network called {name!r}{did_you_mean(name, NAMES)}; shipped are {', '.join(NAMES)}")


def _line(card: Card) -> str:
    return f"{card.recipe.note} ({card.clean.accuracy:.1f} % clean on {card.clean.data})"
