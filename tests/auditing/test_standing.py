from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from saddlepoint.auditing.standing import SAMPLED, SENTINELS, Standing


def spec(*threats: tuple[str, str, float | list[float] | None], dtype: str = "float64") -> dict[str, Any]:
    known = [{"label": label, "family": family, "radius": radius} for label, family, radius in threats]
    curves = [one for one in known if one["radius"] is None]
    return {"data": {"n": 4, "dtype": dtype}, "threats": [one for one in known if one not in curves], "curves": curves}


def learned(standing: Standing, label: str, sizes: list[float]) -> None:
    size = np.array(sizes)
    standing.learn(label, np.arange(4), np.isfinite(size), np.where(np.isfinite(size), size, 0.0))


@pytest.fixture
def two() -> Standing:
    standing = Standing(spec(("linf:0.1", "linf", 0.1), ("linf:0.2", "linf", 0.2), ("linf:inf", "linf", None)))
    standing.learn("none", np.arange(4), np.array([True, False, False, False]), np.zeros(4))
    return standing


def test_the_wrong_are_broken_at_size_zero(two: Standing) -> None:
    assert two.distance("linf:0.1").tolist() == [0, np.inf, np.inf, np.inf]
    assert two.broken("linf:0.1").tolist() == [True, False, False, False]
    assert two.rows("all", "none").tolist() == [0, 1, 2, 3]
    assert two.rows("right", "linf:0.1").tolist() == [1, 2, 3]


def test_what_breaks_a_small_radius_breaks_a_large_one_not_the_reverse(two: Standing) -> None:
    learned(two, "linf:0.1", [np.inf, 0.1, np.inf, np.inf])
    assert two.rows("standing", "linf:0.2").tolist() == [2, 3]
    learned(two, "linf:0.2", [np.inf, np.inf, 0.15, np.inf])
    assert two.rows("standing", "linf:0.1").tolist() == [2, 3]
    assert two.rows("standing", "linf:0.2").tolist() == [3]
    learned(two, "linf:inf", [np.inf, np.inf, 0.05, 0.7])
    assert two.distance("linf:0.2").tolist() == [0, 0.1, 0.05, 0.7]
    assert two.broken("linf:0.1").tolist() == [True, True, True, False]
    assert two.broken("linf:inf").all()


def test_a_larger_success_does_not_undo_a_smaller(two: Standing) -> None:
    learned(two, "linf:0.1", [np.inf, 0.03, np.inf, np.inf])
    learned(two, "linf:0.2", [np.inf, 0.2, np.inf, np.inf])
    assert two.distance("linf:0.1")[1] == 0.03


def test_other_sets_are_not_compared() -> None:
    standing = Standing(spec(("linf:0.1", "linf", 0.1), ("l2:1", "l2", 1.0), ("linf:0.1 m", "linf mask", 0.1)))
    learned(standing, "linf:0.1", [0.05] * 4)
    assert standing.broken("linf:0.1").all()
    assert not standing.broken("l2:1").any()
    assert not standing.broken("linf:0.1 m").any()
    assert standing.akin("linf:0.1", "linf:0.1")
    assert not standing.akin("linf:0.1", "l2:1")
    assert not standing.akin("none", "l2:1")


@pytest.mark.parametrize(("dtype", "over"), [("float64", 1e-6), ("float32", 7e-6)])
def test_a_radius_is_met_up_to_rounding_only(dtype: str, over: float) -> None:
    standing = Standing(spec(("linf:0.1", "linf", 0.1), dtype=dtype))
    learned(standing, "linf:0.1", [0.1, 0.1 * (1 + 0.9 * over), 0.1 * (1 + 1.3 * over), 0.2])
    assert standing.broken("linf:0.1").tolist() == [True, True, False, False]


def test_each_sample_may_have_its_own_radius() -> None:
    standing = Standing(spec(("each", "linf", [0.1, 0.2, 0.3, 0.4])))
    learned(standing, "each", [0.25] * 4)
    assert standing.broken("each").tolist() == [False, False, True, True]


def test_sentinels_are_spread_over_those_who_stand_and_one_that_falls_puts_all_in_doubt() -> None:
    standing = Standing({**spec(("linf:0.1", "linf", 0.1)), "data": {"n": 2000, "dtype": "float32"}})
    standing.learn("none", np.arange(2000), np.arange(2000) % 2 == 0, np.zeros(2000))
    chosen = standing.rows("sentinels", "linf:0.1")
    assert len(chosen) == len(set(chosen.tolist())) == SENTINELS
    assert (chosen % 2 == 1).all()
    assert int(np.diff(chosen).max()) <= 2 * (999 // (SENTINELS - 1) + 1)
    held = np.zeros(SENTINELS, dtype=np.bool_)
    standing.learn("linf:0.1", chosen, held, np.zeros(SENTINELS), "sentinels")
    assert not len(standing.rows("doubted", "linf:0.1"))
    fell = held.copy()
    fell[3] = True
    standing.learn("linf:0.1", chosen, fell, np.full(SENTINELS, 0.2), "sentinels")
    assert not len(standing.rows("doubted", "linf:0.1")), "what is outside of the radius says nothing"
    standing.learn("linf:0.1", chosen, fell, np.full(SENTINELS, 0.1), "sentinels")
    assert standing.rows("doubted", "linf:0.1").tolist() == [i for i in range(1, 2000, 2) if i != chosen[3]]
    assert standing.doubted == {"linf:0.1": 1}


def test_the_closest_are_those_of_the_best_margin_and_one_that_falls_presses_on() -> None:
    standing = Standing({**spec(("linf:0.1", "linf", 0.1)), "data": {"n": 960, "dtype": "float32"}})
    everyone, label = np.arange(960), "linf:0.1"
    standing.learn("none", everyone, np.zeros(960, dtype=np.bool_), np.zeros(960))
    held, margins = np.zeros(960, dtype=np.bool_), -np.roll(np.arange(960.0), 100)
    standing.learn(label, everyone, held, np.zeros(960), "standing", margins)
    standing.learn(label, everyone[:9], held[:9], np.zeros(9), "sentinels", np.full(9, 5.0))
    closest = standing.rows("closest", label)
    assert closest.tolist() == list(range(100, 140)), "other stages may look at other objectives"
    assert standing.rows("nearest", label).tolist() == closest[:15].tolist()
    standing.learn(label, closest[:1], np.ones(1, dtype=np.bool_), np.full(1, 0.1), "nearest")
    assert not len(standing.rows("pressed", label)), "slopes that break one more are no sign that they mislead"
    fell = np.arange(40) == 7
    assert standing.rows("nearest", label).tolist() == closest[1:15].tolist()
    standing.learn(label, closest, fell, np.full(40, 0.2), "closest")
    assert not len(standing.rows("pressed", label)), "what is outside of the radius says nothing"
    standing.learn(label, closest, fell, np.full(40, 0.1), "closest")
    assert not len(standing.rows("nearest", label)), "more queries press on, not more steps"
    assert standing.rows("pressed", label).tolist() == [i for i in range(101, 149) if i != 107]
    standing.learn(label, everyone[:1], fell[7:8], np.full(1, 0.1), "sentinels")
    assert not len(standing.rows("nearest", label)), "all are in doubt"
    assert not len(standing.rows("closest", label)), "all are in doubt"
    assert not len(standing.rows("pressed", label)), "all are in doubt"


def test_some_of_the_right_are_picked_evenly_whatever_broke_them() -> None:
    standing = Standing({**spec(("linf:0.1", "linf", 0.1)), "data": {"n": 960, "dtype": "float32"}})
    everyone = np.arange(960)
    standing.learn("none", everyone, everyone % 2 == 0, np.zeros(960))
    chosen = standing.rows("sampled", "linf:0.1")
    assert len(chosen) == 480 // SAMPLED
    assert (chosen % 2 == 1).all()
    standing.learn("linf:0.1", everyone, np.ones(960, dtype=np.bool_), np.full(960, 0.1))
    assert standing.rows("sampled", "linf:0.1").tolist() == chosen.tolist()


def test_where_few_stand_all_are_close(two: Standing) -> None:
    assert two.rows("closest", "linf:0.1").tolist() == two.rows("standing", "linf:0.1").tolist()
    assert not len(two.rows("nearest", "linf:0.1"))
    assert not len(two.rows("sampled", "linf:0.1"))


def test_where_few_stand_all_are_sentinels(two: Standing) -> None:
    assert two.rows("sentinels", "linf:0.1").tolist() == two.rows("standing", "linf:0.1").tolist()


@pytest.mark.parametrize(("standing", "asked"), [(3, 3), (100, 16), (200, 25), (10_000, 48)])
def test_sentinels_are_an_eighth_within_limits(standing: int, asked: int) -> None:
    made = Standing({**spec(("linf:0.1", "linf", 0.1)), "data": {"n": standing, "dtype": "float32"}})
    assert len(made.rows("sentinels", "linf:0.1")) == asked
