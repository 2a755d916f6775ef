"""From what is typed to what an attack works on: a wrapped model and checked samples on the right device."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from saddlepoint.access import Model, wrap
from saddlepoint.access.adapters.trying import check_shape
from saddlepoint.access.checks import check_features, check_labels
from saddlepoint.access.model import Normalize
from saddlepoint.access.stand_ins import check_stand_ins
from saddlepoint.attacks.substitute import learn_substitute
from saddlepoint.auditing.subject import by_number, class_names
from saddlepoint.cli.options import ModelOptions, WorkOptions
from saddlepoint.cli.values import numbers
from saddlepoint.errors import DataError, OptionError
from saddlepoint.zoo.data import Data, load
from saddlepoint.zoo.opening import open_model


class Ready(NamedTuple):
    """A model and samples that fit together, and how many classes the model answers."""

    model: Model
    data: Data
    classes: int


def prepare(spec: str, samples: str, of: ModelOptions, work: WorkOptions) -> Ready:
    """The model ``spec`` and the ``samples``, tried on each other.

    Raises:
        ModelError, DataError, OptionError: what is wrong, and what to do.
    """
    model, data = _opened(spec, samples, of, work)
    return Ready(model, data, check_shape(model, data.x[:1], data.name))


def _opened(spec: str, samples: str, of: ModelOptions, work: WorkOptions) -> tuple[Model, Data]:
    """Both, compared as far as that takes no question."""
    if work.batch_size < 1:
        raise OptionError(f"--batch-size must be at least 1, got {work.batch_size}")
    made = open_model(spec, of.weights, of.access)
    model = _as_wrapped(made, of, work) if isinstance(made, Model) else _wrapped(made, spec, of, work)
    data = load(samples)
    if of.dtype == "float64":
        data = dc.replace(data, x=data.x.double())
    low, high = float(data.x.min()), float(data.x.max())
    if low < model.box.low or high > model.box.high:
        raise DataError(
            f"{data.name} ranges over [{low:g}, {high:g}], --bounds are [{model.box.low:g}, {model.box.high:g}]:"
            " data are always loaded in [0, 1]; what the model expects instead is said with --mean and --std"
        )
    check_features(data.features, model.feature_names, data.name)
    if data.low is not None and data.high is not None:
        model.rescale(data.low, data.high, data.whole)
    return model, by_number(data, model)


def prepare_labeled(spec: str, samples: str, of: ModelOptions, work: WorkOptions) -> Ready:
    """The same where labels matter: they are among the model's classes, and go by its names.

    Raises:
        ModelError, DataError, OptionError: what is wrong, and what to do.
    """
    model, data = _opened(spec, samples, of, work)
    known = model.classes
    if known is not None:  # before anything is asked, for an answer may cost money
        _compare(model, data, known)
    ready = Ready(model, data, check_shape(model, data.x[:1], data.name))
    if ready.classes != known:
        _compare(model, data, ready.classes)
    return ready


def _compare(model: Model, data: Data, classes: int) -> None:
    class_names(data.classes, model, classes)
    check_labels(data.y, data.x, classes, f"the labels of {data.name}")


LEARN = "learn:"
HELD_OUT = 5
"""A stand-in is not taught one in so many of the samples, on which it is compared with the model."""


def resolve_surrogate(spec: str, work: WorkOptions, target: Ready) -> Model:
    """The model that attacks are crafted on: with inputs in [0, 1], unless its own ``sp.wrap`` says otherwise.

    ``learn:N`` is one that is learned from N labels of the ``target``.

    Raises:
        ModelError, OptionError: what is wrong, and what to do.
    """
    if spec.startswith(LEARN):
        number = spec.removeprefix(LEARN)
        if not number.isdecimal() or not int(number):
            raise OptionError(f"--surrogate {spec}: after learn: stands how many labels may be asked for, such as 2000")
        return _learned(int(number), work, target)
    made = open_model(spec)
    plain = ModelOptions()
    return _as_wrapped(made, plain, work) if isinstance(made, Model) else _wrapped(made, spec, plain, work)


def _learned(budget: int, work: WorkOptions, target: Ready) -> Model:
    """Learned from ``budget`` labels, some of which are for inputs held out to tell the agreement on."""
    x = target.data.x
    apart = min(len(x), budget) // HELD_OUT
    held_out = x[len(x) - apart :] if apart else None
    return learn_substitute(
        target.model, x[: len(x) - apart], budget=budget - apart, held_out=held_out, seed=work.seed
    ).model


def prepare_several(specs: Sequence[str], samples: str, work: WorkOptions) -> tuple[Ready, dict[str, Model]]:
    """The first model with the samples, and all of them by their names.

    Raises:
        ModelError, DataError, OptionError: what is wrong, and what to do.
    """
    ready = prepare_labeled(specs[0], samples, ModelOptions(), work)
    found = {short_name(specs[0]): ready.model}
    found |= {short_name(spec): resolve_surrogate(spec, work, ready) for spec in specs[1:]}
    if len(found) < len(specs):
        raise OptionError(f"a model is named twice: {', '.join(map(short_name, specs))}")
    return ready, found


def short_name(spec: str) -> str:
    """What a model is called in tables."""
    return spec.removeprefix("zoo:")


def _wrapped(network: nn.Module, spec: str, of: ModelOptions, work: WorkOptions) -> Model:
    doubled = of.dtype == ModelOptions().dtype and _is_double(network)
    network = network.to(device=_device(work), dtype=torch.float64 if doubled else getattr(torch, of.dtype))
    low, high = numbers(of.bounds, "--bounds", 2)
    return wrap(
        network,
        bounds=(low, high),
        **_normalization(of),
        output=of.output,
        access=of.access,
        batch_size=work.batch_size,
        name=short_name(spec),
        draws=of.draws,
        bpda=[] if of.bpda is None else _names(of.bpda),
    )


def _is_double(network: nn.Module) -> bool:
    """Whether it is in double precision by itself, as what was fitted in it is."""
    kinds = {t.dtype for t in (*network.parameters(), *network.buffers()) if t.is_floating_point()}
    return kinds == {torch.float64}


def _normalization(of: ModelOptions) -> dict[str, Any]:
    mean = None if of.mean is None else numbers(of.mean, "--mean")
    std = None if of.std is None else _positive(numbers(of.std, "--std"))
    return {"mean": mean, "std": std} if mean or std else {}


def _as_wrapped(model: Model, of: ModelOptions, work: WorkOptions) -> Model:
    """What the user's own ``sp.wrap``, or the configuration of a network, says stands; nothing may contradict it."""
    plain = ModelOptions()
    said = [field.name for field in dc.fields(of) if getattr(of, field.name) != getattr(plain, field.name)]
    free = {"weights", "access"}
    numeric = not isinstance(model.network, nn.Module) and model.normalize is None
    free |= {"mean", "std"} if numeric else set()
    free |= {"dtype"} if of.dtype == "float64" and model.dtype == torch.float64 else set()
    if isinstance(model.network, nn.Module):
        free |= {"dtype"} | ({"draws"} if model.draws == 1 else set()) | (set() if model.stand_ins else {"bpda"})
    if said := [f"--{name}" for name in said if name not in free]:
        raise OptionError(f"the model is wrapped already, so {', '.join(said)} cannot be given: say it in sp.wrap(...)")
    if isinstance(model.network, nn.Module):
        _settle(model, of, work)
    elif inside := _normalization(of):
        model.normalize = Normalize(**inside)
    model.batch_size = work.batch_size
    if of.access is not None:
        model.limit(of.access)
    return model


def _settle(model: Model, of: ModelOptions, work: WorkOptions) -> None:
    """The device, and what else was asked of a wrapped module."""
    network: nn.Module = model.network  # type: ignore[assignment]
    model.device = _device(work)
    network.to(model.device)
    if of.dtype != ModelOptions().dtype:
        model.dtype = getattr(torch, of.dtype)
        network.to(model.dtype)
    if of.draws > 1:
        model.draws = of.draws
    if of.bpda is not None:
        model.stand_ins = check_stand_ins(network, _names(of.bpda))


def _device(work: WorkOptions) -> torch.device:
    there = torch.cuda.is_available()
    if work.device == "cuda" and not there:
        raise OptionError("--device cuda: this machine has no CUDA device that torch can use; leave the option out")
    return torch.device("cuda" if there and work.device != "cpu" else "cpu")


def _names(words: str) -> list[str]:
    return [name.strip() for name in words.split(",")]


def _positive(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) <= 0:
        raise OptionError(f"--std must be above 0, got {', '.join(map(str, values))}")
    return values
