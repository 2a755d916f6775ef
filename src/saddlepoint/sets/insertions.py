"""Things put in and never taken out: words into a mail, calls into a program."""

from __future__ import annotations

import dataclasses as dc
from typing import ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor

from saddlepoint.core.problem import PerturbationSet
from saddlepoint.errors import ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets.ball import Ball
from saddlepoint.sets.sparse import first, knapsack
from saddlepoint.shapes import Delta, Inputs, PerSample

OFF = 1e-3
"""By which share of a unit a change may miss a whole number, for rounding."""


@runtime_checkable
class HasUnits(Protocol):
    """A set whose perturbations are made of units, put in one at a time."""

    unit: float

    def fits(self, x: Tensor, delta: Tensor) -> Tensor:
        """Where one more unit fits beside δ: bool [N, *P]."""
        ...


@dc.dataclass(frozen=True)
class Insertions(Ball):
    """{δ : δ_i / unit in {0, 1, 2, ...}, Σ δ_i / unit <= radius, x + δ <= high}.

    For inputs that count something: what is there stays, and at most ``radius`` units are put in. Where inputs say
    whether a word occurs (0 or 1), only words that do not occur fit. Arguments and errors as for ``Ball``, and

    Args:
        unit: how much one thing put in adds to its entry.

    Source: Biggio et al., "Evasion attacks against machine learning at test time", ECML 2013 (keywords of PDF files);
    Lowd and Meek, "Good word attacks on statistical spam filters", CEAS 2005.

    >>> from saddlepoint.access import Box
    >>> x = torch.tensor([[0.0, 1.0, 2.0]])
    >>> Insertions(box=Box(0, 3)).project(x, torch.tensor([[1.6, -1.0, 5.0]]), torch.tensor([2.0]))
    tensor([[1., 0., 1.]])
    """

    name: ClassVar[str] = "insertions"

    unit: float = dc.field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.unit > 0:
            raise ThreatError(f"a unit is what one thing put in adds, above 0; got {self.unit:g}")

    def size(self, x: Inputs, delta: Delta) -> PerSample:
        """How many units were put in, [N]; infinite where something was taken out, or a part of a unit put in."""
        units = delta.flatten(1) / self.unit
        whole = units.round()
        legal = ((units - whole).abs() <= OFF) & (whole >= 0)
        return torch.where(legal.all(1), whole.sum(1), torch.inf)

    def fits(self, x: Inputs, delta: Delta) -> Tensor:
        """Where one more unit fits beside δ: bool [N, *D]."""
        return self._room(x) > (delta / self.unit).round()

    @torch.no_grad()
    def project(self, x: Inputs, delta: Delta, radius: PerSample) -> Delta:
        """The nearest counts: of all units those that bring nearest to δ, as many as the radius allows. [N, *D].

        The k-th unit of an entry saves (δ - k + 1)² - (δ - k)² = 2 (δ - k) + 1, less than the one before it; so a
        threshold on what a unit saves, found by bisection, says how many each entry gets.
        """
        asked, room = (delta / self.unit).flatten(1), self._room(x).flatten(1)
        most = radius.floor()

        def above(threshold: Tensor) -> Tensor:
            return (torch.ceil(asked + 0.5 - threshold[:, None]) - 1).clamp_min(0).minimum(room)

        low = torch.zeros_like(radius)
        counts = above(low)
        if bool((counts.sum(1) > most).any()):
            high = asked.amax(1).clamp_min(0) + 1
            for _ in range(64):
                middle = (low + high) / 2
                fewer = above(middle).sum(1) <= most
                low, high = torch.where(fewer, low, middle), torch.where(fewer, middle, high)
            few = above(high)
            spare = (counts > few).to(asked.dtype) * (asked - few + 1).clamp_min(0)
            few = few + first(spare, (most - few.sum(1)).clamp_min(0).long()) * (spare > 0)
            counts = torch.where((counts.sum(1) > most)[:, None], few, counts)
        return (counts * self.unit).view_as(delta)

    def steepest(self, x: Inputs, gradient: Delta) -> Delta:
        """One unit where the slope is largest of all places with room, 0 where none rises: [N, *D]."""
        rising = torch.where(self.fits(x, torch.zeros_like(x)), gradient, 0).clamp_min(0).flatten(1)
        place = rising.argmax(1, keepdim=True)
        spike = torch.zeros_like(rising).scatter(1, place, rising.gather(1, place).sign() * self.unit)
        return spike.view_as(gradient)

    @torch.no_grad()
    def lmo(self, x: Inputs, gradient: Delta, radius: PerSample) -> Delta:
        """Entries filled in the order of their slopes, while those rise, until the radius is spent: [N, *D]."""
        slopes = gradient.flatten(1)
        room = torch.where(slopes > 0, self._room(x).flatten(1), 0)
        return (knapsack(slopes, room, radius.floor()) * self.unit).view_as(gradient)

    def sample(self, x: Inputs, radius: PerSample, noise: Noise) -> Delta:
        """floor(radius) places, each with one unit, drawn without replacement from those with room: [N, *D]."""
        order = noise.at("place").uniform(tuple(x.shape[1:]), dtype=x.dtype)
        order = torch.where(self.fits(x, torch.zeros_like(x)), order, 0).flatten(1)
        count = torch.minimum(radius.floor(), (order > 0).sum(1)).long()
        return first(order, count).view_as(x) * self.unit

    def _room(self, x: Tensor) -> Tensor:
        """How many units fit in each entry, [N, *D]; the largest finite number where the box is unbounded."""
        return ((self.interval(x)[1] / self.unit) + OFF).floor().clamp_min(0)

    def largest(self, x: Inputs) -> PerSample:
        """How many units fit in all, [N]; infinite in an unbounded box."""
        return self._room(x).flatten(1).sum(1)

    def _ceiling(self) -> float:
        return torch.inf


def units(perturbations: PerturbationSet) -> HasUnits:
    """The set, if it is made of units. Raises ThreatError if it is not."""
    if isinstance(perturbations, HasUnits):
        return perturbations
    raise ThreatError(f"{type(perturbations).__name__} is not made of units, which this attack needs: use Insertions")
