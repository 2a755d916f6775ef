from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.certificates import clopper_pearson, smoothed
from saddlepoint.errors import DataError, OptionError


def plane(dtype: torch.dtype = torch.float64) -> nn.Linear:
    """Two classes, told apart by 3 a - 4 b > -0.5: the distance of a point to the border is |3 a - 4 b + 0.5| / 5."""
    net = nn.Linear(2, 2).to(dtype)
    net.weight.data = torch.tensor([[3.0, -4.0], [0.0, 0.0]], dtype=dtype)
    net.bias.data = torch.tensor([0.5, 0.0], dtype=dtype)
    return net


def test_the_radius_of_a_linear_classifier_is_the_distance_to_its_border_within_the_confidence() -> None:
    """n = 4000 draws, 20 points; the counts are within the 1 - 1e-6 interval of the true share Φ(distance / sigma)."""
    x = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    distance, sigma, n = (3 * x[:, 0] - 4 * x[:, 1] + 0.5) / 5, 0.2, 4000
    proof = smoothed(plane(), x, sigma=sigma, n=n)
    true = stats.norm.cdf(distance.abs() / sigma)
    low, high = stats.binom.ppf(5e-7, n, true), stats.binom.ppf(1 - 5e-7, n, true)
    sure = proof.label >= 0
    assert int(sure.sum()) >= 12
    assert torch.equal(proof.label[sure], (distance < 0).long()[sure])
    votes = proof.votes[sure].numpy()
    assert ((votes >= low[sure]) & (votes <= high[sure])).all()
    assert bool((proof.radius <= distance.abs() + 1e-12).all())  # each holds with 0.999; fixed seed
    near = sure & (distance.abs() < 2 * sigma)
    assert float((distance.abs() - proof.radius)[near].max()) < 0.3 * sigma


def test_a_coin_flip_is_abstained_from() -> None:
    """The border goes through the points: half of the draws fall on either side."""
    x = torch.tensor([[0.5, 0.5]], dtype=torch.float64).repeat(50, 1)
    proof = smoothed(plane(), x, sigma=0.3, n=500, alpha=0.001)
    assert proof.label.tolist() == [-1] * 50
    assert not bool(proof.radius.any())
    assert not bool(proof.certified(torch.zeros(50, dtype=torch.long), 0.0).any())


def test_the_answer_does_not_depend_on_the_batch() -> None:
    x = torch.rand(7, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole, parts, single = (smoothed(plane(), x, sigma=0.25, n=200, batch_size=b) for b in (None, 3, 1))
    assert torch.equal(whole.votes, parts.votes)
    assert torch.equal(whole.votes, single.votes)
    assert torch.equal(whole.radius, single.radius)
    assert not torch.equal(whole.votes, smoothed(plane(), x, sigma=0.25, n=200, seed=1).votes)
    last = smoothed(plane(), x[5:], sigma=0.25, n=200, ids=torch.tensor([5, 6]))
    assert torch.equal(whole.votes[5:], last.votes)


def test_the_noise_leaves_the_box() -> None:
    class Outside(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out = ((x < 0) | (x > 1)).to(x.dtype)
            return torch.cat([out, 1 - out], 1)

    proof = smoothed(Outside(), torch.tensor([[1.0]]), sigma=1.0, n=2000)
    share = 1 - (stats.norm.cdf(0) - stats.norm.cdf(-1))
    assert abs(int(proof.votes) / 2000 - share) < 0.06


def test_a_model_that_answers_labels_is_enough_and_no_answer_is_no_vote() -> None:
    labels = sp.wrap(lambda x: (x[:, 0] < 0.5).long(), output="labels", classes=2)
    assert smoothed(labels, torch.tensor([[0.9], [0.1]]), sigma=0.1, n=200).label.tolist() == [0, 1]
    silent = smoothed(lambda x: torch.full((len(x), 2), torch.nan), torch.tensor([[0.9]]), sigma=0.1, n=50)
    assert silent.votes.tolist() == [0]
    assert silent.label.tolist() == [-1]


def test_certified_asks_for_the_label_and_the_radius() -> None:
    proof = smoothed(plane(), torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64), sigma=0.2, n=300)
    assert proof.label.tolist() == [0, 1]
    assert proof.certified(torch.tensor([0, 0]), 0.1).tolist() == [True, False]
    assert proof.certified(torch.tensor([0, 1]), 9.0).tolist() == [False, False]
    assert len(proof) == 2


def test_the_bound_of_a_share_covers_as_often_as_it_says() -> None:
    """Exactly, by the binomial distribution: P(bound > p) <= alpha for every p, and not much less."""
    for n, alpha in ((20, 0.05), (100, 0.001)):
        bounds = clopper_pearson(torch.arange(n + 1), n, alpha)
        assert bool((bounds.diff() > 0).all())
        for p in (0.1, 0.5, 0.77, 0.99):
            wrong = stats.binom.pmf(torch.arange(n + 1).numpy(), n, p)[(bounds > p).numpy()].sum()
            assert wrong <= alpha
        at_bound = stats.binom.sf(n // 2 - 1, n, float(bounds[n // 2]))
        assert at_bound == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"sigma": 0.1, "n": 0}, "must be at least 1"),
        ({"sigma": 0.1, "alpha": 1.0}, "between 0 and 1"),
        ({"sigma": 0.1, "batch_size": 0}, "must be at least 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], error: str) -> None:
    with pytest.raises(OptionError, match=error):
        smoothed(plane(), torch.zeros(1, 2, dtype=torch.float64), **options)  # type: ignore[arg-type]


def test_inputs_out_of_bounds_are_refused() -> None:
    with pytest.raises(DataError, match="outside the bounds"):
        smoothed(plane(), torch.full((1, 2), 3.0, dtype=torch.float64), sigma=0.1)
