"""Sets learned from pairs: known ones, where the best code has a closed form, and the shipped one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from scipy.stats import chi
from torch import Tensor

import saddlepoint as sp
from saddlepoint.errors import DataError, ModelError, OptionError
from saddlepoint.noise import Noise
from saddlepoint.sets import parse
from saddlepoint.zoo import learn_set
from saddlepoint.zoo.camera import pairs
from saddlepoint.zoo.changer import Changer
from saddlepoint.zoo.learned import LearnedSet, _normal_within
from saddlepoint.zoo.lessons import Lesson

SHORT = Lesson(epochs=2, batch_size=16, learning_rate=4e-3, weight=0.01)
SIDE, WIDTH = 4, 3


def silent(line: str) -> None:
    del line


class Linear(Changer):
    """g(x, z) = x + A z with orthonormal A, z of mean m and deviation s; the code of a pair is Aᵀ (x' - x)."""

    def __init__(self) -> None:
        super().__init__(1, WIDTH)
        draw = torch.Generator().manual_seed(0)
        ways = torch.linalg.qr(torch.randn(SIDE**2, WIDTH, generator=draw, dtype=torch.float64))[0]
        self.ways = torch.nn.Parameter(ways)
        self.double().requires_grad_(False)

    def expect(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.new_full((len(x), WIDTH), 0.1), x.new_full((len(x), WIDTH), 2 * torch.tensor(0.2).log().item())

    def see(self, x: Tensor, changed: Tensor) -> tuple[Tensor, Tensor]:
        return (changed - x).flatten(1) @ self.ways, x.new_full((len(x), WIDTH), -9.0)

    def change(self, x: Tensor, code: Tensor) -> Tensor:
        return x + (code @ self.ways.T).view_as(x)


def test_judgments_are_those_in_closed_form() -> None:
    draw = torch.Generator().manual_seed(1)
    learned = LearnedSet("linear", Linear(), 1.5)
    x = torch.rand(30, 1, SIDE, SIDE, generator=draw, dtype=torch.float64)
    code = torch.randn(30, WIDTH, generator=draw, dtype=torch.float64)
    rest = 0.05 * torch.randn(30, SIDE**2, generator=draw, dtype=torch.float64)
    rest -= rest @ learned.network.ways @ learned.network.ways.T  # type: ignore[operator]
    changed = learned.decode(x, code) + rest.view_as(x)
    torch.testing.assert_close(learned.codes(x, changed), code, rtol=1e-5, atol=1e-6)
    seen = learned.judge(x, changed, draws=200)
    missed = 0.2 * (code.norm(dim=1) - 1.5).clamp_min(0)  # what the ball cuts off, in pixels
    nearest = (missed.square() + rest.square().sum(1)) / SIDE**2
    torch.testing.assert_close(seen.nearest, nearest, rtol=1e-4, atol=1e-8)
    torch.testing.assert_close(seen.encoded, nearest, rtol=1e-4, atol=1e-8)
    mean = (0.04 * code.square().sum(1) + rest.square().sum(1)) / SIDE**2
    torch.testing.assert_close(seen.mean, mean, rtol=1e-4, atol=1e-8)
    spread = 0.04 * chi(WIDTH).expect(lambda r: r**2, lb=0, ub=1.5, conditional=True) / SIDE**2
    assert float((seen.expected - mean).mean()) == pytest.approx(spread, rel=0.05)


def test_the_code_0_is_the_mean_and_the_added_form_changes_nothing() -> None:
    learned = LearnedSet("linear", Linear(), 1.0)
    x = 0.4 + 0.2 * torch.rand(5, 1, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    threat, added = learned.threat(), learned.threat(0.5, form="added")
    torch.testing.assert_close(threat.apply(x, threat.zero(x)), learned.network.change(x, learned.network.expect(x)[0]))
    assert torch.equal(added.apply(x, added.zero(x)), x)
    assert float(added.radius) == 0.5


def test_normal_codes_in_a_ball_are_as_long_as_they_should_be() -> None:
    noise = Noise.seeded(0, torch.arange(2000))
    length = _normal_within(2.0, torch.zeros(2000, 4), noise).norm(dim=1)
    assert float(length.max()) <= 2.0
    for share in (0.25, 0.5, 0.75):
        expected = chi(4).ppf(share * chi(4).cdf(2.0))
        assert abs(float((length < expected).double().mean()) - share) < 0.045  # four standard deviations


def test_a_small_set_is_learned_and_found_again(tmp_path: Path) -> None:
    x = sp.zoo.data.load("fashion-mnist-1k[:400]").x
    darker = x * (0.3 + 0.7 * Noise.seeded(0, torch.arange(400)).uniform((1, 1, 1), dtype=x.dtype))
    lines: list[str] = []
    state = torch.random.get_rng_state()
    lesson = Lesson(epochs=8, batch_size=16, learning_rate=4e-3, weight=0.01)
    learned = learn_set(x, darker, name="dark", width=4, lesson=lesson, say=lines.append)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len(lines) == 8
    seen = learned.judge(x[360:], darker[360:], steps=20)
    assert float(seen.nearest.mean()) < 0.3 * float((x - darker)[360:].square().mean())
    assert bool((seen.nearest <= seen.encoded).all())
    inside = torch.linalg.vector_norm(learned.codes(x[360:], darker[360:]), dim=1) <= learned.radius
    assert int(inside.sum()) == 39  # 99 % of 40, between the last and the one before
    learned.save(tmp_path / "Dark.safetensors")
    file = f"{tmp_path}/Dark.safetensors"
    again = sp.zoo.generator(file)
    assert str(again) == f"{file}@{str(learned).rpartition('@')[2]}"
    threat = parse(f"latent(generator={file},form=painted):2", generators=sp.zoo.generator)
    expected = learned.decode(x[:3], x.new_full((3, 4), 0.3)).clamp(0, 1)
    torch.testing.assert_close(threat.apply(x[:3], threat.zero(x[:3]) + 0.3), expected)
    assert str(parse(str(threat), generators=sp.zoo.generator)) == str(threat)
    with pytest.raises(ModelError, match=r"no longer what was asked for \(00000000\)"):
        sp.zoo.generator(f"{file}@00000000")


def test_what_cannot_be_learned_from_is_refused(tmp_path: Path) -> None:
    x = torch.rand(20, 1, 8, 8)
    with pytest.raises(DataError, match="pairs are pictures"):
        learn_set(x, x[:10], lesson=SHORT, say=silent)
    with pytest.raises(DataError, match="2 pairs are too few"):
        learn_set(x[:2], x[:2], lesson=SHORT, say=silent)
    with pytest.raises(OptionError, match="share is between 0 and 1, got 99"):
        learn_set(x, x, share=99.0, lesson=SHORT, say=silent)
    learned = learn_set(x, x, lesson=SHORT, say=silent)
    with pytest.raises(DataError, match=r"changes pictures \[N, 1, H, W\]; the inputs have the shape \[2, 3, 8, 8\]"):
        learned.encode(torch.rand(2, 3, 8, 8))
    with pytest.raises(OptionError, match=r"a file that ends in \.safetensors"):
        learned.save(tmp_path / "weights.pt")
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="holds no learned set"):
        sp.zoo.generator(f"{tmp_path}/other.safetensors")
    with pytest.raises(ModelError, match="cannot be read"):
        sp.zoo.generator(f"{tmp_path}/missing.safetensors")
    with pytest.raises(OptionError, match=r"no generator called 'camra'; there are fashion, .*FILE\.safetensors"):
        sp.zoo.generator("camra")


def test_the_shipped_set_holds_what_the_camera_does() -> None:
    """Wong and Kolter, ICLR 2021: pairs not learned from lie near the set, and its middle does not explain them."""
    learned = sp.zoo.generator("fashion-camera")
    x = sp.zoo.data.load("fashion-mnist-1k[:100]").x
    changed = pairs(x, seed=2)
    seen = learned.judge(x, changed, steps=10)
    assert float(seen.nearest.mean()) < 0.3 * float((x - changed).square().mean())
    assert float(seen.nearest.mean()) < 0.3 * float(seen.expected.mean())
    assert float(seen.mean.mean()) < float(seen.expected.mean())
    lengths = torch.linalg.vector_norm(learned.codes(x, changed), dim=1)
    assert float((lengths <= learned.radius).double().mean()) > 0.94  # 0.99, less five standard deviations


def test_the_worst_of_the_shipped_set_is_worse_than_chance() -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:40]")
    network, threat = sp.zoo.load("fashion-standard"), sp.zoo.generator("fashion-camera").threat()
    drawn = sp.attacks.worst_of(network, data.x, data.y, threat, k=1)
    climbed = sp.attacks.pgd(network, data.x, data.y, threat, steps=10)
    assert int(climbed.met.sum()) >= int(drawn.met.sum()) + 4
