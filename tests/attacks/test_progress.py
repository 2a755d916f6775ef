from __future__ import annotations

import math

import pytest
import torch

import saddlepoint as sp
from saddlepoint.access import GradientAccess
from saddlepoint.attacks.progress import COLUMNS, Progress, questions
from saddlepoint.attacks.run import Question, run
from saddlepoint.core.goal import targeted, untargeted
from saddlepoint.noise import Noise
from saddlepoint.testing.problems import MLP, SHAPE


def logits(*margins: float) -> torch.Tensor:
    """Logits [n, 2] of samples of class 0 whose margin away from it is this."""
    return torch.tensor([[0.0, margin] for margin in margins], dtype=torch.float64)


def test_each_column_ends_at_the_last_question_that_falls_into_it() -> None:
    for column in range(2, COLUMNS - 1):
        inside, behind = questions(column), questions(column) + 1
        assert math.floor(2 * math.log2(inside)) == column
        assert math.floor(2 * math.log2(behind)) > column


def test_the_best_margin_is_kept_question_by_question() -> None:
    """Margins from -4: -3, -3.5 (worse), -1, 0.5 are 0.75, 0.75, 0.25 and nothing left; the other is asked twice."""
    progress = Progress(untargeted(torch.zeros(2, dtype=torch.long)), logits(-4, -2))
    both, one = torch.tensor([0, 1]), torch.tensor([0])
    for k, (rows, seen) in enumerate(
        [(both, logits(-3, -2.5)), (both, logits(-3.5, -1)), (one, logits(-1)), (one, logits(0.5))], 1
    ):
        progress(rows, seen, torch.full_like(rows, k))
    first, second = progress.left()
    assert first == [0.75, 0.75, 0.75, 0.25, 0.0]
    assert second == [1.0, 1.0, 0.5]
    assert progress.best.tolist() == [0.5, -1.0]


def test_many_questions_at_once_count_by_the_best_and_no_answer_counts_for_nothing() -> None:
    progress = Progress(targeted(torch.ones(1, dtype=torch.long)), logits(-2))
    several = torch.stack([logits(-1.5), logits(-1), torch.full((1, 2), torch.nan, dtype=torch.float64)])
    row = torch.tensor([0])
    progress(row, several[:2], torch.tensor([2]))
    assert progress.best.tolist() == [-1.0]
    progress(row, several[2], torch.tensor([3]))
    assert progress.best.tolist() == [-1.0]


@pytest.mark.parametrize("name", ["pgd", "triage", "square", "apgd_ce"])
def test_watching_changes_nothing_and_ends_where_the_attack_ends(name: str) -> None:
    x = torch.rand(12, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, threat = sp.wrap(MLP(seed=0)), sp.Linf(0.05)
    recipe = sp.attacks.get(name)
    results = []
    for watched in (False, True):
        with model.quiet():
            clean = model(x).detach()
            goal = untargeted(clean.argmax(1))
            access = model.access(len(x))
            access.watch = progress = Progress(goal, clean) if watched else None
            question = Question(x, goal, threat, threat.radii(x), Noise.seeded(0, torch.arange(len(x))))
            attack = recipe.attack(threat, steps=20)
            found = run(attack, access.lower(recipe.access), question, clean)
            results.append(found)
    assert progress is not None
    assert torch.equal(results[0].x_adv, results[1].x_adv)
    assert torch.equal(results[0].forwards, results[1].forwards)
    assert torch.equal(progress.best > 0, results[1].met)
    assert bool((progress.best >= goal.margin(model(results[1].x_adv)).detach() - 1e-9).all())
    ends = [row[-1] for row in progress.left()]
    assert all((end == 0) == bool(met) for end, met in zip(ends, results[1].met, strict=True))
    assert isinstance(access, GradientAccess)
