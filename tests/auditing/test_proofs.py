from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

import saddlepoint as sp
from saddlepoint.auditing import read_spec, summarize
from saddlepoint.auditing.records import column
from saddlepoint.certificates import certify

Make = Callable[..., Any]


def test_what_is_proved_is_what_the_certificate_proves_of_those_who_stand(quick: Make, network: Make) -> None:
    found = quick(proofs=True, threat=[sp.Linf(0.01), sp.L2(0.02)])
    x, y = found._subject.x, found._subject.y
    for threat, ball in zip(found.summary().threats, (sp.Linf(0.01), sp.L2(0.02)), strict=True):
        own = certify(network(), x, y, ball).certified
        stands = found.distances(threat.threat) > ball.radius * (1 + 1e-9)
        assert threat.certified == int((own & stands).sum()) > 0
        assert not (own & ~stands).any()
        assert threat.certified <= threat.robust.correct
        assert all(stage.attack != "proof" for stage in threat.stages)
    assert found.summary().complete
    assert not any("proof" in doubt.found for doubt in found.doubts)


def test_nothing_is_proved_unless_asked_for(quick: Make) -> None:
    assert all(threat.certified is None for threat in quick().summary().threats)


def test_a_thorough_plan_proves(network: Make) -> None:
    from saddlepoint.auditing.plan import make_plan

    made = make_plan(
        sp.wrap(network()), torch.rand(4, 2, 3, 3).double(), sp.Linf(0.1), None, None, None, 0, None, "thorough"
    )
    assert made.stages[-1].name.endswith("-proof")
    assert not made.notices


def test_where_no_bound_is_known_it_is_said(quick: Make, network: Make) -> None:
    class Odd(torch.nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            answer: torch.Tensor = super().forward(torch.round(8 * x) / 8)
            return answer

    found = quick(model=Odd(*network()), proofs=True).summary()
    assert any(notice.startswith("nothing was proved: ") for notice in found.notices)
    assert all(threat.certified is None for threat in found.threats)
    sparse = quick(threat=sp.L0(2), attacks=["fmn"], proofs=True).summary()
    assert "nothing was proved for l0:2.0: no bound is known for its set" in sparse.notices


def test_proofs_are_stored_and_not_made_twice(quick: Make, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = quick(run, proofs=True, threat=sp.Linf(0.01))
    monkeypatch.setattr("saddlepoint.auditing.stages.certify", None)
    again = quick(run, proofs=True, threat=sp.Linf(0.01))
    assert again.summary() == first.summary()


def test_a_contradiction_is_fatal(quick: Make, run: Path) -> None:
    found = quick(run, proofs=True, threat=sp.Linf(0.01))
    records = found.records
    proved = records.filter(pa.compute.equal(records.column("status"), "certified")).slice(0, 1)
    spec = read_spec(run)
    stage = next(stage for stage in spec["stages"] if stage["attack"] == "pgd")
    broken = {"stage": stage["name"], "met": True, "status": "fooled", "size": 0.005, "attack": "pgd"}
    row = {**proved.to_pylist()[0], **broken}
    rest = records.filter(
        pa.compute.invert(
            pa.compute.and_(
                pa.compute.equal(records.column("stage"), stage["name"]),
                pa.compute.equal(records.column("sample"), row["sample"]),
            )
        )
    )
    forged = pa.concat_tables([rest, pa.Table.from_pylist([row], schema=records.schema)])
    summary = summarize(spec, forged)
    assert summary.verdict == "invalid"
    assert "contradiction" in {doubt.name for doubt in summary.doubts}
    assert column(records, "status").tolist().count("certified") == summary.threats[0].certified + 1
