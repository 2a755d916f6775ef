"""What is said about the vote of a model under noise, in words that keep it apart from the model itself."""

from __future__ import annotations

from saddlepoint.auditing.summary import Summary, Vote
from saddlepoint.report.naming import label_words
from saddlepoint.report.words import percent


def vote_words(vote: Vote, summary: Summary) -> str:
    """The bracket of a vote in sentences."""
    low, high = percent(vote.certified / vote.n), percent(vote.standing / vote.n)
    return (
        f"The vote of this model under Gaussian noise of deviation {vote.sigma:g} is another classifier, and its"
        f" numbers are not those of the model. Unperturbed it is right on {vote.right} of {vote.n} samples; within"
        f" {label_words(vote.threat, summary)} on between {low} ({vote.certified}, certified by {vote.counted} draws,"
        f" each but for a chance of {vote.alpha:g}) and {high} ({vote.standing} are not broken by {vote.attack})."
        " Whoever wants that guarantee must answer by this vote."
    )
