from __future__ import annotations

import dataclasses as dc
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import saddlepoint as sp
from saddlepoint.auditing.plan import make_plan
from saddlepoint.auditing.stages import AttackStage, CleanStage, Stage
from saddlepoint.auditing.subject import Subject, prepare

Make = Callable[..., Any]
ROWS = np.array([1, 2, 5, 8])


def prepared(model: Any, x: Tensor, y: Tensor) -> Subject:
    return prepare(model, x, y, None, batch_size=None, seed=0, name=None, source="")


def first_attack(subject: Subject, threat: Any, attack: str, **changes: Any) -> AttackStage:
    stage = make_plan(subject.model, subject.x, threat, [attack], None, None, 0, changes.pop("budget", None)).stages[1]
    assert isinstance(stage, AttackStage)
    return dc.replace(stage, **changes)


def test_the_clean_pass_records_what_the_model_says(network: Make, samples: Make) -> None:
    x, y = samples()
    subject = prepared(network(), x, y)
    columns = CleanStage(seed=4).work(subject, ROWS).columns
    logits = network()(x[ROWS])
    assert columns["sample"] == ROWS.tolist()
    assert columns["clean_predicted"] == columns["predicted"] == logits.argmax(1).tolist()
    assert columns["met"] == (logits.argmax(1) != y[ROWS]).tolist()
    assert columns["status"] == ["clean" if met else "held" for met in columns["met"]]
    assert columns["size"] == columns["radius"] == [0.0] * 4
    assert columns["forwards"] == [1] * 4
    assert columns["seed"] == [4] * 4
    assert CleanStage(seed=4).work(subject, ROWS).evidence is None


def test_an_answer_of_nan_is_wrong(samples: Make) -> None:
    x, y = samples()
    subject = prepared(lambda z: z.flatten(1)[:, :4].log() * math.nan, x, y)
    columns = CleanStage(seed=0).work(subject, ROWS).columns
    assert columns["clean_predicted"] == [-1] * 4
    assert columns["met"] == [True] * 4


class Counting(nn.Module):
    """Counts the samples it answers, and the gradients that flow back."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.forwards, self.backwards = network, 0, 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += len(x)
        answer: Tensor = self.network(x)
        if answer.requires_grad:
            answer.register_hook(self._count)  # type: ignore[no-untyped-call]
        return answer

    def _count(self, gradient: Tensor) -> None:
        self.backwards += len(gradient)


@pytest.mark.parametrize("attack", ["pgd(steps=3)", "apgd_t(steps=3)", "square(steps=7)"])
@pytest.mark.parametrize("budget", [None, 6])
def test_counts_are_those_of_a_counting_model_and_stay_in_the_budget(
    network: Make, samples: Make, attack: str, budget: int | None
) -> None:
    model = Counting(network())
    subject = prepared(model, *samples())
    stage = first_attack(subject, sp.Linf(0.02), attack, budget=budget)
    model.forwards = model.backwards = 0
    columns = stage.work(subject, ROWS).columns
    assert sum(columns["forwards"]) == model.forwards
    assert sum(columns["backwards"]) == model.backwards
    assert budget is None or max(columns["forwards"]) <= budget


def test_the_evidence_is_every_claim_and_its_input(network: Make, samples: Make) -> None:
    x, y = samples()
    subject = prepared(network(), x, y)
    piece = first_attack(subject, sp.L2(0.5), "pgd(steps=5)").work(subject, ROWS)
    met = np.array(piece.columns["met"])
    assert 0 < met.sum() < 4
    assert piece.evidence is not None
    assert piece.evidence.sample.tolist() == ROWS[met].tolist()
    assert torch.equal(piece.evidence.x, x[ROWS[met]])
    said = network()(piece.evidence.x_adv).argmax(1)
    assert (said != y[ROWS[met]]).all()
    assert said.tolist() == np.array(piece.columns["predicted"])[met].tolist()
    norms = (piece.evidence.x_adv - piece.evidence.x).flatten(1).norm(dim=1)
    assert torch.allclose(norms, torch.tensor(piece.columns["size"], dtype=x.dtype)[torch.from_numpy(met)])


class Fickle(nn.Module):
    """Says class 1 to the clean inputs and, from the second time on, to all others as well."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.clean, self.asked = x, 0
        self.scale = nn.Parameter(torch.ones((), dtype=x.dtype))

    def forward(self, x: Tensor) -> Tensor:
        known = torch.stack([(self.clean == one).flatten(1).all(1).any() for one in x])
        self.asked += int(not known.all())
        fooled = ~known & (self.asked <= 2)
        return torch.stack([fooled, ~fooled], 1).to(x.dtype) * self.scale


def test_a_success_the_model_takes_back_is_no_success(samples: Make) -> None:
    x, _ = samples()
    subject = prepared(Fickle(x), x, torch.ones(40, dtype=torch.long))
    piece = first_attack(subject, sp.Linf(0.1), "square(steps=1)").work(subject, ROWS)
    assert piece.columns["status"] == ["unconfirmed"] * 4
    assert piece.columns["met"] == [False] * 4
    assert piece.evidence is not None, "a claim is evidence, also against itself"
    assert len(piece.evidence.sample) == 4


def work_alone_and_together(stage: Stage, subject: Subject) -> tuple[list[Any], list[Any]]:
    """What must agree. Not the counts: a finished sample is asked along until its batch is narrowed."""
    together = stage.work(subject, ROWS).columns
    alone = [stage.work(subject, ROWS[i : i + 1]).columns for i in range(len(ROWS))]
    names = ("sample", "met", "predicted", "status", "steps", "radius")
    return [together[n] for n in names], [[one[n][0] for one in alone] for n in names]


@pytest.mark.parametrize("attack", ["pgd(steps=4)", "bim", "square(steps=9)"])
def test_a_result_does_not_depend_on_the_company(network: Make, samples: Make, attack: str) -> None:
    subject = prepared(network(), *samples())
    for threat in (sp.Linf(0.1), sp.Linf(torch.linspace(0.02, 0.3, 40, dtype=torch.float64))):
        together, alone = work_alone_and_together(first_attack(subject, threat, attack), subject)
        assert together == alone


def test_masks_and_radii_go_with_their_samples(network: Make, samples: Make) -> None:
    x, y = samples()
    subject = prepared(network(), x, y)
    mask = torch.rand(40, 2, 3, 3, generator=torch.Generator().manual_seed(1)) < 0.5
    radius = torch.linspace(0.1, 0.9, 40, dtype=torch.float64)
    stage = first_attack(subject, sp.Linf(radius, mask=mask), "pgd(steps=5)")
    piece = stage.work(subject, ROWS)
    assert piece.columns["radius"] == radius[ROWS].tolist()
    assert piece.evidence is not None
    changed = (piece.evidence.x_adv - piece.evidence.x).abs()
    own = torch.tensor([ROWS.tolist().index(i) for i in piece.evidence.sample.tolist()])
    assert not changed[~mask[ROWS][own]].any()
    assert (changed.flatten(1).amax(1) <= radius[ROWS][own] * (1 + 1e-6)).all()


def test_stages_draw_their_own_numbers(network: Make, samples: Make) -> None:
    subject = prepared(network(), *samples())
    stage = first_attack(subject, sp.Linf(0.001), "square(steps=1)")
    values = [
        dc.replace(stage, **change).work(subject, ROWS).columns["value"]
        for change in ({}, {"tag": "pgd-2"}, {"label": "linf"}, {"seed": 1}, {"name": "07-pgd"})
    ]
    assert values[0] == values[4]
    assert len({str(v) for v in values}) == 4
