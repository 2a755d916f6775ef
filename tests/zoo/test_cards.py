from __future__ import annotations

import json

import pytest

from saddlepoint.errors import ModelError
from saddlepoint.zoo.cards import Card, Measured, Recipe, loads

CARD = Card(
    name="some",
    data="fashion-mnist-train",
    parameters=10,
    recipe=Recipe("conv", "a note", "linf", 0.1, 5, 0.03, epochs=3),
    measured=(Measured("clean", "fashion-mnist[:1000]", 1000, 90.5), Measured("pgd-20 linf:0.1", "x", 10, 1.0)),
    sha256="0" * 64,
    date="2020-01-31",
    made_with="a command",
)


def test_a_card_survives_the_way_through_json() -> None:
    assert loads(CARD.dumps()) == CARD
    assert json.loads(CARD.dumps())["recipe"]["radius"] == 0.1


def test_the_first_measurement_is_the_clean_one() -> None:
    assert CARD.clean.accuracy == 90.5


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", CARD.dumps()[:-5], CARD.dumps().replace('"radius"', '"radios"'), CARD.dumps().replace("n", "m")],
)
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="no model card"):
        loads(text)
