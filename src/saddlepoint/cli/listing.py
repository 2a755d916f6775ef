"""``saddlepoint list``: what there is, one line each."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Literal

from rich.table import Table

from saddlepoint import attacks, sets
from saddlepoint.cli.tables import show, table
from saddlepoint.zoo import data, models, opening

Kind = Literal["attacks", "sets", "models", "data"]


def list_things(kind: Kind) -> None:
    """Print the table of that kind."""
    tables: dict[Kind, Callable[[], Table]] = {
        "attacks": _attacks,
        "sets": _sets,
        "models": lambda: _named(
            "model", {f"zoo:{name}": line for name, line in models.names().items()} | opening.FORMS
        ),
        "data": lambda: _named("data", data.names() | data.FORMS),
    }
    show(tables[kind]())


def _attacks() -> Table:
    rows = [
        (
            name,
            r.access.kind,
            "smallest" if r.minimal else "within radius",
            _where(r.sets),
            plain(r.summary),
            r.paper,
        )
        for name, r in sorted(attacks.catalog().items())
    ]
    return table(("attack", "needs", "looks for", "sets", "what it does", "reference"), rows)


def _where(known: Collection[type[sets.Neighborhood]]) -> str:
    """The sets by name; those that are missing where they are fewer."""
    missing = [kind.__name__ for kind in sets.kinds().values() if kind not in known]
    if len(missing) < len(known):
        return f"all but {' '.join(missing)}" if missing else "all"
    return " ".join(kind.__name__ for kind in known)


def _sets() -> Table:
    rows = [
        (f"{name}:RADIUS", f"sp.{kind.__name__}(radius)", plain((inspect.getdoc(kind) or "").partition("\n")[0]))
        for name, kind in sets.kinds().items()
    ]
    return table(("set", "in Python", "what is allowed"), rows)


def _named(what: str, lines: dict[str, str]) -> Table:
    return table((what, "what it is"), list(lines.items()))


def describe(name: str) -> None:
    """Print what one attack is and which options it takes. Raises OptionError for an unknown name."""
    recipe = attacks.get(name)
    signature = inspect.signature(recipe.build).parameters
    rows = [
        (f"--{option.replace('_', '-')}", str(signature[option].annotation), str(default))
        for option, default in recipe.options.items()
    ]
    sets_words = ", ".join(s.__name__ for s in recipe.sets)
    aim = "the smallest change" if recipe.minimal else "a change within the radius"
    show(
        f"{name} looks for {aim}; needs {recipe.access.kind}; works in {sets_words}.",
        "",
        plain(inspect.getdoc(recipe.build) or ""),
        "",
        table(("option", "takes", "default"), rows),
        "",
        recipe.paper,
    )


def plain(text: str) -> str:
    """A docstring without the marks of its markup.

    >>> plain("at most ``radius`` entries")
    'at most radius entries'
    """
    return text.replace("``", "")
