"""Mails that spam filters let through: a line, a smooth surface and a forest of scikit-learn.

    python examples/spam_filter.py [--radius 0.02] [--mails 200]

Each filter sees 57 numbers of a mail (how often "free", "!", "$" and so on occur), and learns from 3000 mails. Attacked
are mails that it calls spam: each number may move by a share of the largest among the mails it learned from. The first
two filters have slopes; the forest is asked for the share of its trees that say spam, 300 times for each mail.
"""

from __future__ import annotations

import argparse

import real
import torch
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import saddlepoint as sp

TRAIN = 3000


def filters() -> dict[str, ClassifierMixin]:
    """The three, untrained."""
    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "support vectors": make_pipeline(StandardScaler(), SVC()),
        "forest": RandomForestClassifier(100, random_state=0),
    }


def main() -> None:
    """Train, attack and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--radius", type=float, default=0.02, help="of the Linf ball, as a share of each number's range"
    )
    parser.add_argument("--mails", type=int, default=200, help="spam mails attacked")
    args = parser.parse_args()
    x, y = real.mails()
    x = x.log1p()
    x = (x / x[:TRAIN].amax(0)).clamp(0, 1)
    for name, estimator in filters().items():
        estimator.fit(x[:TRAIN].numpy(), y[:TRAIN].numpy())
        model = sp.from_estimator(estimator)
        right = estimator.predict(x[TRAIN:].numpy()) == y[TRAIN:].numpy()
        spam = x[TRAIN:][torch.from_numpy(right) & (y[TRAIN:] == 1)][: args.mails]
        labels = torch.ones(len(spam), dtype=torch.long)
        if name == "forest":
            result = sp.attacks.square(model, spam, labels, sp.Linf(args.radius), steps=300)
        else:
            result = sp.attacks.pgd(model, spam, labels, sp.Linf(args.radius))
        through = int(result.met.sum())
        print(f"{name}: {right.mean():.1%} of mails right; {through} of {len(spam)} spam mails let through")


if __name__ == "__main__":
    main()
