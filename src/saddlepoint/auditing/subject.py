"""What is audited: a model and labeled samples, checked once, taken piece by piece."""

from __future__ import annotations

import copy
import dataclasses as dc
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from saddlepoint.access.asking import ScoreAccess
from saddlepoint.access.checks import check_inputs
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.run import ask_clean, check_goal
from saddlepoint.core.goal import Goal, targeted, untargeted
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.zoo.data import Data

Rows = npt.NDArray[np.int64]
PROBE = 2
"""So many samples are asked about before anything else, to learn the number of classes and the kind of output."""
MANY = 20
"""So many classes are too many for one line."""
SHOWN = 4
"""So many names of classes are told."""
SLICE = 256
"""So many samples are checked or hashed at a time."""


@dc.dataclass(frozen=True)
class Subject:
    """A model and samples: x [N, *D] as given, y (long [N]) and the ids of the samples (long [N]), all different.

    ``model`` is a copy of the wrapper with its own ``batch_size``, which shrinks for good when memory runs out; the
    network is the one given. ``classes`` are the names of the labels; ``data_name`` and ``source`` say where samples
    and model come from. ``target``: the class that samples of others are to be taken for; None: any but their own.
    """

    model: Model
    x: Tensor
    y: Tensor
    ids: Tensor
    classes: tuple[str, ...]
    data_name: str
    source: str
    target: int | None = None

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, rows: Rows) -> tuple[Tensor, Tensor, Tensor]:
        """(x, y, ids) of the positions ``rows``, on the model's device, x clamped to the bounds."""
        picked = torch.from_numpy(rows)
        device = self.model.device or self.x.device
        x = check_inputs(self.x[picked.to(self.x.device)].to(device), self.model.box)
        return x, self.y[picked].to(device), self.ids[picked].to(device)

    def goal(self, y: Tensor) -> Goal:
        """What attacks on samples with the labels y (long [n]) are after."""
        return untargeted(y) if self.target is None else targeted(torch.full_like(y, self.target))

    def aimed_at(self, target: int) -> Subject:
        """The subject with a target, without the samples that are of that class.

        Raises:
            OptionError: there is no such class, no sample of another one, or the model answers labels only.
        """
        if not 0 <= target < len(self.classes):
            raise OptionError(f"target is {target}; the model has classes 0 to {len(self.classes) - 1}")
        if not issubclass(self.model.kind, ScoreAccess):
            raise OptionError("a target needs scores at least: from labels alone use sp.attacks with sp.targeted(...)")
        rows = (self.y != target).nonzero().squeeze(1)
        if not len(rows):
            raise OptionError(f"all samples are of class {target}, the target: take samples of other classes")
        x = self.x[rows.to(self.x.device)]
        return dc.replace(self, target=target, x=x, y=self.y[rows], ids=self.ids[rows])

    def logits(self, x: Tensor) -> Tensor:
        """Logits [n, K] of x [n, *D], detached; the batches shrink for good where memory runs out."""
        return ask_clean(self.model, x)

    def digest(self) -> str:
        """SHA-256 of shapes, types and content of inputs, labels and ids."""
        sha = hashlib.sha256()
        for tensor in (self.x, self.y, self.ids):
            sha.update(f"{tensor.dtype} {list(tensor.shape)}".encode())
            for _, part in _slices(tensor):
                sha.update(part.detach().cpu().contiguous().numpy().data)
        return sha.hexdigest()


def prepare(
    model: Callable[[Tensor], Any],
    x: Tensor | None,
    y: Any,
    data: Data | None,
    *,
    batch_size: int | None,
    seed: int,
    name: str | None,
    source: str,
) -> Subject:
    """The subject of an audit, with everything checked that can be checked before the first attack.

    Raises:
        DataError, ModelError, OptionError: what is wrong, and what to do.
    """
    wrapped = copy.copy(model) if isinstance(model, Model) else wrap(model)
    if batch_size is not None and batch_size < 1:
        raise OptionError(f"batch_size must be at least 1, got {batch_size}")
    wrapped.batch_size = batch_size or wrapped.batch_size
    wrapped.name = name or wrapped.name
    inputs, labels, ids, classes, data_name = _samples(x, y, None if data is None else by_number(data, wrapped))
    _check_range(inputs, wrapped)
    with wrapped.quiet(seed):
        few = inputs[:PROBE].to(wrapped.device or inputs.device)
        with torch.no_grad():
            count = wrapped(check_inputs(few, wrapped.box)).shape[1]
    label = check_goal(labels, inputs, count).label.cpu()
    return Subject(wrapped, inputs, label, ids, class_names(classes, wrapped, count), data_name, source)


def by_number(data: Data, model: Model) -> Data:
    """The data, their labels brought to the places of the model's classes where both are called by numbers.

    An estimator that was fitted on labels 1, 2 and 3 has classes of these names; so a label 1 is its first class.
    """
    names = tuple(map(str, model.class_names or ()))
    if names == tuple(map(str, range(len(names)))) or not all(name.isdecimal() for name in (*names, *data.classes)):
        return data
    said = [data.classes[k] for k in data.y.tolist()]
    if not set(said) <= set(names):
        return data
    return dc.replace(data, y=torch.tensor([names.index(one) for one in said]), classes=names)


def class_names(said: tuple[str, ...], model: Model, count: int) -> tuple[str, ...]:
    """The names of ``count`` classes: what the data ``said``, else what the model says, else numbers.

    Raises:
        DataError: the data name another number of classes, or one that the model has at another place.
    """
    known = tuple(map(str, model.class_names or ()))
    known = known if len(known) == count else ()
    numbers = all(name.isdecimal() for name in said)
    if said == tuple(str(k) for k in range(len(said))) or (numbers and len(said) == count):
        return known or (said if len(said) == count else tuple(str(k) for k in range(count)))
    example = known or (("0", "1", "...", str(count - 1)) if numbers else ("a", "b", "..."))
    order = f"?classes={','.join(example)}" if len(known) < MANY else "?classes=FILE.txt"
    hint = f"behind the name of the data {order} says the order of all classes of the model"
    if len(said) != count:
        named = f"{len(said)} class{'es' * (len(said) != 1)} ({', '.join(said[:SHOWN])}{', ...' * (len(said) > SHOWN)})"
        raise DataError(f"the data name {named}, the model has {count}: {hint}")
    places = {_plain(name): k for k, name in enumerate(known)}
    for k, name in enumerate(said):
        if places.get(_plain(name), k) != k:
            other = places[_plain(name)]
            raise DataError(f"{name!r} is label {k} of the data and label {other} of the model: {hint}")
    return said


def _plain(name: str) -> str:
    return name.partition(",")[0].strip().casefold().replace("_", " ")


def prepare_surrogate(surrogate: Callable[[Tensor], Any], subject: Subject, called: str = "the surrogate") -> Model:
    """Another model that fits the subject; ``called`` so in errors.

    Raises:
        ModelError: it answers another number of classes, or takes other inputs.
        OptionError: its inputs have other bounds.
    """
    other = copy.copy(surrogate) if isinstance(surrogate, Model) else wrap(surrogate, bounds=subject.model.box.ends)
    if other.box != subject.model.box:
        raise OptionError(f"{called} has bounds {other.box.ends}, the model {subject.model.box.ends}: they must agree")
    check_fits(other, subject.x, len(subject.classes), called)
    return other


def check_fits(other: Model, x: Tensor, classes: int, called: str) -> None:
    """Ask another model, ``called`` so, about the first of samples x [N, *D] that the model knows so many classes of.

    Raises:
        ModelError: it answers another number of classes, or takes other inputs.
    """
    few = x[:1].to(other.device or x.device)
    with other.quiet(), torch.no_grad():
        try:
            known = other(check_inputs(few, other.box)).shape[1]
        except (RuntimeError, ValueError, TypeError) as error:
            shape = list(few.shape[1:])
            raise ModelError(f"{called} does not take samples of shape {shape}, as the model does: {error}") from error
    if known != classes:
        raise ModelError(f"{called} knows {known} classes, the model {classes}: they must agree")


def _samples(x: Tensor | None, y: Any, data: Data | None) -> tuple[Tensor, Tensor, Tensor, tuple[str, ...], str]:
    if data is not None:
        if x is not None or y is not None:
            raise OptionError("give the samples as x and y or as data, not both")
        return data.x, data.y, data.ids.cpu(), data.classes, data.name
    if x is None or y is None:
        raise OptionError("an audit needs samples: x and y, or data=sp.zoo.data.load(...)")
    if isinstance(y, Goal):
        raise DataError("an audit asks whether true labels can be left: give labels; for other goals use an attack")
    if not isinstance(x, Tensor):
        raise DataError(f"inputs must be a tensor [N, *D], got {type(x).__name__}: torch.as_tensor(x) makes one")
    return x.detach(), torch.as_tensor(y), torch.arange(len(x)), (), "data"


def _check_range(x: Tensor, model: Model) -> None:
    if x.ndim < 2 or not x.numel():
        check_inputs(x, model.box)
    for first, part in _slices(x):
        try:
            check_inputs(part, model.box)
        except DataError as error:
            if len(part) == len(x):
                raise
            raise DataError(f"samples {first} to {first + len(part) - 1}: {error}") from None


def _slices(x: Tensor) -> Iterator[tuple[int, Tensor]]:
    for first in range(0, len(x), SLICE):
        yield first, x[first : first + SLICE]
