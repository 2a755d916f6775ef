"""The same attack for some of its samples: a set inside it may hold a mask for each."""

from __future__ import annotations

import dataclasses as dc
from typing import TypeVar

from torch import Tensor

from saddlepoint.sets.neighborhood import Neighborhood

T = TypeVar("T")


def narrowed(attack: T, keep: Tensor) -> T:
    """``attack`` with every set in it, and in the attacks it is made of, narrowed to the samples ``keep`` (long [n]).

    An attack whose sets hold nothing of single samples comes back as it is.
    """
    if isinstance(attack, Neighborhood):
        return attack.rows(keep)
    if isinstance(attack, (list, tuple)):
        parts = [narrowed(part, keep) for part in attack]
        same = all(new is old for new, old in zip(parts, attack, strict=True))
        return attack if same else type(attack)(parts)
    if not dc.is_dataclass(attack) or isinstance(attack, type):
        return attack
    old = {f.name: getattr(attack, f.name) for f in dc.fields(attack) if f.init}
    new = {name: narrowed(value, keep) for name, value in old.items()}
    changed = {name: value for name, value in new.items() if value is not old[name]}
    return dc.replace(attack, **changed) if changed else attack
