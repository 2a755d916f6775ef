"""The spammer and the filter that knows him, against all mails there are."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from saddlepoint.errors import DataError, OptionError
from saddlepoint.tasks.spam import Aware, NaiveBayes, Spammer, utility

D = 7
ALL = torch.tensor(list(itertools.product((0, 1), repeat=D)))


def bayes(seed: int) -> NaiveBayes:
    g = torch.Generator().manual_seed(seed)
    return NaiveBayes(0.05 + 0.9 * torch.rand(2, D, generator=g, dtype=torch.float64), 0.4)


def cheapest(spammer: Spammer, mail: Tensor) -> float:
    """The least a way past the filter costs, by trying them all; infinite if there is none."""
    ways = ALL[(mail <= ALL).all(1)] if spammer.adding else ALL
    changed = mail != ways
    passing = spammer.against.odds(ways) <= spammer.threshold
    costs = torch.where(changed, spammer.costs, 0.0).sum(1)[passing]
    return float(costs.min()) if len(costs) else math.inf


@pytest.mark.parametrize("adding", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_no_way_past_the_filter_is_cheaper(seed: int, adding: bool) -> None:
    g = torch.Generator().manual_seed(seed)
    costs = 0.5 + torch.rand(D, generator=g, dtype=torch.float64)
    costs[seed % D] = torch.inf
    spammer = Spammer(bayes(seed), costs, gain=3.0, adding=adding, cells=200_000)
    made = spammer.camouflage(ALL)
    for mail, sent in zip(ALL, made, strict=True):
        least = cheapest(spammer, mail)
        paid = float(torch.where(mail != sent, costs, 0.0).sum())
        caught = float(spammer.against.odds(mail[None])) > 0
        if caught and least < 3.0:
            assert float(spammer.against.odds(sent[None])) <= 0
            assert paid == pytest.approx(least)
        else:
            assert paid == 0


def test_a_coarse_grid_pays_little_more_and_is_still_let_through() -> None:
    costs = 0.5 + torch.rand(D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fine, coarse = (Spammer(bayes(2), costs, gain=9.0, cells=cells).camouflage(ALL) for cells in (200_000, 60))
    changed = (coarse != ALL).any(1)
    assert bool((bayes(2).odds(coarse[changed]) <= 0).all())
    paid = [float((costs * (made != ALL)).sum()) for made in (fine, coarse)]
    assert paid[0] <= paid[1] <= 1.1 * paid[0]


@pytest.mark.parametrize("adding", [True, False])
@pytest.mark.parametrize("gain", [1.5, 2.5, 10.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_aware_filter_counts_every_mail_behind_the_one_it_sees(seed: int, gain: float, adding: bool) -> None:
    spammer = Spammer(bayes(seed), torch.ones(D), gain=gain, adding=adding)
    sent = spammer.camouflage(ALL)
    chance = spammer.against.likelihood(ALL)[:, 1].exp()
    behind = torch.stack([chance[(sent == mail).all(1)].sum() for mail in ALL])
    good = spammer.against.likelihood(ALL)[:, 0]
    expected = math.log(0.4 / 0.6) + behind.log() - good
    torch.testing.assert_close(Aware(spammer).odds(ALL), expected)
    torch.testing.assert_close(behind.sum(), torch.tensor(1.0).double())


def test_where_nothing_can_be_changed_the_aware_filter_is_the_naive_one() -> None:
    naive = bayes(1)
    aware = Aware(Spammer(naive, torch.full((D,), torch.inf), gain=9.0))
    torch.testing.assert_close(aware.odds(ALL), naive.odds(ALL))


@pytest.mark.parametrize("seed", range(5))
def test_against_the_best_spammer_knowing_him_is_worth_it(seed: int) -> None:
    """In expectation over all mails, so without any chance."""
    naive = bayes(seed)
    spammer = Spammer(naive, torch.ones(D), gain=3.5)
    sent = spammer.camouflage(ALL)
    chances = naive.likelihood(ALL).exp() * torch.tensor([0.6, 0.4])

    def worth(odds: Tensor, seen: Tensor) -> Tensor:
        called = odds > math.log(10)  # losing a good mail is ten times as bad
        where = (seen[:, None] == ALL[None]).all(2).double().argmax(1)
        good = torch.where(called, -10.0, 1.0) * chances[:, 0]
        spam = torch.where(called[where], 1.0, -1.0) * chances[:, 1]
        return good.sum() + spam.sum()

    assert float(worth(Aware(spammer).odds(ALL), sent)) >= float(worth(naive.odds(ALL), sent)) - 1e-9


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(OptionError, match="each word"):
        Spammer(bayes(0), torch.ones(3), gain=1.0)
    with pytest.raises(OptionError, match="cost the same"):
        Aware(Spammer(bayes(0), 1 + torch.arange(D), gain=1.0))
    with pytest.raises(DataError, match="zeros and ones"):
        NaiveBayes.fit(torch.rand(4, 3), torch.tensor([0, 1, 0, 1]))
    with pytest.raises(DataError, match="both must occur"):
        NaiveBayes.fit(torch.ones(4, 3), torch.ones(4))
    assert utility(torch.tensor([True, False, True]), torch.tensor([1, 1, 0])) == pytest.approx((1 - 1 - 10) / 3)
