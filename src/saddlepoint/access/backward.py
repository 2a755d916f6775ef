"""Backward rules under which slopes of one network carry over to others; forward, nothing changes.

Each gives stand-ins by name, for ``sp.wrap(network, bpda=...)``.
"""

from __future__ import annotations

import fnmatch
import math
from typing import Any

import torch
from torch import Tensor, nn

from saddlepoint.access.stand_ins import Faded, Standin, identity
from saddlepoint.access.watching import no_module
from saddlepoint.errors import OptionError

RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Softplus)
"""Activations that are near the identity on one side."""


def linear_backward(network: nn.Module, after: str | None = None, keep_norm: bool = False) -> dict[str, Standin]:
    """Slopes pass the activations as if they were the identity (LinBP).

    Args:
        network: whose activations are modules (of kinds in ``RECTIFIERS``).
        after: name of a module; only activations behind it, in the order of ``named_modules``. The paper's choice is
            the later half of a network. Default: all.
        keep_norm: scale the slope of each sample at each activation to the norm it would have had, so that the branches
            of a residual network keep their weight against its skips.

    Raises:
        OptionError: no module of that name, or no activation behind it.

    Source: Guo, Li, Chen, "Backpropagating linearly improves transferability of adversarial examples", NeurIPS 2020.

    >>> sorted(linear_backward(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU()), after="2"))
    ['3']
    """
    modules = dict(network.named_modules())
    if after is not None and after not in modules:
        raise OptionError(no_module(after, modules))
    names = list(modules)
    behind = names if after is None else names[names.index(after) + 1 :]
    found = [name for name in behind if isinstance(modules[name], RECTIFIERS)]
    if not found:
        raise OptionError(
            f"no activation{'' if after is None else f' behind {after!r}'} is a module: linear_backward knows"
            f" {', '.join(kind.__name__ for kind in RECTIFIERS)}; name others in bpda=[...]"
        )
    return {name: _Kept(modules[name]) if keep_norm else identity for name in found}


def soft_backward(network: nn.Module, beta: float) -> dict[str, Standin]:
    """Slopes pass every ReLU as if it were log(1 + exp(β z)) / β: a sigmoid in place of a step (IAA).

    In the paper the network also answers with it; here, as with every stand-in, only slopes change.

    Args:
        network: whose ReLUs are modules.
        beta: more than 0; the larger, the nearer to the ReLU. The paper takes 20 for ResNet-50.

    Raises:
        OptionError: no ReLU is a module, or ``beta`` is out of range.

    Source: Zhu, Sun, Li, "Rethinking adversarial transferability from a data distribution perspective", ICLR 2022.

    >>> list(soft_backward(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), beta=10.0))
    ['1']
    """
    if not 0 < beta < math.inf:
        raise OptionError(f"beta must be a number above 0, got {beta}")
    found = [name for name, module in network.named_modules() if isinstance(module, nn.ReLU)]
    if not found:
        raise OptionError("no ReLU is a module: soft_backward has nothing to soften; name others in bpda={...}")
    return dict.fromkeys(found, nn.Softplus(beta))


def skip_backward(network: nn.Module, branches: str, decay: float = 0.5) -> dict[str, Standin]:
    """Slopes through the residual branches are multiplied by ``decay``; those through the skips are not (SGM).

    Args:
        network: with residual blocks.
        branches: pattern of the names of the modules whose output is added to a skip: ``"layer*.bn3"``.
        decay: in (0, 1]; the paper takes 0.2 for ResNet-152 and 0.5 for DenseNet-201, 1 changes nothing.

    Raises:
        OptionError: no module has such a name, or ``decay`` is out of range.

    Source: Wu, Wang, Xia, Bailey, Ma, "Skip connections matter", ICLR 2020.

    >>> list(skip_backward(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "0"))
    ['0']
    """
    if not 0 < decay <= 1:
        raise OptionError(f"decay must be in (0, 1], got {decay}")
    names = [name for name, _ in network.named_modules() if name]
    found = [name for name in names if fnmatch.fnmatchcase(name, branches)]
    if not found:
        raise OptionError(no_module(branches, names))
    return dict.fromkeys(found, Faded(decay))


class _Kept:
    """The identity, for slopes that keep the norm they would have had behind the activation."""

    def __init__(self, activation: nn.Module) -> None:
        self.activation = activation

    def __call__(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            seen = x.detach().requires_grad_()
            # Not called as a module: its own hook would come back here. A copy, because it may write in place.
            (own,) = torch.autograd.grad(self.activation.forward(seen.clone()).sum(), seen)
        return _KeepNorm.apply(x, own)  # type: ignore[no-any-return,no-untyped-call]


class _KeepNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, own: Tensor) -> Tensor:
        ctx.save_for_backward(own)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        (own,) = ctx.saved_tensors
        true, linear = (t.flatten(1).norm(dim=1) for t in (g * own, g))
        share = true / linear.clamp_min(torch.finfo(g.dtype).tiny)
        return g * share.view(-1, *[1] * (g.ndim - 1)), None
