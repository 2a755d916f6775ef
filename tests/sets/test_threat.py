"""Threats as they are written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saddlepoint.access import Box
from saddlepoint.errors import ThreatError
from saddlepoint.sets import L0, L1, L2, Linf, kinds, names, parse


def test_what_is_written_is_read() -> None:
    assert parse("linf:8/255") == Linf(8 / 255)
    assert parse("L2:0.5") == L2(0.5)
    assert parse(" l1 : 12 ") == L1(12.0)
    assert parse("L0:1e2") == L0(100.0)
    assert parse("linf:inf") == parse("LINF") == Linf(math.inf)
    assert parse("linf:8", Box(0, 255)) == Linf(8.0, box=Box(0, 255))


@given(name=st.sampled_from(names()), radius=st.floats(min_value=0))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_writing_and_reading_gives_the_same_radius(name: str, radius: float) -> None:
    made = parse(str(kinds()[name](radius)))
    assert made.radius == radius
    assert made.name == name


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    for spec in ("l7:1", "", ":1", "8/255"):
        with pytest.raises(ThreatError, match="known: linf, l2, l1, l0"):
            parse(spec)


@pytest.mark.parametrize("radius", ["", "a", "8/", "/255", "8/0", "1/2/3", "8:255", "0,1"])
def test_what_is_no_number_is_refused(radius: str) -> None:
    with pytest.raises(ThreatError, match=r"is no radius: write a number or a quotient, as in linf:8/255"):
        parse(f"linf:{radius}")


@pytest.mark.parametrize("radius", ["-1", "nan", "-8/255", "-inf"])
def test_impossible_radii_are_refused(radius: str) -> None:
    with pytest.raises(ThreatError, match="0 or more"):
        parse(f"l2:{radius}")
