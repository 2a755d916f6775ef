"""Mails that say whether a word occurs, and those who want them read: the first adversarial examples."""

from saddlepoint.tasks.spam.bayes import NaiveBayes
from saddlepoint.tasks.spam.camouflage import Aware, Spammer, utility
from saddlepoint.tasks.spam.good_words import GoodWords, good_words
from saddlepoint.tasks.spam.race import Round, race

__all__ = ["Aware", "GoodWords", "NaiveBayes", "Round", "Spammer", "good_words", "race", "utility"]
