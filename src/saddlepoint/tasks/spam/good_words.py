"""Words that make a filter take spam for good mail, found by sending mails."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from saddlepoint.access.model import Model, wrap
from saddlepoint.attacks.run import ask_labels
from saddlepoint.errors import DataError, OptionError


@dc.dataclass(frozen=True)
class GoodWords:
    """``words`` long [n], the strongest first; ``strengths`` long [n], how many bad words each makes up for.

    ``queries``: how many mails finding them took.
    """

    words: Tensor
    strengths: Tensor
    queries: int

    def added(self, x: Tensor, count: int) -> Tensor:
        """Mails x [N, d] with the first ``count`` words in them."""
        out = x.clone()
        out[:, self.words[:count]] = 1
        return out

    def needed(self, model: Callable[[Tensor], Any], x: Tensor, good: int = 0) -> Tensor:
        """How many of the words each mail x [N, d] needs to be labeled ``good``: long [N], -1 where all do not do."""
        target = _wrapped(model)
        count = torch.full((len(x),), -1)
        for words in range(len(self.words) + 1):
            held = (count < 0).nonzero().squeeze(1)
            if not len(held):
                break
            through = ask_labels(target, self.added(x[held], words))[0] == good
            count[held[through]] = words
        return count


def good_words(
    model: Callable[[Tensor], Any], spam: Tensor, ham: Tensor, n: int | None = None, most_bad: int = 64
) -> GoodWords:
    """Find words that good mails have, from nothing but the labels of mails of one's own.

    Between a spam mail and a good one, changed into each other word by word, lie two that differ in one word and are
    labeled differently. A word is good if the barely-spam mail with it is let through, and bad if the barely-good one
    with it is stopped. A good word is as strong as the number of bad words, of ``most_bad`` in a fixed order, that it
    makes up for in the barely-spam mail. One question for each word, and log2(most_bad) + 1 for each good one.

    Args:
        model: whether a mail [N, d] of zeros and ones is spam; labels are enough.
        spam, ham: [d], a mail of each kind that the model labels differently.
        n: stop looking at this many good words; the order in which words are tried is theirs.

    Raises:
        DataError: mails of other values, or with the same label.

    Source: Lowd and Meek, "Good word attacks on statistical spam filters", CEAS 2005 (first-N and best-N words).
    """
    target = _wrapped(model)
    pair = torch.stack([spam, ham])
    if pair.ndim != 2 or not bool(((pair == 0) | (pair == 1)).all()):
        raise DataError("spam and ham are mails [d] of zeros and ones: whether each word occurs")
    if n is not None and n < 1:
        raise OptionError(f"n is how many words to look for, at least 1; got {n}")
    before = target.asked
    labels = ask_labels(target, pair)[0]
    if int(labels[0]) == int(labels[1]):
        raise DataError(f"the model labels both mails {int(labels[0])}: give one it calls spam and one it lets through")
    good = int(labels[1])
    barely_spam, barely_good = _between(target, spam, ham, good)
    words = _flipping(target, barely_spam, lambda label: label == good, n)
    bad = _flipping(target, barely_good, lambda label: label != good, most_bad)
    strengths = _strengths(target, barely_spam, words, bad[barely_spam[bad] == 0], good)
    order = strengths.argsort(descending=True, stable=True)
    return GoodWords(words[order], strengths[order], target.asked - before)


def _wrapped(model: Callable[[Tensor], Any]) -> Model:
    return model if isinstance(model, Model) else wrap(model)


def _between(target: Model, spam: Tensor, ham: Tensor, good: int) -> tuple[Tensor, Tensor]:
    """Two mails that differ in one word, labeled differently, by halving the way from one to the other."""
    differ = (spam != ham).nonzero().squeeze(1)
    low, high = 0, len(differ)

    def changed(count: int) -> Tensor:
        return spam.index_copy(0, differ[:count], ham[differ[:count]])

    while high - low > 1:
        middle = (low + high) // 2
        through = int(ask_labels(target, changed(middle)[None])[0]) == good
        low, high = (low, middle) if through else (middle, high)
    return changed(low), changed(high)


def _flipping(target: Model, mail: Tensor, wanted: Callable[[Tensor], Tensor], n: int | None) -> Tensor:
    """The words that the mail [d] lacks, with which its label is what is wanted; the first ``n`` of them."""
    found: list[Tensor] = []
    absent = (mail == 0).nonzero().squeeze(1)
    for some in absent.split(64):  # type: ignore[no-untyped-call]
        with_each = mail.repeat(len(some), 1).scatter(1, some[:, None], 1.0)
        found.append(some[wanted(ask_labels(target, with_each)[0])])
        if n is not None and sum(map(len, found)) >= n:
            break
    words = torch.cat(found) if found else absent
    return words if n is None else words[:n]


def _strengths(target: Model, mail: Tensor, words: Tensor, bad: Tensor, good: int) -> Tensor:
    """How many of the bad words each word makes up for in the mail, by halving: long [n]."""
    low, high = torch.zeros(len(words), dtype=torch.long), torch.full((len(words),), len(bad) + 1)
    place = torch.arange(len(bad))
    while len(words) and bool((high - low > 1).any()):
        middle = (low + high) // 2
        mails = mail.repeat(len(words), 1)
        mails[:, bad] = torch.maximum(mails[:, bad], (place < middle[:, None]).to(mails.dtype))
        mails.scatter_(1, words[:, None], 1.0)
        through = ask_labels(target, mails)[0] == good
        low, high = torch.where(through, middle, low), torch.where(through, high, middle)
    return low
