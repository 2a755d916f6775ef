"""Networks that watch how they are asked: counters, and tripwires that break when more is asked than allowed."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from saddlepoint.noise import Noise


class TripwireError(AssertionError):
    """An attack asked for what it has no access to."""


class CountingModel(nn.Module):
    """Counts the rows asked and the rows differentiated, apart from any ledger.

    ``forwards`` and ``backwards`` (long [n]) belong to samples, where these can be told apart: with ``n`` > 1 the
    first entry of every input must say which sample it is, as (index + 1/2) / n, see ``signed``; a mask keeps attacks
    from changing it. The network does not see that entry: 1/2 stands in its place.
    """

    def __init__(self, network: nn.Module, n: int = 1) -> None:
        super().__init__()
        self.network, self.n = network, n
        self.forwards = torch.zeros(n, dtype=torch.long)
        self.backwards = torch.zeros(n, dtype=torch.long)

    def signed(self, x: Tensor) -> Tensor:
        """x ([n, *D]) with the signature of each sample in its first entry."""
        flat = x.flatten(1).clone()
        flat[:, 0] = (torch.arange(len(x), device=x.device) + 0.5) / self.n
        return flat.view_as(x)

    def mask(self, x: Tensor) -> Tensor:
        """bool [1, *D]: all entries but the signature."""
        mask = torch.ones_like(x[:1], dtype=torch.bool).flatten(1)
        mask[:, 0] = False
        return mask.view_as(x[:1])

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer."""
        who = self._who(x.detach())
        self.forwards += torch.bincount(who, minlength=self.n)
        answer: Tensor = self.network(self._unsigned(x))
        if answer.requires_grad:
            answer.register_hook(lambda _: self._differentiated(who))  # type: ignore[no-untyped-call]
        return answer

    def _who(self, x: Tensor) -> Tensor:
        if self.n == 1:
            return torch.zeros(len(x), dtype=torch.long)
        return (x.flatten(1)[:, 0].cpu() * self.n).long().clamp(0, self.n - 1)

    def _unsigned(self, x: Tensor) -> Tensor:
        if self.n == 1:
            return x
        mask = self.mask(x)
        return torch.where(mask, x, torch.full_like(x, 0.5))

    def _differentiated(self, who: Tensor) -> None:
        self.backwards += torch.bincount(who, minlength=self.n)


class ScoresOnly(nn.Module):
    """Answers logits; breaks when a gradient is taken, or when the input carries a graph."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer."""
        if x.requires_grad:
            raise TripwireError("a gradient was asked for, where only scores are given")
        answer: Tensor = self.network(x)
        return answer.detach()


class LabelOnly(nn.Module):
    """Answers one-hot rows of a random height: only their argmax says anything; breaks when a gradient is taken."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = ScoresOnly(network)

    def forward(self, x: Tensor) -> Tensor:
        """[N, K], at the predicted label a number in (1, 100), elsewhere 0."""
        logits: Tensor = self.network(x)
        height = 1 + 99 * torch.rand(len(x), 1, dtype=logits.dtype, device=logits.device)
        return nn.functional.one_hot(logits.argmax(1), logits.shape[1]) * height


class FailsAt(nn.Module):
    """Raises ``RuntimeError("the model broke")`` at call number ``call`` (the first is 1), once."""

    def __init__(self, network: nn.Module, call: int) -> None:
        super().__init__()
        self.network, self.call, self.calls = network, call, 0

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer, except once."""
        self.calls += 1
        if self.calls == self.call:
            raise RuntimeError("the model broke")
        answer: Tensor = self.network(x)
        return answer


class OutOfMemory(nn.Module):
    """Runs out of memory on batches of more than ``most`` samples; ``largest`` is the largest batch answered."""

    def __init__(self, network: nn.Module, most: int) -> None:
        super().__init__()
        self.network, self.most, self.largest = network, most, 0

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer."""
        if len(x) > self.most:
            raise RuntimeError(f"CUDA out of memory. Tried to allocate {len(x)} samples")
        self.largest = max(self.largest, len(x))
        answer: Tensor = self.network(x)
        return answer


class Recording(nn.Module):
    """Keeps a copy of everything it is asked: ``asked``, a list of [N, *D]."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.asked: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """The network's answer."""
        self.asked.append(x.detach().clone())
        answer: Tensor = self.network(x)
        return answer


class Homeless(TorchFunctionMode):
    """Notes every tensor the package makes without saying on which device: on another than the CPU it would be wrong.

    ``found`` holds the places, as "file:line function". Single numbers ([]) go anywhere, and are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Let the call through, and look at what came of it."""
        named = kwargs or {}
        out = func(*args, **named)
        made = func.__name__ in _FACTORIES and not any(isinstance(arg, Tensor) for arg in args)
        if made and named.get("device") is None and out.ndim:
            self._note(func.__name__)
        return out

    def _note(self, factory: str) -> None:
        frame = inspect.currentframe()
        while frame is not None and (frame.f_code.co_filename == __file__ or "/torch/" in frame.f_code.co_filename):
            frame = frame.f_back
        if frame is not None and _in_package(frame.f_code.co_filename):
            file = frame.f_code.co_filename.rpartition("saddlepoint/")[2]
            self.found.append(f"{file}:{frame.f_lineno} {factory}")


_FACTORIES = {"arange", "as_tensor", "empty", "eye", "full", "linspace", "logspace", "ones", "tensor", "zeros"}
_FACTORIES |= {"normal", "rand", "randint", "randn", "randperm"}


def _in_package(file: str) -> bool:
    return "saddlepoint/" in file and "saddlepoint/testing/" not in file


@contextlib.contextmanager
def drawing() -> Iterator[list[tuple[int, ...]]]:
    """Notes the shape of every draw of ``Noise`` inside: an attack that draws nothing must not depend on its seed."""
    shapes: list[tuple[int, ...]] = []
    draw = Noise.bits

    def noted(self: Noise, shape: tuple[int, ...], lead: tuple[int, ...] = ()) -> Tensor:
        shapes.append((*lead, *shape))
        return draw(self, shape, lead)

    Noise.bits = noted  # type: ignore[method-assign]
    try:
        yield shapes
    finally:
        Noise.bits = draw  # type: ignore[method-assign]
