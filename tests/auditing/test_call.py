from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing import audit
from saddlepoint.errors import DataError, OptionError, RunError, ThreatError

Make = Callable[..., Any]


class Half(nn.Module):
    """Two classes, z_1 - z_0 = <w, x> + b: the distance of x to the other class is |<w, x> + b| / |w|_q."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.w = nn.Parameter(torch.randn(12, generator=generator, dtype=torch.float64))
        self.b = nn.Parameter(-self.w.detach().sum() / 2)

    def forward(self, x: Tensor) -> Tensor:
        z = x.flatten(1) @ self.w + self.b
        return torch.stack([torch.zeros_like(z), z], 1)


@pytest.fixture(scope="module")
def half() -> tuple[Half, Tensor, Tensor, Tensor]:
    """The model, 200 inputs, their labels (one in ten wrong), and z_1 - z_0."""
    model = Half()
    x = 0.4 + 0.2 * torch.rand(200, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        z = model(x)[:, 1]
    y = (z > 0).long()
    y[::10] = 1 - y[::10]
    return model, x, y, z


def exactly(z: Tensor, y: Tensor, w: Tensor, q: float) -> Tensor:
    distance = z.abs() / w.norm(p=q)
    return torch.where((z > 0).long() == y, distance, torch.zeros_like(distance))


@pytest.mark.parametrize("attack", ["pgd(steps=25, relative_step=1)", "apgd_ce(steps=30)", "fgsm"])
def test_on_a_linear_model_the_audit_is_exact(half: tuple[Half, Tensor, Tensor, Tensor], attack: str) -> None:
    model, x, y, z = half
    threats = {"linf:0.01": (sp.Linf(0.01), 1.0), "linf:0.03": (sp.Linf(0.03), 1.0), "l2:0.04": (sp.L2(0.04), 2.0)}
    audited = audit(model, x, y, threat=[t for t, _ in threats.values()], attacks=[attack], curve=None)
    assert audited.clean_accuracy == 0.9
    robust = [exactly(z, y, model.w, q) > float(threat.radius) * (1 + 1e-6) for threat, q in threats.values()]
    for name, standing in zip(threats, robust, strict=True):
        assert 0.1 < standing.double().mean() < 0.9
        assert audited.by_threat[name].robust.correct == int(standing.sum())
    union = torch.stack(robust).all(0)
    assert audited.robust_accuracy == float(union.double().mean())
    assert audited.summary().union.correct == int(union.sum())


@pytest.mark.parametrize(("threat", "q"), [(sp.Linf(0.02), 1.0), (sp.L2(0.04), 2.0)])
def test_the_curve_of_a_linear_model_is_known(
    half: tuple[Half, Tensor, Tensor, Tensor], threat: sp.Linf, q: float
) -> None:
    model, x, y, z = half
    audited = audit(model, x, y, threat=threat, attacks=[], curve="fmn")
    known = exactly(z, y, model.w, q)
    found = audited.distances()
    assert torch.equal(found == 0, known == 0)
    assert (found >= known * (1 - 1e-6)).all()
    assert (found <= known * 1.02).all()
    for radius in (0.0, 0.01, 0.02, 0.05, 1.0):
        low, high = ((known > radius * scale).double().mean() for scale in (1.0, 1 / 1.02))
        assert low <= audited.curve(radius).value <= high
    (stage,) = audited.by_threat[str(threat)].stages
    assert stage.threat.endswith(":inf")
    assert stage.ran_on == 180
    assert stage.broke == audited.by_threat[str(threat)].robust.n - 20 - audited.by_threat[str(threat)].robust.correct


def test_robust_accuracy_never_rises_with_the_radius_even_if_attacks_do(quick: Make) -> None:
    """One step of FGSM breaks fewer samples at a large radius than at a small one; what is known counts for both."""

    class Ring(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            z = (x.flatten(1)[:, 0] - 0.45).square() - 0.002
            return torch.stack([z, -z], 1)

    x = torch.linspace(0.5, 0.6, 40, dtype=torch.float64)[:, None].expand(40, 2).reshape(40, 2, 1, 1)
    y = Ring()(x).argmax(1)
    threats = [sp.Linf(r) for r in (0.05, 0.1, 0.3)]
    together = quick(model=Ring(), x=x, y=y, threat=threats, attacks=["fgsm"])
    alone = [quick(model=Ring(), x=x, y=y, threat=t, attacks=["fgsm"]).robust_accuracy for t in threats]
    joint = [one.robust.value for one in together.summary().threats]
    assert alone != sorted(alone, reverse=True)
    assert joint == sorted(joint, reverse=True)
    assert all(both <= single for both, single in zip(joint, alone, strict=True))


def test_all_misclassified(quick: Make, samples: Make, network: Make, run: Path) -> None:
    x, _ = samples()
    y = (network()(x).argmax(1) + 1) % 4
    audited = quick(run, y=y)
    assert (audited.clean_accuracy, audited.robust_accuracy) == (0.0, 0.0)
    assert len(audited.records) == 40
    assert torch.equal(audited.x_adv, x)
    assert audited.verify().ok
    assert audited.summary().complete
    assert not audited.summary().threats[0].gallery
    assert audited.summary().threats[0].curve[0].robust == 0


def test_one_label_outside_the_classes_is_refused_before_anything_is_written(
    quick: Make, samples: Make, run: Path
) -> None:
    y = samples()[1]
    y[17] = 4
    with pytest.raises(DataError, match=r"labels range over \[0, 4\]; the model has 4 classes"):
        quick(run, y=y)
    assert not run.exists()


def test_records_do_not_depend_on_the_size_of_pieces_and_batches(quick: Make) -> None:
    told = [quick(piece_size=p, batch_size=b).records.to_pylist() for p, b in ((40, 256), (1, 256), (7, 2), (13, 5))]
    exact = ("threat", "stage", "sample", "label", "predicted", "met", "status", "steps", "radius", "seed")
    first = sorted(told[0], key=lambda row: (row["stage"], row["sample"]))
    for rows in told[1:]:
        rows = sorted(rows, key=lambda row: (row["stage"], row["sample"]))
        assert [[row[name] for name in exact] for row in rows] == [[row[name] for name in exact] for row in first]
        for name in ("size", "value"):
            assert [row[name] for row in rows] == pytest.approx([row[name] for row in first], rel=1e-9, abs=1e-12)


def test_samples_are_known_by_their_ids_not_by_their_order(quick: Make, samples: Make) -> None:
    x, y = samples()
    turned = torch.arange(39, -1, -1)
    data = [sp.zoo.data.Data(x[o], y[o], o, ("a", "b", "c", "d"), "d", "", "") for o in (torch.arange(40), turned)]
    told = []
    for one in data:
        audited = quick(x=None, y=None, data=one, attacks=["square(steps=20)"])
        told.append(sorted((r["stage"], r["sample"], r["met"], r["steps"]) for r in audited.records.to_pylist()))
        told[-1].append(audited.x_adv if one is data[0] else audited.x_adv[turned])
    assert torch.allclose(told[0].pop(), told[1].pop())
    assert told[0] == told[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_any_precision(quick: Make, network: Make, samples: Make, dtype: torch.dtype) -> None:
    x, y = samples(dtype)
    audited = quick(model=network(dtype), x=x, y=y)
    assert audited.x_adv.dtype == dtype
    assert audited.verify().ok
    assert audited.summary().model["dtype"] == str(dtype).removeprefix("torch.")
    reference = quick()
    assert audited.robust_accuracy == pytest.approx(reference.robust_accuracy, abs=0.051)


def test_models_that_give_labels_only(network: Make, samples: Make) -> None:
    x, y = samples()
    audited = audit(
        sp.wrap(network(), access="labels"), x[:6], y[:6], threat=sp.L2(0.5), options={"hop_skip_jump": {"steps": 3}}
    )
    assert [s.attack for s in audited.by_threat["l2:0.5"].stages] == ["hop_skip_jump"]
    assert torch.isfinite(audited.distances()).all()
    assert audited.verify().ok


def test_a_budget_is_kept(quick: Make) -> None:
    audited = quick(budget=5, attacks=["square(steps=50)"])
    attacked = audited.records.filter(pc_not_clean(audited))
    assert max(attacked.column("forwards").to_pylist()) == 5
    assert "out_of_budget" in attacked.column("status").to_pylist()


def pc_not_clean(audited: Any) -> Any:
    import pyarrow.compute as pc

    return pc.not_equal(audited.records.column("attack"), "clean")


def test_a_temporary_run_goes_with_its_audit(quick: Make) -> None:
    audited = quick()
    folder = audited.run_dir
    assert (folder / "summary.json").exists()
    del audited
    gc.collect()
    assert not folder.exists()


def test_a_temporary_run_does_not_outlive_an_error(
    quick: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Trouble(sp.auditing.Silent):
        def stage(self, name: str, samples: int, standing: int) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(listener=Trouble())
    assert not list(tmp_path.iterdir())


def test_a_model_is_left_as_it_was_found(network: Make, samples: Make) -> None:
    model = nn.Sequential(*network().children(), nn.Dropout(0.5), nn.BatchNorm1d(4).double())
    model[2].eval()
    x, y = samples()
    copies = x.clone(), y.clone()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    modes, state = [m.training for m in model.modules()], torch.get_rng_state()
    audit(model, x, y, threat=sp.L2(0.3), attacks=["pgd(steps=2)", "square(steps=9)"], curve=None)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, copies[0])
    assert torch.equal(y, copies[1])


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_within_no_grad(quick: Make, network: Make, whole: Any, context: Callable[[], Any]) -> None:
    model = network()
    with context():
        assert quick(model=model).summary().union == whole.summary().union


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"piece_size": 0}, OptionError, "piece_size must be at least 1"),
        ({"threat": sp.Linf()}, ThreatError, "finite radius"),
        ({"seed": -3}, OptionError, "seed is -3"),
        ({"x": None}, OptionError, "an audit needs samples"),
    ],
)
def test_wrong_arguments_leave_no_folder(
    quick: Make, run: Path, changes: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        quick(run, **changes)
    assert not run.exists()


def test_a_folder_that_cannot_be_written_is_one_line(quick: Make, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(RunError, match=r"run cannot be written \(Permission denied\): give a folder you may write to"):
        quick(run)


def test_the_package_gives_the_audit_at_its_door() -> None:
    assert sp.audit is audit
    assert inspect.isclass(sp.Audit)
    assert {"Audit", "audit"} <= set(dir(sp))


def test_gradients_that_mislead_put_a_model_in_doubt_and_a_black_box_breaks_it(tmp_path: Path) -> None:
    data = sp.zoo.data.load("fashion-mnist-1k[:100]")
    audits = {
        name: audit(sp.zoo.load(name), data=data, threat=sp.Linf(0.1), curve=None)
        for name in ("fashion-masked", "fashion-pgd-linf")
    }
    summaries = {name: one.summary() for name, one in audits.items()}
    masked, healthy = summaries["fashion-masked"], summaries["fashion-pgd-linf"]
    assert masked.threats[0].robust.value == 0
    assert masked.complete
    assert masked.verdict == "flagged"
    assert {"no-slope", "saturated"} <= {doubt.name for doubt in masked.doubts}
    assert healthy.verdict == "sound", healthy.doubts
    ran_on = {stage.name[3:]: stage.ran_on for stage in healthy.threats[0].stages}
    assert ran_on["triage-doubted"] == ran_on["square-doubted"] == ran_on["pincer-pressed"] == 0
    assert (ran_on["square-closest"], ran_on["pincer-nearest"], ran_on["triage-sampled"]) == (16, 1, 0)
    assert healthy.complete
    assert 0.65 <= healthy.threats[0].robust.value <= 0.8
