from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import pytest

from saddlepoint import attacks
from saddlepoint.cli.values import convert, number, numbers, split_attacks
from saddlepoint.errors import OptionError


def build(
    threat: object,
    steps: int = 1,
    rate: float | None = None,
    way: Literal["up", "down"] = "up",
    greedy: bool = False,
    note: str = "",
    sizes: Sequence[float] = (),
    hook: Callable[[], None] | None = None,
    mixed: int | str = 0,
) -> None:
    """A recipe with an option of every kind."""


def converted(**given: str) -> dict[str, object]:
    return convert(given, build, "toy", ("data", "threat"))


@pytest.mark.parametrize(
    ("option", "word", "value"),
    [
        ("steps", "40", 40),
        ("steps", "-4", -4),
        ("rate", "8/255", 8 / 255),
        ("rate", "1e-3", 1e-3),
        ("rate", "none", None),
        ("way", "down", "down"),
        ("greedy", "Yes", True),
        ("greedy", "off", False),
        ("note", "1", "1"),
        ("sizes", "0.1,1/4", (0.1, 0.25)),
        ("mixed", "3", 3),
        ("mixed", "three", "three"),
    ],
)
def test_words_become_the_values_that_options_ask_for(option, word, value):
    found = converted(**{option: word})[option]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("option", "word", "message"),
    [
        ("steps", "4.5", r"--steps: a whole number is expected, got '4\.5'"),
        ("steps", "none", "--steps: a whole number"),
        ("rate", "fast", "--rate: 'fast' is no number"),
        ("rate", "1/0", "--rate: '1/0' is no number"),
        ("rate", "nan", "--rate: 'nan' is no number"),
        ("way", "dwn", r"--way: 'dwn' is none of up, down \(did you mean down\?\)"),
        ("greedy", "maybe", "--greedy: true or false is expected"),
        ("sizes", "0.1,x", "--sizes: 'x' is no number"),
        ("hook", "print", "cannot be given on the command line; use Python"),
    ],
)
def test_words_of_the_wrong_kind_are_refused(option, word, message):
    with pytest.raises(OptionError, match=message):
        converted(**{option: word})


@pytest.mark.parametrize(("given", "meant"), [("stesp", "--steps"), ("thret", "--threat"), ("dta", "--data")])
def test_unknown_options_are_met_with_the_nearest_one(given, meant):
    with pytest.raises(OptionError, match=rf"toy has no option --{given} \(did you mean {meant}\?\)"):
        converted(**{given: "1"})


def test_unknown_options_without_a_neighbor_are_met_with_all():
    with pytest.raises(OptionError, match="its options: --steps, --rate, --way"):
        converted(xyzzy="1")


@pytest.mark.parametrize("name", sorted(attacks.catalog()))
def test_every_default_of_every_attack_survives_the_way_over_words(name):
    recipe = attacks.get(name)
    given = {k: str(v) for k, v in recipe.options.items() if v is None or isinstance(v, (int, float, str))}
    found = convert(given, recipe.build, name, ())
    assert found == {k: recipe.options[k] for k in given}
    assert [type(v) for v in found.values()] == [type(recipe.options[k]) for k in given]


def test_attacks_are_split_outside_of_parentheses():
    assert split_attacks(["pgd , square(queries=10,p=0.1)", "fab(x=(1,2))"]) == [
        "pgd",
        "square(queries=10,p=0.1)",
        "fab(x=(1,2))",
    ]


@pytest.mark.parametrize("words", ["pgd(", "pgd)", "a(b))(c", "pgd,,fab", "pgd,", ""])
def test_lists_that_do_not_make_sense_are_refused(words):
    with pytest.raises(OptionError, match="--attacks"):
        split_attacks([words])


def test_numbers_are_counted_and_named():
    assert numbers("-1, 1", "--bounds", 2) == (-1.0, 1.0)
    with pytest.raises(OptionError, match="--bounds takes 2 numbers"):
        numbers("1", "--bounds", 2)
    with pytest.raises(OptionError, match="--mean: 'a' is no number"):
        numbers("0.5,a", "--mean")


def test_infinity_is_a_number():
    assert number("inf") == float("inf")
