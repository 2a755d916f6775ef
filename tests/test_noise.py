from __future__ import annotations

import math

import pytest
import scipy.stats
import torch

from saddlepoint.noise import Noise

SEED_LEVEL = 1e-4
"""A fixed seed either passes or not; the level is small so that the seed needs no choosing."""


def noise(n: int = 4, seed: int = 0) -> Noise:
    return Noise.seeded(seed, torch.arange(n))


def test_uniform_is_uniform() -> None:
    u = noise(8).uniform((5000,))
    for row in u:
        assert scipy.stats.kstest(row.numpy(), "uniform").pvalue > SEED_LEVEL


def test_samples_are_uniform_and_independent_across_ids_seeds_and_tags() -> None:
    across_ids = noise(20000).uniform()
    across_seeds = torch.cat([Noise.seeded(s, torch.tensor([3])).uniform() for s in range(2000)])
    across_tags = torch.cat([noise(1).at(t).uniform() for t in range(2000)])
    for sample in (across_ids, across_seeds, across_tags):
        assert scipy.stats.kstest(sample.numpy(), "uniform").pvalue > SEED_LEVEL
        lagged = scipy.stats.pearsonr(sample[1:].numpy(), sample[:-1].numpy())
        assert lagged.pvalue > SEED_LEVEL


def test_normal_is_normal() -> None:
    g = noise(2).normal((20000,))
    for row in g:
        assert scipy.stats.kstest(row.numpy(), "norm").pvalue > SEED_LEVEL
    n = g.numel()
    assert abs(float(g.mean())) < 4 / math.sqrt(n)
    assert abs(float(g.var()) - 1) < 4 * math.sqrt(2 / n)


def test_signs_are_fair_and_nothing_else() -> None:
    s = noise(4).signs((10000,))
    assert set(s.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(s.mean())) < 4 / math.sqrt(s.numel())


def test_integers_cover_their_range_evenly() -> None:
    drawn = noise(1).integers(7, (7000,))
    counts = torch.bincount(drawn.flatten(), minlength=7)
    assert len(counts) == 7
    assert scipy.stats.chisquare(counts.numpy()).pvalue > SEED_LEVEL


def test_integers_below_a_bound_of_each_sample() -> None:
    high = torch.tensor([1, 2, 1000])
    drawn = torch.stack([Noise.seeded(s, torch.arange(3)).integers(high) for s in range(300)])
    assert (drawn >= 0).all()
    assert (drawn < high).all()
    assert drawn[:, 0].unique().tolist() == [0]
    assert sorted(drawn[:, 1].unique().tolist()) == [0, 1]
    assert len(drawn[:, 2].unique()) > 200


def test_sphere_has_length_one_and_no_preferred_direction() -> None:
    v = noise(500).sphere((3, 2))
    assert torch.allclose(v.flatten(1).norm(dim=1), torch.ones(500, dtype=torch.float64))
    mean = v.flatten(1).mean(0)
    assert float(mean.abs().max()) < 4 / math.sqrt(500 * 6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_extreme_words_stay_inside_the_open_interval(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    extremes = torch.tensor([[0, -1, 1, -(1 << 63), (1 << 63) - 1]])
    monkeypatch.setattr(Noise, "bits", lambda self, shape, lead=(): extremes)
    u = noise(1).uniform((5,), dtype=dtype)
    assert u.dtype == dtype
    assert float(u.min()) > 0
    assert float(u.max()) < 1
    assert noise(1).normal((5,), dtype=dtype).isfinite().all()


def test_a_draw_does_not_depend_on_the_batch_or_its_order() -> None:
    whole = noise(10).at("step", 3)
    rows = torch.tensor([7, 2, 5])
    alone = Noise.seeded(0, rows).at("step", 3)
    for draw in (Noise.uniform, Noise.normal, Noise.signs, Noise.sphere):
        assert torch.equal(draw(whole, (3, 4))[rows], draw(alone, (3, 4)))
        assert torch.equal(draw(whole.rows(rows), (3, 4)), draw(alone, (3, 4)))


def test_nothing_is_consumed() -> None:
    stream = noise()
    assert torch.equal(stream.uniform((5,)), stream.uniform((5,)))


def test_more_leading_draws_begin_with_the_same_ones() -> None:
    few, many = noise().normal((6,), lead=(2,)), noise().normal((6,), lead=(5,))
    assert many.shape == (5, 4, 6)
    assert torch.equal(many[:2], few)
    assert torch.equal(noise().normal((6,)), few[0])
    assert torch.equal(noise().uniform((6,), lead=(2, 3)).flatten(0, 1), noise().uniform((6,), lead=(6,)))


def test_children_differ_from_each_other_and_from_their_parent() -> None:
    parent = noise(3)
    tags: list[tuple[int | str, ...]] = [
        (),
        *((i,) for i in range(50)),
        ("a",),
        ("b",),
        ("a", "b"),
        ("b", "a"),
        (0, 1),
        (1, 0),
    ]
    keys = torch.stack([parent.at(*t).keys for t in tags])
    assert len(keys.flatten().unique()) == keys.numel()
    assert torch.equal(parent.at("a").at(2).keys, parent.at("a", 2).keys)


def test_seeds_and_ids_far_apart_or_negative_are_fine() -> None:
    keys = torch.cat([Noise.seeded(s, torch.tensor([0, -1, 1 << 62])).keys for s in (0, 1, -1, 2**63, 10**30)])
    assert len(keys.unique()) == 15


def test_the_global_random_state_is_not_touched() -> None:
    before = torch.get_rng_state()
    noise().normal((100,))
    assert torch.equal(before, torch.get_rng_state())


def test_the_numbers_are_those_of_splitmix() -> None:
    """The published first outputs for the seed 1234567, by the reference generator of Vigna."""
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    words = Noise(torch.tensor([1234567])).bits((4,)).flatten().tolist()
    assert [w & ((1 << 64) - 1) for w in words] == published
