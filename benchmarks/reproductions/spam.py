"""What was found of spam filters before there were deep networks, on the mails of Spambase.

    python benchmarks/reproductions/spam.py
    python benchmarks/reproductions/spam.py --picture  # docs/images/spam.svg

Needs what examples/requirements.txt names. Prints rows for README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

from curves import Panel, draw
from measure import provenance
from real import mails

import saddlepoint as sp
from saddlepoint.attacks.run import ask_labels
from saddlepoint.tasks.spam import Aware, NaiveBayes, Spammer, good_words, race, utility

KNOWN = 3000
WORDS = (1, 2, 3, 5, 10)
PICTURE = Path(__file__).parents[2] / "docs/images/spam.svg"


def main() -> None:
    """All parts, one after the other, or the picture of the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", action="store_true")
    x, y = mails()
    x = (x[:, :54] > 0).float()
    known, apart = (x[:KNOWN], y[:KNOWN]), (x[KNOWN:], y[KNOWN:])
    if parser.parse_args().picture:
        return picture(known, apart)
    print(provenance(len(apart[0])))
    insertions(known, apart)
    limited(known, apart)
    words(known, apart)
    game(known, apart)
    rounds(known, apart)
    return None


def insertions(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """Spam let through over the number of words put in, for filters of four kinds."""
    print("\n| filter | stopped |", " | ".join(f"{k} words" for k in WORDS), "|")
    for name, found in inserted(known, apart):
        cells = [_told(found.met & (found.size <= k)) for k in WORDS]
        print(f"| {name} | {len(found)} |", " | ".join(cells), "|", flush=True)


def inserted(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> Iterator[tuple[str, sp.Result]]:
    """Up to ten words put into all spam that is stopped, by filters of four kinds."""
    for name, estimator in {
        "logistic regression": LogisticRegression(max_iter=1000),
        "SVM, linear": SVC(kernel="linear"),
        "SVM, Gaussian": SVC(),
        "forest": RandomForestClassifier(100, random_state=0),
    }.items():
        model, spam = _stopped(estimator, known, apart)
        attack = "try_insertions" if name == "forest" else "insert"
        ones = torch.ones(len(spam), dtype=torch.long)
        yield name, sp.attacks.get(attack)(model, spam, ones, sp.Insertions(10.0))


def picture(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """The share let through over the number of words."""
    lines = {
        name: [(float(k), 100 * float((found.met & (found.size <= k)).double().mean())) for k in range(1, 11)]
        for name, found in inserted(known, apart)
    }
    PICTURE.write_text(draw([Panel("percent of spam let through, over words put in", lines, level=True)]))


def limited(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """What is made against a filter that learned from 100 other mails, on the one that is meant."""
    print("\n| target | made against | density 0 | 10 | 100 |")
    rows = torch.arange(KNOWN - 100, KNOWN)
    for name, estimator in {"SVM, linear": SVC(kernel="linear"), "SVM, Gaussian": SVC()}.items():
        target, spam = _stopped(estimator, (known[0][:-100], known[1][:-100]), apart)
        asked = torch.as_tensor(estimator.predict(known[0][rows].numpy()))
        weak = type(estimator)(**estimator.get_params()).fit(known[0][rows].numpy(), asked.numpy())
        for against, model in (("itself", target), ("100 mails", _filter(weak))):
            cells = []
            for weight in (0.0, 10.0, 100.0):
                benign = known[0][:-100][known[1][:-100] == 0]
                made = sp.attacks.mimicry(
                    model, spam, torch.ones(len(spam), dtype=torch.long), sp.Insertions(5.0), benign=benign,
                    weight=weight, steps=20,
                )  # fmt: skip
                cells.append(_told(torch.from_numpy(estimator.predict(made.x_adv.numpy()) == 0)))
            print(f"| {name} | {against} |", " | ".join(cells), "|", flush=True)


def words(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """Words found by sending mails, and how many of them spam needs."""
    model, spam = _stopped(LogisticRegression(max_iter=1000), known, apart)
    ham = apart[0][(apart[1] == 0)]
    ham = ham[ask_labels(sp.wrap(model), ham)[0] == 0]
    needed, queries = [], []
    for pair in range(20):
        found = good_words(model, spam[pair], ham[pair])
        count = found.needed(model, spam)
        needed.append([float(((count >= 0) & (count <= k)).double().mean()) for k in WORDS])
        queries.append(found.queries)
    print(f"\ngood words, 20 pairs of mails, {np.mean(queries):.0f} mails sent on average (most: {max(queries)})")
    print("| let through |", " | ".join(_mean(shares, "{:.1%}") for shares in np.array(needed).T), "|")


def game(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """Utility of the naive and of the aware filter; a good mail lost counts 10."""
    (x, y), (mail, truth) = known, apart
    naive, bar = NaiveBayes.fit(x, y), float(np.log(10 / 2))
    print("\n| words worth paying | naive, honest mails | naive, attacked | aware, attacked | aware, honest mails |")
    for gain in (2, 5, 10):
        spammer = Spammer(naive, torch.ones(mail.shape[1]), gain=gain + 0.5, threshold=bar)
        sent = torch.where((truth == 1)[:, None], spammer.camouflage(mail), mail)
        aware = Aware(spammer)
        cells = [(naive, mail), (naive, sent), (aware, sent), (aware, mail)]
        print(f"| {gain} |", " | ".join(_used(f.odds(m) > bar, truth) for f, m in cells), "|", flush=True)


def rounds(known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]) -> None:
    """A filter that learns from what got past it."""
    print("\n| round | caught | caught of the last round | caught now | words | false alarms |")
    spam = int((apart[1] == 1).sum())
    good = len(apart[1]) - spam
    for number, one in enumerate(race(_logistic, known, apart, radius=5, rounds=6, false_alarms=0.05), 1):
        caught = [_share(share, spam) for share in (one.caught, one.caught_before, one.caught_now)]
        print(
            f"| {number} |", " | ".join(caught), f"| {one.words:.1f} | {_share(one.false_alarms, good)} |", flush=True
        )


def _told(through: Tensor) -> str:
    """The share that is let through, with its exact 95 % interval."""
    return _counted(int(through.sum()), len(through))


def _share(share: float, n: int) -> str:
    """A share of n that is told as such, with its interval; nothing where there was none."""
    return "" if np.isnan(share) else _counted(round(share * n), n)


def _counted(hits: int, n: int) -> str:
    one = sp.auditing.Estimate.of(hits, n)
    return f"{one.value:.1%} [{one.low:.1%}, {one.high:.1%}]"


def _used(called: Tensor, truth: Tensor) -> str:
    """The mean utility over mails."""
    return _mean(np.array([utility(one, y) for one, y in zip(called[:, None], truth[:, None], strict=True)]), "{:.3f}")


def _mean(values: np.ndarray, form: str) -> str:
    """The mean, with a 95 % interval by 10 000 draws with replacement."""
    drawn = np.random.default_rng(0).choice(values, (10_000, len(values))).mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{form.format(values.mean())} [{form.format(low)}, {form.format(high)}]"


def _filter(estimator: ClassifierMixin) -> nn.Module:
    return sp.from_estimator(estimator)


def _stopped(
    estimator: ClassifierMixin, known: tuple[Tensor, Tensor], apart: tuple[Tensor, Tensor]
) -> tuple[nn.Module, Tensor]:
    """The trained filter, and the spam it stops."""
    estimator.fit(known[0].numpy(), known[1].numpy())
    spam = apart[0][apart[1] == 1]
    return _filter(estimator), spam[torch.from_numpy(estimator.predict(spam.numpy()) == 1)]


def _logistic(x: Tensor, y: Tensor) -> nn.Module:
    fitted = LogisticRegression(max_iter=1000).fit(x.numpy(), y.numpy())
    network = nn.Linear(x.shape[1], 2).requires_grad_(False)
    network.weight.copy_(torch.stack([torch.zeros(x.shape[1]), torch.from_numpy(fitted.coef_[0])]))
    network.bias.copy_(torch.tensor([0.0, float(fitted.intercept_[0])]))
    return network


if __name__ == "__main__":
    main()
