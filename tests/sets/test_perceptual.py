"""The ball of features: its distance, its projection, its steepest direction, and networks left as they were."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.access import Box
from saddlepoint.errors import AccessError, OptionError, ThreatError
from saddlepoint.noise import Noise
from saddlepoint.sets import Features, parse
from saddlepoint.sets.features import usual_layers
from saddlepoint.sets.perceptual import conjugate
from saddlepoint.testing.problems import ConvNet, Map, looks

N = 6
X = 0.1 + 0.8 * torch.rand(N, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
FAR = 0.3 * torch.randn(X.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
RADIUS = torch.linspace(0.02, 0.3, N, dtype=torch.float64)
BALL = sp.Perceptual(0.2, network=looks())
LARGE = 1e3


def flat() -> Features:
    """Features of unit length that are x / 1000 but for the fourth digit: a huge constant channel takes up the length.

    So the ball of radius r / 1000 is the Euclidean ball of radius r.
    """
    network = Map(lambda x: torch.cat([x.flatten(1), torch.full_like(x[:, 0, 0, :1], LARGE)], 1))
    return Features(nn.Sequential(network), layers=["0"])


def test_the_distance_is_symmetric_zero_at_nothing_and_that_of_the_formula() -> None:
    network = ConvNet(dtype=torch.float64)
    features = Features(network, layers=["features.0", "features.2"])
    other = BALL.apply(X, FAR)
    seen = []
    for at in (X, other):
        network.eval()
        first = network.features[0](4 * at - 2)
        seen.append((first, network.features[2](network.features[1](first))))
    total = torch.zeros(N, dtype=X.dtype)
    for one, two in zip(*seen, strict=True):
        apart = one / one.norm(dim=1, keepdim=True) - two / two.norm(dim=1, keepdim=True)
        total += apart.square().sum(1).mean((1, 2))  # LPIPS: sums over channels, means over places
    ball = sp.Perceptual(network=features)
    torch.testing.assert_close(ball.size(X, other - X), total.sqrt().detach())
    torch.testing.assert_close(ball.size(other, X - other), total.sqrt().detach())
    assert torch.equal(ball.size(X, torch.zeros_like(X)), torch.zeros(N, dtype=X.dtype))


def test_heads_weigh_the_channels_of_their_layers(tmp_path: Path) -> None:
    network, weights = ConvNet(dtype=torch.float64), torch.rand(6, generator=torch.Generator().manual_seed(2))
    plain = Features(network, layers=["features.0"])
    change = (plain(X + FAR) - plain(X)).view(N, 6, -1).square().sum(2)
    save_file({"features.0": weights.view(1, 6, 1, 1)}, tmp_path / "heads.safetensors")
    for heads in ({"features.0": weights}, tmp_path / "heads.safetensors", str(tmp_path / "heads.safetensors")):
        weighed = Features(network, layers=["features.0"], heads=heads)
        told = (weighed(X + FAR) - weighed(X)).square().sum(1)
        torch.testing.assert_close(told, (change * weights).sum(1))


def test_heads_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    network = ConvNet(dtype=torch.float64)
    with pytest.raises(OptionError, match="heads for 'x', the layers are features"):
        Features(network, heads={"x": torch.ones(6)})
    with pytest.raises(OptionError, match="below 0"):
        Features(network, layers=["features.0"], heads={"features.0": -torch.ones(6)})
    with pytest.raises(OptionError, match="5 weights for 6 channels"):
        Features(network, layers=["features.0"], heads={"features.0": torch.ones(5)})(X)
    with pytest.raises(OptionError, match=r"\.safetensors file, got .*heads\.pt"):
        Features(network, heads=tmp_path / "heads.pt")
    (tmp_path / "heads.safetensors").write_bytes(b"no")
    with pytest.raises(OptionError, match="cannot be read"):
        Features(network, heads=tmp_path / "heads.safetensors")


def test_the_usual_layers_are_the_activations_or_all_with_weights_but_the_last() -> None:
    assert usual_layers(ConvNet()) == ["features.2"]
    assert usual_layers(sp.zoo.load("fashion-standard")) == ["features.2", "features.5", "features.8"]
    assert usual_layers(nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.Linear(4, 2))) == ["0"]
    with pytest.raises(AccessError, match="shows no layers"):
        usual_layers(nn.Sequential(nn.Linear(4, 2), nn.Softmax(1)))
    with pytest.raises(AccessError, match="answers"):
        Features(nn.Sequential(Map(lambda x: x.sum())), layers=["0"])(X)
    with pytest.raises(OptionError, match=r"no module 'features\.3'"):
        Features(ConvNet(), layers=["features.3"])(X)


def test_projections_are_inside_of_ball_and_box_and_stay() -> None:
    for threat in (BALL, sp.Perceptual(network=Features(ConvNet(dtype=torch.float64)))):
        assert bool((threat.size(X, FAR) > RADIUS).all())
        near = threat.project(X, FAR, RADIUS)
        size = threat.size(X, near)
        assert bool((size <= RADIUS).all())
        assert bool((size > 0.85 * RADIUS).all())  # to the bound, not far inside
        assert bool(((near + X >= 0) & (near + X <= 1)).all())
        assert torch.equal(threat.project(X, near, RADIUS), near)
        alone = threat.project(X[2:3], FAR[2:3], RADIUS[2:3])
        torch.testing.assert_close(alone, near[2:3])
    anywhere = threat.project(X, FAR, torch.full((N,), math.inf, dtype=X.dtype))
    assert torch.equal(anywhere, FAR.clamp(-X, 1 - X))


def test_where_slopes_lead_nowhere_projections_go_back_toward_the_input() -> None:
    rounded = Features(
        nn.Sequential(Map(lambda x: torch.cat([(8 * x.flatten(1)).round(), torch.ones(len(x), 1)], 1))), layers=["0"]
    )
    threat = sp.Perceptual(network=rounded)
    near = threat.project(X, FAR, RADIUS)
    assert bool((threat.size(X, near) <= RADIUS).all())
    assert torch.equal(threat.steepest(X, torch.zeros_like(X)), torch.zeros_like(X))


def test_conjugate_gradients_solve_what_a_dense_solver_solves() -> None:
    with torch.no_grad():
        jacobian = torch.autograd.functional.jacobian(BALL.features, X[:1])[0, :, 0].flatten(1)
    metric = jacobian.T @ jacobian + 1e-2 * torch.eye(36, dtype=X.dtype)
    b = torch.randn(3, 36, generator=torch.Generator().manual_seed(4), dtype=X.dtype)
    found = conjugate(lambda v: v @ metric, b, 60)
    torch.testing.assert_close(found, torch.linalg.solve(metric, b.T).T, rtol=1e-6, atol=1e-6)


def test_the_metric_is_that_of_the_jacobian_and_the_direction_beats_others(monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = X[:1], FAR[:1]
    jacobian = torch.autograd.functional.jacobian(BALL.features, x)[0, :, 0].flatten(1)
    here = x.clone().requires_grad_()
    product = BALL._metric(here, BALL.features(here), g)
    torch.testing.assert_close(product.flatten(), jacobian.T @ (jacobian @ g.flatten()), rtol=1e-4, atol=1e-6)

    def gain(way: Tensor) -> float:
        return float((g * way).sum() / (jacobian @ way.flatten()).norm())

    few = gain(BALL.steepest(x, g))
    monkeypatch.setattr("saddlepoint.sets.perceptual.CONJUGATE", 200)
    many = BALL.steepest(x, g)
    assert gain(many) > few > gain(g)
    solved = torch.linalg.solve(jacobian.T @ jacobian, g.flatten())
    assert gain(many) > 0.99 * gain(solved.view_as(g))
    torch.testing.assert_close((jacobian @ many.flatten()).norm(), torch.tensor(1.0, dtype=X.dtype), rtol=1e-4, atol=0)


def test_with_features_that_are_the_input_it_is_the_euclidean_ball() -> None:
    """PPGD is then projected gradient descent in L2."""
    ball, round_one = sp.Perceptual(network=flat()), sp.L2()
    torch.testing.assert_close(LARGE * ball.size(X, FAR), round_one.size(X, FAR.clamp(-X, 1 - X)), rtol=1e-3, atol=0)
    torch.testing.assert_close(ball.steepest(X, FAR) / LARGE, round_one.steepest(X, FAR), rtol=1e-3, atol=1e-6)
    narrow = 0.05 * FAR
    got, best = ball.project(X, narrow, RADIUS / LARGE), round_one.project(X, narrow, RADIUS)
    torch.testing.assert_close(got, best, rtol=0.05, atol=1e-3)  # Newton's method aims a little inside


def test_draws_are_inside_differ_and_respect_box_and_mask() -> None:
    mask = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(2)) < 0.5
    noise = Noise.seeded(0, torch.arange(N))
    for box in (Box(), Box(-1.0, 2.0)):
        threat = sp.Perceptual(network=looks(), mask=mask, box=box)
        first, second = (threat.sample(X, RADIUS, noise.at(k)) for k in range(2))
        for delta in (first, second, threat.lmo(X, FAR, RADIUS)):
            assert bool((threat.size(X, delta) <= RADIUS).all())
            assert bool(((delta == 0) | mask).all())
            assert bool((delta.flatten(1).abs().amax(1) > 1e-4).all())
        assert not torch.equal(first, second)
    with pytest.raises(ThreatError, match="give a finite radius"):
        threat.sample(X, torch.full((N,), math.inf, dtype=X.dtype), noise)


def test_the_network_is_left_as_it_was() -> None:
    network = ConvNet(dtype=torch.float64)  # in train mode, with dropout and a frozen bias
    before = copy.deepcopy(network.state_dict())
    modes, needs = [m.training for m in network.modules()], [p.requires_grad for p in network.parameters()]
    threat = sp.Perceptual(network=Features(network))
    delta = FAR.clone().requires_grad_()
    random = torch.get_rng_state()
    threat.size(X, delta).sum().backward()
    threat.project(X, FAR, RADIUS)
    threat.steepest(X, FAR)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())
    assert [m.training for m in network.modules()] == modes
    assert [p.requires_grad for p in network.parameters()] == needs
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks for m in network.modules())
    assert delta.grad is not None


def test_features_are_those_of_the_attacked_network_unless_others_are_given() -> None:
    first, second = sp.wrap(ConvNet(seed=0, dtype=torch.float64)), sp.wrap(ConvNet(seed=1, dtype=torch.float64))
    bound = sp.Perceptual(0.2).fitted_to(first)
    asked = first.asked
    torch.testing.assert_close(bound.size(X, FAR), sp.Perceptual(network=Features(first.network)).size(X, FAR))
    assert first.asked == asked
    assert torch.equal(bound.fitted_to(second).size(X, FAR), bound.size(X, FAR))  # once is once and for all
    assert torch.equal(BALL.fitted_to(first).size(X, FAR), BALL.size(X, FAR))
    with pytest.raises(ThreatError, match="whose features"):
        sp.Perceptual(0.2).radii(X)
    with pytest.raises(AccessError, match="shows no layers"):
        sp.Perceptual(0.2).fitted_to(sp.wrap(lambda x: x.flatten(1)[:, :3])).radii(X)


def test_inputs_are_normalized_as_for_the_model() -> None:
    network = ConvNet(dtype=torch.float64)
    inside = nn.Sequential(Map(lambda x: (x - 0.4) / 0.3), network)
    model = sp.wrap(network, mean=[0.4], std=[0.3])
    torch.testing.assert_close(Features(model)(X), Features(inside, layers=["1.features.2"])(X))


def test_written_by_name_and_read_by_who_knows_the_networks() -> None:
    def networks(name: str) -> Features:
        return Features(sp.zoo.load(name), name=name)

    threat = parse("perceptual(network=fashion-standard):0.5", networks=networks)
    assert str(threat) == "perceptual(network=fashion-standard):0.5"
    assert str(parse("perceptual:0.5").fitted_to(sp.wrap(ConvNet()))) == "perceptual:0.5"
    assert str(Features(ConvNet())) == "convnet"
    with pytest.raises(ThreatError, match="no network is called 'fashion-standard' here"):
        parse("perceptual(network=fashion-standard):0.5").radii(torch.rand(1, 1, 28, 28))
    with pytest.raises(ThreatError, match="perceptual must be the first part"):
        parse("recolor:0.1+perceptual:0.5")
