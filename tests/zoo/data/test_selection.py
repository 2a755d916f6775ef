from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saddlepoint.errors import DataError
from saddlepoint.zoo.data.selection import Ids, Span, Stratified, parse


@dataclass(frozen=True)
class Set:
    y: Ids

    @property
    def count(self) -> int:
        return len(self.y)

    def labels(self, ids: Ids) -> Ids:
        return self.y[ids]


def uneven(*counts: int) -> Set:
    y = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    return Set(np.random.default_rng(0).permutation(y))


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (":3", [0, 1, 2]),
        ("4:6", [4, 5]),
        ("::4", [0, 4, 8]),
        ("-2:", [8, 9]),
        ("1:8:3", [1, 4, 7]),
        ("::-5", [9, 4]),
        (":", list(range(10))),
        (" 2 : 4 ", [2, 3]),
    ],
)
def test_a_slice_means_what_it_means_in_python(inside: str, expected: list[int]) -> None:
    assert parse(inside).ids(uneven(4, 6)).tolist() == expected


@pytest.mark.parametrize("inside", ["5", "", "a:b", "1:2:3:4", "sample:10", "sample:-1:0", "sample:5:x", "1.5:2"])
def test_what_is_no_selection_is_refused_with_the_grammar(inside: str) -> None:
    with pytest.raises(DataError, match=r"is no selection: write NAME, NAME\[:1000\]"):
        parse(inside)


def test_step_zero_is_refused() -> None:
    with pytest.raises(DataError, match="step 0"):
        parse("::0")


@pytest.mark.parametrize("inside", [":11", "11:", "-11:", "0:20:2"])
def test_a_slice_beyond_the_set_is_refused_instead_of_cut(inside: str) -> None:
    with pytest.raises(DataError, match=r"the set has 10 samples"):
        parse(inside).ids(uneven(4, 6))


def test_an_empty_slice_is_refused() -> None:
    with pytest.raises(DataError, match=r"\[5:5\] picks no sample out of 10"):
        parse("5:5").ids(uneven(4, 6))


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 2**63),
)
def test_a_sample_has_the_asked_size_and_the_proportions_of_the_set(counts: list[int], share: float, seed: int) -> None:
    source = uneven(*counts)
    size = max(1, int(share * source.count))
    ids = Stratified(size, seed).ids(source)
    assert len(ids) == size == len(set(ids.tolist()))
    assert (np.diff(ids) > 0).all()
    got = np.bincount(source.y[ids], minlength=len(counts))
    assert (np.abs(got - size * np.array(counts) / sum(counts)) < 1).all()


def test_a_sample_depends_on_its_seed_and_on_nothing_else() -> None:
    source = uneven(50, 30, 20)
    np.random.seed(1)
    first = Stratified(20, seed=3).ids(source)
    np.random.seed(2)
    assert (first == Stratified(20, seed=3).ids(source)).all()
    assert (first != Stratified(20, seed=4).ids(source)).any()


def test_a_sample_is_the_same_for_ever() -> None:
    y = np.arange(20, dtype=np.int64) % 2
    assert Stratified(6, seed=0).ids(Set(y)).tolist() == [1, 4, 5, 13, 16, 18]


def test_every_sample_of_a_class_is_drawn_equally_often() -> None:
    source = uneven(10, 10)
    drawn = np.zeros(20)
    for seed in range(2000):
        drawn[Stratified(10, seed).ids(source)] += 1
    # n = 2000 draws at p = 1/2: five standard deviations are 112.
    assert (np.abs(drawn - 1000) < 112).all()


@pytest.mark.parametrize("size", [0, 11])
def test_a_sample_larger_than_the_set_or_empty_is_refused(size: int) -> None:
    with pytest.raises(DataError, match=f"a sample of {size} cannot be drawn from a set of 10"):
        Stratified(size, 0).ids(uneven(4, 6))


def test_selections_print_as_they_are_written() -> None:
    assert [str(parse(text)) for text in (":1000", "1::7", "sample:5:2")] == ["[:1000]", "[1::7]", "[sample:5:2]"]
    assert Span() == parse(":")
