"""How errors of other people's code are told."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """What an error says, on one line.

    >>> first_line(ValueError("no such\\nlayer\\n\\nand much more"))
    'no such layer'
    """
    return " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
