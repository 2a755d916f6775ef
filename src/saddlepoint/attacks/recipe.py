"""Recipes: a named attack is a function that puts parts together. The registry knows them all."""

from __future__ import annotations

import dataclasses as dc
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.asking import LabelAccess
from saddlepoint.access.checks import check_inputs
from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.run import ask_once
from saddlepoint.core.goal import Goal
from saddlepoint.core.protocols import Attack
from saddlepoint.core.result import Result
from saddlepoint.errors import OptionError, ThreatError, did_you_mean
from saddlepoint.sets import Neighborhood

_REGISTRY: dict[str, Recipe] = {}


@dc.dataclass(frozen=True)
class Recipe:
    """A named attack. Call it to attack; ``build`` gives the attack as an object, to put into other parts.

    Attributes: ``access``, the poorest access it can live with; ``sets``, the kinds of perturbation sets it knows;
    ``minimal``, whether it looks for the smallest perturbation (a radius is then an upper limit, not needed);
    ``paper``, its source.
    """

    name: str
    build: Callable[..., Attack[Any]]
    access: type[LabelAccess]
    sets: tuple[type[Neighborhood], ...]
    paper: str
    minimal: bool

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.build) or "").partition("\n")[0]

    @property
    def options(self) -> dict[str, Any]:
        """The options ``build`` takes, with their defaults."""
        parameters = list(inspect.signature(self.build).parameters.values())[1:]
        return {p.name: p.default for p in parameters}

    def __call__(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | Goal,
        threat: Neighborhood | None = None,
        *,
        seed: int = 0,
        budget: int | None = None,
        ids: Tensor | None = None,
        **options: Any,
    ) -> Result:
        """Attack ``model`` on inputs x [N, *D] in the model's bounds.

        Args:
            model: an ``nn.Module`` or callable with logits [N, K] for inputs in [0, 1]; else ``sp.wrap`` it.
            x: inputs, float32 or float64; never written to.
            y: true labels (long [N]), or a ``Goal`` such as ``sp.targeted(t)``.
            threat: the perturbation set with its radius, for instance ``sp.Linf(8/255)``; a radius may be a tensor [N].
            seed: all randomness comes from (seed, sample, step).
            budget: hard limit on the forwards for each sample.
            ids: names the samples for the randomness, long [N]; default 0..N-1.
            options: of this attack, see ``help(sp.attacks.get("pgd").build)``.

        Raises:
            DataError, ModelError, ThreatError, OptionError, AccessError: what is wrong, and what to do.
        """
        wrapped = model if isinstance(model, Model) else wrap(model)
        inputs = check_inputs(x, wrapped.box)
        threat = self.check_threat(threat, wrapped)
        attack = self.attack(threat, **options)
        radius = threat.radii(inputs)
        return ask_once(
            attack,
            self.access,
            self.name,
            wrapped,
            inputs,
            y,
            threat,
            radius,
            seed=seed,
            budget=budget,
            ids=ids,
        )

    def attack(self, threat: Neighborhood, **options: Any) -> Attack[Any]:
        """``build`` with the options checked by name."""
        known = self.options
        for name in options:
            if name not in known:
                hint = did_you_mean(name, known)
                raise OptionError(f"{self.name} has no option {name!r}{hint}; it has: {', '.join(known) or 'none'}")
        return self.build(threat, **options)

    def check_threat(self, threat: Neighborhood | None, model: Model) -> Neighborhood:
        """The set as this attack uses it on this model. Raises ThreatError where the two do not fit."""
        if threat is None:
            if not self.minimal:
                raise ThreatError(f"{self.name} needs a perturbation set with a radius, for instance sp.Linf(8/255)")
            threat = self.sets[0]()
        if not isinstance(threat, self.sets):
            known = ", ".join(s.__name__ for s in self.sets)
            raise ThreatError(f"{self.name} works in {known}, not in {type(threat).__name__}")
        if not self.minimal and not bool(torch.as_tensor(threat.radius).isfinite().all()):
            raise ThreatError(f"{self.name} needs a finite radius, for instance sp.{type(threat).__name__}(0.1)")
        return threat.fitted_to(model)


def recipe(
    *, access: type[LabelAccess], sets: tuple[type[Neighborhood], ...], paper: str, minimal: bool = False
) -> Callable[[Callable[..., Attack[Any]]], Recipe]:
    """Register a function ``(threat, **options) -> Attack`` under its own name."""

    def register(build: Callable[..., Attack[Any]]) -> Recipe:
        made = Recipe(build.__name__, build, access, sets, paper, minimal)
        _REGISTRY[made.name] = made
        return made

    return register


def get(name: str) -> Recipe:
    """The recipe of that name. Raises OptionError with the nearest known name."""
    if name in _REGISTRY:
        return _REGISTRY[name]
    raise OptionError(f"no attack {name!r}{did_you_mean(name, _REGISTRY)}; known: {', '.join(sorted(_REGISTRY))}")


def catalog() -> dict[str, Recipe]:
    """All registered recipes by name."""
    return dict(_REGISTRY)
