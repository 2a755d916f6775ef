from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import saddlepoint as sp
from saddlepoint.auditing import compare
from saddlepoint.auditing.compare import _difference, _paired
from saddlepoint.errors import RunError

Make = Callable[..., Any]


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 0), (0, 6), (9, 3), (4, 4)])
def test_the_test_is_the_exact_sign_test(only_first: int, only_second: int) -> None:
    both, neither = 7, 5
    first = np.repeat([True, True, False, False], [both, only_first, only_second, neither])
    second = np.repeat([True, False, True, False], [both, only_first, only_second, neither])
    one = _paired("x", first, second)
    assert (one.only_first, one.only_second) == (only_first, only_second)
    assert (one.first.correct, one.second.correct) == (both + only_first, both + only_second)
    split = only_first + only_second
    assert one.p == pytest.approx(stats.binomtest(only_first, split).pvalue if split else 1.0)


@pytest.mark.parametrize(("lost", "won"), [(0.02, 0.02), (0.01, 0.06), (0.0, 0.1), (0.3, 0.2)])
def test_the_interval_of_the_difference_holds_the_truth_as_often_as_it_says(lost: float, won: float) -> None:
    n, draws = 200, np.random.default_rng(0).multinomial(200, [lost, won, 1 - lost - won], size=4000)
    ends = [_difference(int(a), int(b), n)[1:] for a, b, _ in draws]
    held = np.mean([low <= won - lost <= high for low, high in ends])
    assert 0.94 < held < 0.985
    assert np.mean([high - low for low, high in ends]) < 1.15 * 2 * 1.96 * np.sqrt((lost + won - (won - lost) ** 2) / n)


def test_the_interval_is_that_of_the_paper_and_stays_within_bounds() -> None:
    """By hand: (3 + 1) / 22 against (0 + 1) / 22, and everyone against no one."""
    middle, wide = 3 / 22, 1.959964 * np.sqrt((5 / 22 - (3 / 22) ** 2) / 22)
    assert _difference(0, 3, 20) == pytest.approx((3 / 20, middle - wide, middle + wide), abs=1e-6)
    assert _difference(0, 5, 5)[0] == 1.0
    assert _difference(0, 5, 5)[2] <= 1.0


def test_a_stronger_attack_leaves_fewer(quick: Make, tmp_path: Path) -> None:
    weak = quick(tmp_path / "weak", attacks=["fgsm"])
    strong = quick(tmp_path / "strong", attacks=["pgd(steps=10, restarts=3)"])
    clean, linf, l2 = compare(tmp_path / "weak", tmp_path / "strong")
    assert [one.name for one in (clean, linf, l2)] == ["clean", "linf:0.1", "l2:0.3"]
    assert (clean.only_first, clean.only_second, clean.p) == (0, 0, 1.0)
    for one, label in ((linf, "linf:0.1"), (l2, "l2:0.3")):
        assert one.first.value == weak.by_threat[label].robust.value
        assert one.second.value == strong.by_threat[label].robust.value
        assert one.only_first - one.only_second == one.first.correct - one.second.correct >= 0


def test_other_samples_other_threats_and_half_a_run_are_refused(quick: Make, samples: Make, tmp_path: Path) -> None:
    quick(tmp_path / "a")
    x, y = samples()
    quick(tmp_path / "b", x=x[:20], y=y[:20])
    with pytest.raises(RunError, match="need the same samples in the same order"):
        compare(tmp_path / "a", tmp_path / "b")
    quick(tmp_path / "c", threat=sp.Linf(0.05))
    with pytest.raises(RunError, match=r"no threat is in both runs: linf:0.1, l2:0.3 in .*, linf:0.05 in"):
        compare(tmp_path / "a", tmp_path / "c")
    next((tmp_path / "a").rglob("part-00001.parquet")).unlink()
    with pytest.raises(RunError, match=r"not complete|has not ended"):
        compare(tmp_path / "a", tmp_path / "c")
    with pytest.raises(RunError, match="holds no run"):
        compare(tmp_path / "nowhere", tmp_path / "c")
    assert torch.equal(x, samples()[0])
