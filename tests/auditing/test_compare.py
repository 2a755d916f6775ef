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
from saddlepoint.auditing.compare import _paired
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
