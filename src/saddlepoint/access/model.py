"""The wrapper that owns everything about a model an attack must not care about: range, normalization, output, mode."""

from __future__ import annotations

import contextlib
import dataclasses as dc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from saddlepoint.access.asking import GradientAccess, LabelAccess, Ledger, ScoreAccess
from saddlepoint.access.output import Output, as_logits, told
from saddlepoint.access.stand_ins import SmoothRounding, Standin, check_stand_ins, standing_in
from saddlepoint.access.top import likeliest
from saddlepoint.access.undisturbed import own_randomness, same_buffers
from saddlepoint.access.usage import Usage
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.shapes import DrawnLogits, DrawnValues, Inputs, Logits

_KINDS: dict[str, type[LabelAccess]] = {k.kind: k for k in (LabelAccess, ScoreAccess, GradientAccess)}
ORDINARY_SPREAD = 3.0
"""Standard deviation over the classes that the logits of usual networks have, within a factor of ten."""

ROUNDING = 2.0**-22
"""A share of the range of a feature: what float32 rounds away of numbers in [0, 1], and a little more."""


@dc.dataclass(frozen=True)
class Box:
    """The range of valid inputs, the same for every entry: low <= x <= high."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise OptionError(f"bounds must be (low, high) with low < high, got ({self.low}, {self.high})")

    @property
    def ends(self) -> tuple[float, float]:
        """(low, high)."""
        return self.low, self.high


class Model:
    """A classifier seen from data space. Made by ``wrap``; takes inputs [N, *D] in ``box``, answers logits [N, K].

    Attributes: ``network`` (what is asked), ``box``, ``batch_size``, ``kind`` (the richest access it can give),
    ``output`` (what it answers; "auto" until the first answer was seen), ``draws`` (an answer
    is the mean over so many forwards), ``stand_ins`` (for the backward pass, by name of the module),
    ``smooth_rounding`` (whether slopes pass rounding as if nothing were rounded), ``top`` (how many of the likeliest
    classes an answer names; None: all), ``asked`` (forwards so far, of all samples together), ``class_names`` (what the
    network calls its classes, if it says so by an attribute of that name), ``usage`` (what an endpoint was asked),
    ``facts`` (what else reports say of it, by name), ``feature_names`` (those it was fitted on, in their order).
    """

    def __init__(
        self,
        network: Callable[[Tensor], Any],
        box: Box,
        normalize: Callable[[Tensor], Tensor] | None,
        output: Output,
        kind: type[LabelAccess],
        batch_size: int,
        classes: int | None,
        mode: Literal["eval", "as is"],
        name: str,
        draws: int = 1,
        stand_ins: Mapping[str, Standin] | None = None,
        top: int | None = None,
    ) -> None:
        self.draws, self.stand_ins, self.smooth_rounding = draws, dict(stand_ins or {}), False
        self.asked, self.top = 0, top
        self._draw: int | None = None
        self._width: int | None = None  # of the rows of scores, once one was seen
        self.usage: Usage | None = None
        self.facts: dict[str, Any] = {}
        self.class_names: Sequence[str] | None = getattr(network, "class_names", None)
        self.feature_names: Sequence[str] = getattr(network, "feature_names", ())
        self.network, self.box, self.normalize, self.output = network, box, normalize, output
        self.kind, self.batch_size, self.classes, self.mode, self.name = kind, batch_size, classes, mode, name
        parameter = next(_tensors(network), None)
        self.device = parameter.device if parameter is not None else None
        floating = next((t for t in _tensors(network) if t.is_floating_point()), None)
        self.dtype = floating.dtype if floating is not None else None

    def __repr__(self) -> str:
        return f"Model({self.name}, {self.kind.kind}, {self.output}, [{self.box.low:g}, {self.box.high:g}])"

    def __call__(self, x: Inputs) -> Logits:
        """Logits [N, K] of inputs [N, *D], in the dtype of ``x``, on the device of ``x``; the mean over the draws."""
        total = self._once(x)
        for _ in range(self.draws - 1):
            total = total + self._once(x)
        return total if self.draws == 1 else total / self.draws

    def raw(self, x: Inputs) -> Any:
        """What the network itself answers to inputs [N, *D] in data units: once, in its own form, on its own device."""
        self.asked += len(x)
        inside = x.to(device=self.device or x.device, dtype=self.dtype or x.dtype)
        same = contextlib.nullcontext() if self._draw is None else own_randomness(self._draw, self.device)
        with same, SmoothRounding() if self.smooth_rounding else contextlib.nullcontext():
            return self.network(self.normalize(inside) if self.normalize else inside)

    def _once(self, x: Tensor) -> Tensor:
        logits = self._logits(scores_in(self.raw(x)), x)
        return logits if self.top is None else likeliest(logits, self.top)

    def _logits(self, answer: Tensor, x: Tensor) -> Tensor:
        if self.output == "labels":
            return self._from_labels(answer, x)
        if answer.ndim == 1 and len(answer) == len(x):
            answer = answer.unsqueeze(1)
        if answer.ndim > 2 and answer.shape[2:].numel() == 1:  # averages over what is left of a picture
            answer = answer.flatten(1)
        if answer.ndim != 2 or len(answer) != len(x):
            raise ModelError(
                f"the model answered {list(answer.shape)} to {len(x)} inputs; logits [{len(x)}, classes] were expected"
                " (wrap it so that it returns one row of scores per input)"
            )
        if self._width not in {None, answer.shape[1]}:
            raise ModelError(f"the model answered {answer.shape[1]} scores where it answered {self._width} before")
        self._width = answer.shape[1]
        answer = answer.to(dtype=x.dtype, device=x.device)
        if self.output == "auto":
            self.output = told(answer.detach())
        return as_logits(answer, self.output)

    def _from_labels(self, answer: Tensor, x: Tensor) -> Tensor:
        if self.classes is None:
            raise ModelError("a model that answers labels needs wrap(..., classes=K)")
        if answer.shape != (len(x),):
            raise ModelError(f"labels [{len(x)}] were expected, the model answered {list(answer.shape)}")
        labels = answer.long()
        odd = (labels != answer) | (labels < 0) | (labels >= self.classes)
        if bool(odd.any()):
            raise ModelError(
                f"the model answered the label {float(answer[odd][0]):g}; whole numbers 0..{self.classes - 1} were"
                " expected"
            )
        return nn.functional.one_hot(labels.to(x.device), self.classes).to(x.dtype)

    def access(
        self,
        n: int,
        budget: Tensor | int | None = None,
        clean: Tensor | None = None,
        device: torch.device | None = None,
    ) -> LabelAccess:
        """The richest access this model gives, for ``n`` samples, with at most ``budget`` forwards for each.

        ``clean`` ([n, K], logits of the clean inputs) lets logits of absurd scale be brought back to an ordinary one
        (see ``ordinary_gain``), so that no objective saturates; and nobody asks for them again.
        """
        ledger = Ledger(n, budget, self.batch_size, device, self.draws)
        if clean is not None:
            ledger.classes = clean.shape[1]
        return self.kind(self, ledger, None if clean is None else ordinary_gain(clean), clean)

    def rescale(self, low: Tensor, high: Tensor, whole: Tensor | None = None) -> None:
        """Take 0 for ``low`` and 1 for ``high`` ([D]) from now on: data in [0, 1], the model's own units inside.

        Features that hold ``whole`` numbers (bool [D]) are whole again where only rounding of x keeps them from it.
        """
        before = self.normalize

        def inside(x: Tensor) -> Tensor:
            bottom, top = (bound.to(device=x.device, dtype=x.dtype).expand(x.shape[1:]) for bound in (low, high))
            out = bottom + x * (top - bottom)
            if whole is not None:
                off = (out.round() - out).detach()
                rounding = whole.to(x.device) & (off.abs() <= ROUNDING * (top - bottom))
                out = out + torch.where(rounding, off, torch.zeros_like(off))
            return before(out) if before else out

        self.normalize = inside

    def limit(self, access: Literal["labels", "scores", "gradients"]) -> None:
        """Give no more than ``access`` from now on.

        Raises:
            OptionError: it gives less already.
        """
        if not issubclass(self.kind, _KINDS[access]):
            raise OptionError(f"{self.name} gives {self.kind.kind} only, no {access}")
        self.kind = _KINDS[access]

    @contextlib.contextmanager
    def held(self, seed: int) -> Iterator[None]:
        """Inside, an answer is one forward, and each forward draws the same: whatever torch, numpy or Python draw."""
        before = self.draws, self._draw
        self.draws, self._draw = 1, seed
        try:
            yield
        finally:
            self.draws, self._draw = before

    @contextlib.contextmanager
    def quiet(self, seed: int = 0) -> Iterator[None]:
        """Ask the model without leaving a trace: all that is found inside or around it is put back as it was.

        That is modes, buffers, the gradients' flags, and the global random states. Inside, modules are in eval mode
        (unless ``mode="as is"``), parameters need no gradient, autograd is on, and the model's own randomness, if it
        has any, starts from ``seed``. Slopes pass the modules that have a stand-in through it.
        """
        modules = list(self.network.modules()) if isinstance(self.network, nn.Module) else []
        parameters = [p for m in modules for p in m.parameters(recurse=False)]
        buffers = [b for m in modules for b in m.buffers(recurse=False)]
        modes, needs = [m.training for m in modules], [p.requires_grad for p in parameters]
        with torch.inference_mode(False), torch.enable_grad(), own_randomness(seed, self.device), same_buffers(buffers):
            try:
                for module in modules if self.mode == "eval" else []:
                    module.training = False
                for parameter in parameters:
                    parameter.requires_grad_(False)
                with standing_in(self.network, self.stand_ins):
                    yield
            finally:
                for module, was in zip(modules, modes, strict=True):
                    module.training = was
                for parameter, was in zip(parameters, needs, strict=True):
                    parameter.requires_grad_(was)


def wrap(
    network: Callable[[Tensor], Any],
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    mean: Sequence[float] | Tensor | None = None,
    std: Sequence[float] | Tensor | None = None,
    output: Output = "auto",
    access: Literal["labels", "scores", "gradients"] | None = None,
    classes: int | None = None,
    batch_size: int = 256,
    mode: Literal["eval", "as is"] = "eval",
    name: str = "",
    draws: int = 1,
    bpda: Mapping[str, Standin] | Sequence[str] = (),
    top: int | None = None,
) -> Model:
    """Say what a model is, where it differs from: inputs in [0, 1], no normalization, answers logits.

    Args:
        network: an ``nn.Module`` or any callable, inputs [N, *D] -> scores [N, K] (or [N] for two classes), or a tuple
            or mapping with the logits in it.
        bounds: the range of valid inputs in the units of the data.
        mean, std: per channel (axis 1 of the input), applied inside, so that attacks work in data space.
        output: "logits", "probabilities" (rows on the simplex), "log-probabilities", "sigmoid" (for each class by
            itself a probability), "labels" (long [N]), or "auto": told from the first answer, as one of the first
            three; sigmoids of several classes must be said.
        access: give less than the model could: "labels" or "scores". Default: gradients, labels if that is all.
        classes: number of classes, needed for ``output="labels"``.
        batch_size: how many samples one forward takes at most.
        mode: "eval" (default) or "as is": the modules' train flags during an attack.
        name: shown in reports.
        draws: for a model that is random: its answer is the mean over so many forwards (expectation over
            transformation: Athalye, Engstrom, Ilyas, Kwok, ICML 2018); each is counted.
        bpda: modules without a useful slope, by name, and what slopes pass through in their place; for a list of names,
            the identity. What the model answers does not change.
        top: answer as services do, with the probabilities of so many likeliest classes, without slopes; the others
            share evenly what is left.

    Raises:
        OptionError: a value out of range, or no module of that name.

    >>> wrap(nn.Linear(2, 3), bounds=(-1, 1))
    Model(Linear, gradients, auto, [-1, 1])
    """
    if isinstance(network, Model):
        raise OptionError("this model is wrapped already: wrap the network once, with all that differs")
    if not callable(network):
        raise ModelError(f"a model is something callable on inputs [N, *D]; got {type(network).__name__}")
    if batch_size < 1:
        raise OptionError(f"batch_size must be at least 1, got {batch_size}")
    if draws < 1:
        raise OptionError(f"draws must be at least 1, got {draws}")
    if top is not None and (top < 1 or output == "labels"):
        raise OptionError(
            f"top is how many of the likeliest classes have scores, at least 1 and none of labels; got {top}"
        )
    richest = LabelAccess if output == "labels" else GradientAccess if top is None else ScoreAccess
    kind = _KINDS[access] if access else richest
    if not issubclass(richest, kind):
        carry = f'output="{output}"' if output == "labels" else f"top={top}"
        raise OptionError(f'{carry} cannot give access="{access}": {richest.kind} carry no {access}')
    normalize = None if mean is None and std is None else Normalize(mean, std)
    name = name or getattr(network, "__name__", type(network).__name__)
    stand_ins = check_stand_ins(network, bpda)
    return Model(network, Box(*bounds), normalize, output, kind, batch_size, classes, mode, name, draws, stand_ins, top)


def ordinary_gain(clean: DrawnLogits) -> DrawnValues | None:
    """Per-sample factors [*S, N] that bring logits [*S, N, K] of absurd scale back to an ordinary one; None: no need.

    A factor is a power of 100 that puts the standard deviation of the clean logits over the classes within a factor of
    ten of 3: usual networks are left exactly as they are, a network whose logits were multiplied by 1e4 (to saturate
    its softmax) or 1e-4 is attacked exactly as if they had not been.
    """
    spread = clean.double().std(-1, correction=0)
    power = torch.log10(spread / ORDINARY_SPREAD).div(2).round()
    gain = torch.where(spread.isfinite() & (spread > 0), 100.0**-power, torch.ones_like(spread))
    return None if bool((gain == 1).all()) else gain


@dc.dataclass(frozen=True)
class Normalize:
    """(x - mean) / std, each a number or one for each channel (axis 1)."""

    mean: Sequence[float] | Tensor | None
    std: Sequence[float] | Tensor | None

    def __call__(self, x: Tensor) -> Tensor:
        """The normalized inputs."""
        return (x - self._like(self.mean, x, 0.0)) / self._like(self.std, x, 1.0)

    def _like(self, value: Sequence[float] | Tensor | None, x: Tensor, default: float) -> Tensor:
        v = torch.as_tensor(default if value is None else value, dtype=x.dtype, device=x.device)
        if v.ndim == 1 and x.ndim > 1 and len(v) in (1, x.shape[1]):
            return v.view(1, -1, *[1] * (x.ndim - 2))
        if v.ndim == 0:
            return v
        raise DataError(f"mean and std have {list(v.shape)} entries; inputs have {x.shape[1]} channels (axis 1)")


def _tensors(network: object) -> Iterator[Tensor]:
    if isinstance(network, nn.Module):
        yield from network.parameters()
        yield from network.buffers()


def scores_in(answer: Any) -> Tensor:
    """The logits inside a tensor, a tuple or list (first entry), a mapping or an object with ``logits``."""
    if isinstance(answer, Tensor):
        return answer
    if isinstance(answer, (tuple, list)) and answer and isinstance(answer[0], Tensor):
        return answer[0]
    found = answer.get("logits") if isinstance(answer, dict) else getattr(answer, "logits", None)
    if isinstance(found, Tensor):
        return found
    raise ModelError(
        f"the model answered a {type(answer).__name__}; expected a tensor of logits [N, K], a tuple that begins with"
        ' one, or something with "logits"'
    )
