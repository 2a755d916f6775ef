"""Changes of codes: of slow waves, whose geometry is known, and of what a trained painter paints."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch

import saddlepoint as sp
from saddlepoint.errors import ThreatError
from saddlepoint.sets import Waves, parse

X = 0.3 + 0.4 * torch.rand(3, 2, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_codes_of_waves_are_the_first_of_the_cosine_transform() -> None:
    full = scipy.fft.dctn(X.numpy(), axes=(2, 3), norm="ortho")
    np.testing.assert_allclose(Waves(5).encode(X).view(3, 2, 5, 5).numpy(), full[:, :, :5, :5], atol=1e-12)


def test_a_change_of_waves_is_as_long_as_its_code_and_slow() -> None:
    code = 0.02 * torch.randn(3, 2 * 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    changed = sp.Latent(generator=Waves(4)).apply(X, code)
    torch.testing.assert_close((changed - X).flatten(1).norm(dim=1), code.norm(dim=1))
    full = scipy.fft.dctn((changed - X).numpy(), axes=(2, 3), norm="ortho")
    assert np.abs(full[:, :, 4:]).max() < 1e-12
    assert np.abs(full[:, :, :, 4:]).max() < 1e-12


def test_painted_and_added_differ_by_what_the_generator_cannot_paint() -> None:
    painter = sp.zoo.generator("fashion")
    x = sp.zoo.data.load("fashion-mnist-1k[:4]").x
    added, painted = (sp.Latent(generator=painter, form=form) for form in ("added", "painted"))
    zero = added.zero(x)
    assert torch.equal(added.apply(x, zero), x)
    own = painted.apply(x, zero)
    torch.testing.assert_close(own, painter.decode(x, painter.encode(x)))
    assert 0.001 < float((own - x).square().mean()) < 0.03
    many = painted.apply(x, torch.stack([zero, zero + 0.5]))
    torch.testing.assert_close(many[1], painted.apply(x, zero + 0.5))


def test_a_mask_keeps_pixels_in_both_forms() -> None:
    x, mask = sp.zoo.data.load("fashion-mnist-1k[:4]").x, torch.zeros(1, 1, 28, 28, dtype=torch.bool)
    mask[..., :14] = True
    for form in ("added", "painted"):
        threat = sp.Latent(generator=sp.zoo.generator("fashion"), form=form, mask=mask)
        changed = threat.apply(x, threat.zero(x) + 1.0)
        assert torch.equal(changed[..., 14:], x[..., 14:])
        assert not torch.equal(changed[..., :14], x[..., :14])


def test_written_by_name_and_read_by_who_knows_the_generators() -> None:
    threat = parse("latent(generator=fashion,form=painted):0.5", generators=sp.zoo.generator)
    assert threat.form == "painted"
    assert str(threat) == "latent(generator=fashion,form=painted):0.5"
    assert str(parse("latent:2")) == "latent:2.0"
    few = sp.Latent(2.0, generator=Waves(4))
    again = parse(str(few), generators=sp.zoo.generator)
    assert str(again) == str(few) == "latent(generator=waves4):2.0"
    assert torch.equal(again.zero(X), few.zero(X))
    with pytest.raises(ThreatError, match=r"sp\.zoo\.generator"):
        parse("latent(generator=fashion):0.5").radii(torch.rand(1, 1, 28, 28))
    with pytest.raises(ThreatError, match="added or painted"):
        sp.Latent(1.0, form="sung")  # type: ignore[arg-type]
