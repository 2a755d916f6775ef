"""Backward rules by name, for models that attacks are crafted on."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from saddlepoint.access.backward import linear_backward, skip_backward, soft_backward
from saddlepoint.access.model import Model
from saddlepoint.access.stand_ins import Standin
from saddlepoint.attacks.intrinsic import intrinsic
from saddlepoint.auditing.entry import Entry, parse
from saddlepoint.errors import OptionError, did_you_mean

RULES: Mapping[str, Callable[..., dict[str, Standin]]] = {
    "linear": linear_backward,
    "skip": skip_backward,
    "soft": soft_backward,
}
NONE, INTRINSIC = "none", "intrinsic"
FORMS = "none, linear, linear(after='layer3'), soft(beta=5), skip(branches='layer*.bn2', decay=0.5) or intrinsic"


def rule(text: str) -> Entry:
    """A rule and its options, as written.

    Raises:
        OptionError: there is no such rule, or it has no such option.

    >>> rule("soft(beta=5)")
    Entry(name='soft', options={'beta': 5})
    """
    try:
        entry = parse(text)
    except OptionError as error:
        raise OptionError(f"{text!r} is no backward rule: write {FORMS}") from error
    if entry.name not in {NONE, INTRINSIC, *RULES}:
        hint = did_you_mean(entry.name, RULES)
        raise OptionError(f"there is no backward rule {entry.name!r}{hint}: write {FORMS}")
    options = _options(entry.name)
    needed = {name for name, one in options.items() if one.default is one.empty}
    wrong = [*sorted(set(entry.options) - set(options)), *sorted(needed - set(entry.options))]
    if wrong:
        raise OptionError(
            f"{text}: {wrong[0]} is {'missing' if wrong[0] in needed else 'not an option'}; the options of"
            f" {entry.name} are {', '.join(options) or 'none'}"
        )
    return entry


def ruled(model: Model, entry: Entry, x: Tensor, y: Tensor, seed: int) -> Model:
    """The same model, slopes going back by the rule; its own stand-ins are kept.

    x [n, *D] and y (long [n]) are what ``intrinsic`` finds its rule with.

    Raises:
        OptionError: the rule does not fit the model, or an option is out of range.
    """
    if entry.name == NONE:
        return model
    if not isinstance(model.network, nn.Module):
        raise OptionError(f"{entry.name} is for modules, and {model.name} is a function: leave it out of the sources")
    try:
        if entry.name == INTRINSIC:
            return intrinsic(model, x, y, seed=seed, **entry.options).model
        standins = RULES[entry.name](model.network, **entry.options)
    except TypeError as error:
        raise OptionError(f"{entry.name}: {error}") from error
    except OptionError as error:
        raise OptionError(f"{entry.name} on {model.name}: {error}") from error
    one = copy.copy(model)
    one.stand_ins = {**standins, **model.stand_ins}
    return one


def _options(name: str) -> dict[str, inspect.Parameter]:
    given = {"network", "model", "x", "y", "seed"}
    if name == NONE:
        return {}
    makes = intrinsic if name == INTRINSIC else RULES[name]
    return {key: one for key, one in inspect.signature(makes).parameters.items() if key not in given}
