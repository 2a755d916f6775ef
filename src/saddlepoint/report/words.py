"""How numbers are written, in one place, so that the page and the terminal say the same."""

from __future__ import annotations

import re
from typing import Protocol


def percent(share: float) -> str:
    """A share with one decimal.

    >>> percent(0.0312)
    '3.1 %'
    """
    return f"{100 * share:.1f} %"


class Interval(Protocol):
    """Whatever has the ends of an interval: an estimate, a point of a curve."""

    @property
    def low(self) -> float:
        """The lower end."""

    @property
    def high(self) -> float:
        """The upper end."""


def interval(estimate: Interval) -> str:
    """The 95 % interval of an estimate, in percent.

    >>> from saddlepoint.auditing.summary import Estimate
    >>> interval(Estimate(9, 10, 0.9, 0.555, 0.9975))
    '55.5 to 99.8 %'
    """
    return f"{100 * estimate.low:.1f} to {100 * estimate.high:.1f} %"


def sentence(text: str) -> str:
    """The text as a sentence: a capital where it begins with a word, a full stop at its end.

    >>> sentence("take more"), sentence("sp.wrap it, then ask again!")
    ('Take more.', 'sp.wrap it, then ask again!')
    """
    begun = text[:1].upper() + text[1:] if re.match(r"[a-z]+[ ,;:]", text) else text
    return begun if begun.rstrip().endswith((".", "!", "?", ":")) else f"{begun.rstrip()}."


def unbroken(text: str) -> str:
    """The text with the blanks before numbers and percent signs made ones that no line breaks at.

    >>> unbroken("3.1 % withstand Linf 0.1") == "3.1\u00a0% withstand Linf\u00a00.1"
    True
    """
    return re.sub(r" (?=[%\d])", "\u00a0", text)


def short(value: float) -> str:
    """A radius or a size with up to four digits; as a fraction of 255 where it is one.

    >>> short(8 / 255), short(1.5), short(0.123456)
    ('8/255', '1.5', '0.1235')
    """
    grains = value * 255
    if 0 < grains < 128 and abs(grains - round(grains)) < 1e-6 and round(grains) % 51:
        return f"{round(grains)}/255"
    return f"{value:.4g}"


def signed(value: float) -> str:
    """A number with its sign and three digits.

    >>> signed(-0.12345), signed(3.0)
    ('−0.123', '+3')
    """
    return f"{value:+.3g}".replace("-", "−")


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(0.42), duration(42), duration(250), duration(7300)
    ('0.4 s', '42 s', '4 min 10 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
