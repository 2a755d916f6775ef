from __future__ import annotations

import dataclasses as dc

import torch

from saddlepoint.core import Result, Status
from saddlepoint.core.result import concatenate


def result(n: int = 3, offset: int = 0) -> Result:
    numbers = torch.arange(n) + offset
    return Result(
        x_adv=numbers.double()[:, None],
        delta=numbers.double()[:, None] / 10,
        value=numbers.double(),
        met=numbers % 2 == 1,
        size=numbers.double() / 10,
        forwards=numbers,
        backwards=2 * numbers,
        steps=3 * numbers,
        status=(numbers % 2).to(torch.int8),
    )


def test_rows_narrow_every_field() -> None:
    part = result().rows(torch.tensor([2, 0]))
    assert len(part) == 2
    for field in dc.fields(Result):
        assert torch.equal(getattr(part, field.name), getattr(result(), field.name)[[2, 0]])


def test_merge_picks_rows_and_adds_up_the_questions() -> None:
    merged = result().merge(result(offset=100), torch.tensor([False, True, False]))
    assert merged.value.tolist() == [0, 101, 2]
    assert merged.x_adv.flatten().tolist() == [0, 101, 2]
    assert merged.status.tolist() == [0, 1, 0]
    assert merged.steps.tolist() == [0, 303, 6]
    assert merged.forwards.tolist() == [100, 102, 104]
    assert merged.backwards.tolist() == [200, 204, 208]
    assert merged.queries is merged.forwards


def test_concatenate_is_the_reverse_of_rows() -> None:
    whole = result(5)
    parts = [whole.rows(torch.tensor(rows)) for rows in ([0], [1, 2, 3], [4])]
    again = concatenate(parts)
    for field in dc.fields(Result):
        assert torch.equal(getattr(again, field.name), getattr(whole, field.name))


def test_the_success_rate_is_over_all_samples() -> None:
    assert result(4).success_rate == 0.5
    assert torch.tensor(result(0).success_rate).isnan()


def test_the_numbers_of_the_statuses_are_part_of_the_file_format() -> None:
    assert {s.name: int(s) for s in Status} == {
        "HELD": 0,
        "FOOLED": 1,
        "CLEAN": 2,
        "OUT_OF_BUDGET": 3,
        "UNCONFIRMED": 4,
    }
