"""The adversarial examples of a threat as cards, and the filters over them that need no script."""

from __future__ import annotations

import dataclasses as dc
from collections import Counter
from collections.abc import Callable, Sequence

from torch import Tensor

from saddlepoint.auditing.summary import Example, Summary, ThreatSummary
from saddlepoint.report.naming import class_words
from saddlepoint.report.pictures import Pictures, pictures

ReadPixels = Callable[[Example], tuple[Tensor, Tensor]]
"""From an example to its clean and its adversarial input, [*D] each."""

CARDS = 48
"""Examples a threat shows at most."""


@dc.dataclass(frozen=True)
class Card:
    """One example: labels in words, ``marks`` that filters know it by, ``pictures`` where the inputs are some."""

    example: Example
    label: str
    clean_predicted: str
    predicted: str
    marks: tuple[str, str]
    pictures: Pictures | None


@dc.dataclass(frozen=True)
class Choice:
    """One way to filter: cards with this ``mark``, of which there are ``count``."""

    mark: str
    name: str
    count: int


@dc.dataclass(frozen=True)
class Gallery:
    """The cards of one threat, the closest calls first.

    Attributes: ``key``, its own among all galleries of a page; ``classes`` and ``attacks`` to choose from, empty where
    there is one alone; ``void``, pairs of them that no card has; ``two_colors``, whether differences are drawn in red
    and blue; ``every``, the largest step that pixels are picked by; ``left_out``, examples that were too heavy.
    """

    key: str
    cards: tuple[Card, ...]
    classes: tuple[Choice, ...]
    attacks: tuple[Choice, ...]
    void: tuple[tuple[str, str], ...]
    two_colors: bool
    every: int
    left_out: int


def build_gallery(
    summary: Summary, threat: ThreatSummary, key: str, read_pixels: ReadPixels, most_bytes: int
) -> Gallery:
    """The gallery of a threat, whose pictures weigh at most ``most_bytes`` together."""
    cards = _cards(summary, threat, read_pixels, most_bytes)
    classes = _choices([(card.marks[0], card.label) for card in cards])
    attacks = _choices([(card.marks[1], card.example.attack) for card in cards])
    there = {card.marks for card in cards}
    pairs = [(one.mark, other.mark) for one in classes for other in attacks]
    seen = [card.pictures for card in cards if card.pictures]
    return Gallery(
        key=key,
        cards=cards,
        classes=classes,
        attacks=attacks,
        void=tuple(pair for pair in pairs if pair not in there),
        two_colors=any(one.two_colors for one in seen),
        every=max((one.every for one in seen), default=1),
        left_out=min(len(threat.gallery), CARDS) - len(cards),
    )


def _cards(summary: Summary, threat: ThreatSummary, read_pixels: ReadPixels, most_bytes: int) -> tuple[Card, ...]:
    """The closest calls first, as many as fit: their number and their weight are limited."""
    low, high = summary.model.get("bounds", (0.0, 1.0))
    attacks = sorted({example.attack for example in threat.gallery})
    cards: list[Card] = []
    weight = 0
    for example in sorted(threat.gallery, key=lambda e: (e.size, e.sample))[:CARDS]:
        seen = pictures(*read_pixels(example), (float(low), float(high)))
        weight += seen.weight if seen else 0
        if weight > most_bytes:
            break
        marks = (f"c{example.label}", f"a{attacks.index(example.attack)}")
        label, before, after = (
            class_words(k, summary) for k in (example.label, example.clean_predicted, example.predicted)
        )
        cards.append(Card(example, label, before, after, marks, seen))
    return tuple(cards)


def _choices(marked: Sequence[tuple[str, str]]) -> tuple[Choice, ...]:
    """What there is to choose from, in the order of names; nothing where all are alike."""
    counts = Counter(marked)
    chosen = [Choice(mark, name, count) for (mark, name), count in counts.items()]
    return tuple(sorted(chosen, key=lambda one: (one.name, one.mark))) if len(chosen) > 1 else ()
