"""What the commands print on stdout: tables that read well on a terminal and as plain text."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 10_000
"""Where stdout is no terminal, nothing is wrapped: one line is one entry."""


def stdout() -> Console:
    """The console for results."""
    return Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> Table:
    """Rows below a header, the columns ``right`` aligned to the right, no more lines than needed."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(header))
    for i, name in enumerate(header):
        made.add_column(name, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))  # markup in names stays text
    return made


def show(*parts: Table | str) -> None:
    """Print tables and lines on stdout."""
    console = stdout()
    for part in parts:
        console.print(part, markup=False, highlight=False, soft_wrap=isinstance(part, str))
