"""How errors of other people's code are told."""

from __future__ import annotations

SCRIPTED = "The following operation failed in the TorchScript interpreter"
"""What an error inside of a TorchScript archive begins with; its cause stands at the end."""
LONGEST = 300
"""Letters of other people's errors that are told, at most."""


def first_line(error: BaseException) -> str:
    """What an error says, on one line.

    >>> first_line(ValueError("no such\\nlayer\\n\\nand much more"))
    'no such layer'
    """
    said = str(error).strip()
    told = said.splitlines()[-1] if said.startswith(SCRIPTED) else said.split("\n\n")[0]
    line = " ".join(told.split()) or type(error).__name__
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."
