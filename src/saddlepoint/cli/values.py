"""From words on the command line to the values that options take. Nothing is evaluated."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Union

from saddlepoint import sets, zoo
from saddlepoint.errors import OptionError, did_you_mean, nearest
from saddlepoint.sets import Features, Neighborhood

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def number(word: str) -> float:
    """A number as people write it: ``0.1``, ``1e-3``, ``8/255``, ``inf``.

    Raises:
        ValueError: it is none.

    >>> number("8/255") == 8 / 255
    True
    """
    top, slash, bottom = word.partition("/")
    try:
        if slash:
            return float(Fraction(top.strip()) / Fraction(bottom.strip()))
        value = float(word)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{word!r} is no number (write 0.1, 1e-3 or 8/255)") from error
    if math.isnan(value):
        raise ValueError(f"{word!r} is no number (write 0.1, 1e-3 or 8/255)")
    return value


def threat_of(words: str) -> Neighborhood:
    """A perturbation set with its radius; generators and networks in it are those of the zoo.

    >>> print(threat_of("perceptual(network=fashion-standard):0.5"))
    perceptual(network=fashion-standard):0.5
    """
    return sets.parse(words, generators=zoo.generator, networks=_features)


def _features(name: str) -> Features:
    return Features(zoo.load(name), name=name)


def numbers(words: str, option: str, count: int | None = None) -> tuple[float, ...]:
    """Numbers with commas between them; ``count`` of them if that is given.

    Raises:
        OptionError: a part that is no number, or another count.

    >>> numbers("0.485,0.456,0.406", "--mean")
    (0.485, 0.456, 0.406)
    """
    try:
        found = tuple(number(word) for word in words.split(","))
    except ValueError as error:
        raise OptionError(f"{option}: {error}") from error
    if count is not None and len(found) != count:
        raise OptionError(f"{option} takes {count} numbers with commas between them, got {words!r}")
    return found


def claim(word: str) -> tuple[str, float]:
    """Threat and share.

    >>> claim("linf:8/255=0.42")
    ('linf:8/255', 0.42)
    """
    threat, _, share = word.rpartition("=")
    try:
        return threat, number(share)
    except ValueError as error:
        raise OptionError(f"--known takes a threat and a share of all samples, linf:8/255=0.42: {error}") from error


def check_ending(out: Path | None, endings: Sequence[str], what: str) -> None:
    """Refuse a file whose name does not say how ``what`` is to be stored.

    Raises:
        OptionError: it ends in none of the ``endings``.

    >>> check_ending(Path("patch.png"), (".png", ".safetensors"), "a patch goes")
    """
    if out is not None and out.suffix not in endings:
        raise OptionError(f"--out {out}: {what} into a file that ends in {' or '.join(endings)}")


def split_attacks(words: Sequence[str], option: str = "--attacks") -> list[str]:
    """Attacks, or what is written like them, with commas between them; those inside of parentheses are left alone.

    Raises:
        OptionError: parentheses that do not match, or an empty place.

    >>> split_attacks(["apgd_ce,square(queries=100, restarts=2)", "fab"])
    ['apgd_ce', 'square(queries=100, restarts=2)', 'fab']
    """
    parts, depth = [""], 0
    for letter in ",".join(words):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth != 0:
        raise OptionError(f"{option} {','.join(words)}: the parentheses do not match")
    if not all(part.strip() for part in parts):
        raise OptionError(f"{option} {','.join(words)}: a name is missing between two commas")
    return [part.strip() for part in parts]


def convert(given: Mapping[str, str], build: Callable[..., Any], name: str, others: Sequence[str]) -> dict[str, Any]:
    """The words ``given`` for options of ``build``, each as the value its annotation asks for.

    Args:
        given: option -> word.
        build: the function that takes the options, after one positional argument.
        name: of the attack, for errors.
        others: options of the command itself, offered when a name is not known.

    Raises:
        OptionError: an option ``build`` does not take (with the nearest one), a word of the wrong kind.
    """
    hints = typing.get_type_hints(build)
    known = [option for option in hints if option != "return"][1:]
    return {
        option: _converted(word, hints[_known(option, known, name, others)], option) for option, word in given.items()
    }


def _known(option: str, known: Sequence[str], name: str, others: Sequence[str]) -> str:
    if option in known:
        return option
    near = nearest(option, [*known, *others])
    hint = f" (did you mean {_flag(near)}?)" if near else ""
    has = ", ".join(map(_flag, known)) or "none"
    raise OptionError(f"{name} has no option {_flag(option)}{hint}; its options: {has}")


def _converted(word: str, kind: Any, option: str) -> Any:
    try:
        return _value(word, kind)
    except ValueError as error:
        raise OptionError(f"{_flag(option)}: {error}") from error


def _value(word: str, kind: Any) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _first(word, inner)
    if origin is Literal:
        return _choice(word, inner)
    if origin in (tuple, list, Sequence):
        return tuple(_value(part, inner[0]) for part in word.split(","))
    readers: dict[Any, Callable[[str], Any]] = {int: _whole, float: number, bool: _truth, str: str}
    if kind not in readers:
        raise ValueError("cannot be given on the command line; use Python")
    return readers[kind](word)


def _first(word: str, kinds: tuple[Any, ...]) -> Any:
    """The value of the first kind that can read the word; the error of the last if none can."""
    if word.lower() == "none" and type(None) in kinds:
        return None
    *earlier, last = [kind for kind in kinds if kind is not type(None)]
    for kind in earlier:
        try:
            return _value(word, kind)
        except ValueError:
            continue
    return _value(word, last)


def _whole(word: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise ValueError(f"a whole number is expected, got {word!r}") from error


def _truth(word: str) -> bool:
    if word.lower() not in WORDS:
        raise ValueError(f"true or false is expected, got {word!r}")
    return WORDS[word.lower()]


def _choice(word: str, choices: tuple[Any, ...]) -> Any:
    by_word = {str(choice): choice for choice in choices}
    if word not in by_word:
        raise ValueError(f"{word!r} is none of {', '.join(by_word)}{did_you_mean(word, by_word)}")
    return by_word[word]


def _flag(option: str) -> str:
    return "--" + option.replace("_", "-")
