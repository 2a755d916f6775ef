"""An attack as it is written in a plan: ``square`` or ``square(steps=1000)``."""

from __future__ import annotations

import ast
import dataclasses as dc
from typing import Any

from saddlepoint.errors import OptionError

EXAMPLE = "square or square(steps=1000)"


@dc.dataclass(frozen=True)
class Entry:
    """The name of a recipe and the options that differ from its defaults."""

    name: str
    options: dict[str, Any]


def parse(text: str) -> Entry:
    """The entry written as ``text``. Nothing is evaluated but literals, and a fraction such as 8/255.

    Raises:
        OptionError: it is not of the form ``name`` or ``name(option=value, ...)``.

    >>> parse("pgd(steps=20, objective=margin, relative_step=1/4)")
    Entry(name='pgd', options={'steps': 20, 'objective': 'margin', 'relative_step': 0.25})
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise _unreadable(text) from None
    if isinstance(tree, ast.Name):
        return Entry(tree.id, {})
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise _unreadable(text)
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise OptionError(f"options are named: write {tree.func.id}(option=value), not {text!r}")
    return Entry(tree.func.id, {str(k.arg): _value(k.value, text) for k in tree.keywords})


def _value(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = _value(node.left, text), _value(node.right, text)
        if isinstance(above, (int, float)) and isinstance(below, (int, float)) and below:
            return above / below
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise _unreadable(text) from None


def _unreadable(text: str) -> OptionError:
    return OptionError(f"{text!r} is no attack: write {EXAMPLE}")
