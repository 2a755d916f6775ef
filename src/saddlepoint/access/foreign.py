"""Networks that came as programs: torch runs them, and does not see their layers."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn


class Foreign(nn.Module):
    """A network read from a file of another kind than torch's own modules; ``made_from`` says which, in words."""

    made_from: ClassVar[str]


def made_from(network: nn.Module) -> str | None:
    """What a network was read from, in words, None where it is made of torch's own modules."""
    if isinstance(network, Foreign):
        return network.made_from
    return "a TorchScript archive" if isinstance(network, torch.jit.ScriptModule) else None
