"""Pictures that look as others of their class do, and are misread."""

from __future__ import annotations

import torch

import saddlepoint as sp
from saddlepoint.auditing.summary import Estimate

N = 150


def test_networks_err_among_pictures_a_painter_would_paint() -> None:
    """Stutz et al., CVPR 2019: on-manifold errors exist, for networks trained against changes of pixels as well."""
    data = sp.zoo.data.load(f"fashion-mnist-1k[:{N}]")
    painter = sp.zoo.generator("fashion")
    threat = sp.Latent(1.0, generator=painter, form="painted")
    own = threat.apply(data.x, threat.zero(data.x))
    for name in ("fashion-standard", "fashion-pgd-linf"):
        network = sp.zoo.load(name)
        readable = (network(data.x).argmax(1) == data.y) & (network(own).argmax(1) == data.y)
        readable &= painter.classes(data.x) == data.y
        x, y = data.x[readable], data.y[readable]
        found = sp.attacks.pgd(network, x, y, threat)
        by_chance = sp.attacks.worst_of(network, x, y, threat, k=10)
        assert Estimate.of(int(found.met.sum()), len(x)).low > 0.12, name
        assert int(found.met.sum()) > 1.5 * int(by_chance.met.sum()), name
        # the painter sees the class it painted in most of them, though it was not asked
        assert float((painter.classes(found.x_adv[found.met]) == y[found.met]).double().mean()) > 0.7, name


def test_slow_waves_are_a_harder_way_than_all_of_the_same_length() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:60]")
    network = sp.zoo.load("fashion-standard")
    slow, all_ = (sp.attacks.fmn(network, data.x, data.y, threat) for threat in (sp.Latent(), sp.L2()))
    both = slow.met & all_.met & (all_.size > 0)
    assert int(both.sum()) > 45
    assert bool((slow.size[both] > 0.95 * all_.size[both]).all())
    change = (slow.x_adv - data.x).flatten(1).norm(dim=1)
    assert bool((change[both] <= slow.size[both] * (1 + 1e-4)).all())
    assert float(torch.median(slow.size[both] / all_.size[both])) < 4
