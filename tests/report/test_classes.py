from __future__ import annotations

import dataclasses as dc

from saddlepoint.auditing.summary import ClassShare
from saddlepoint.report.classes import MOST, class_rows


def rows_of(summary, *shares):
    return class_rows(summary, dc.replace(summary.threats[0], classes=shares))


def test_the_worst_class_is_marked(summary):
    cat, dog = class_rows(summary, summary.threats[0])
    assert (cat.name, cat.taken_for, cat.worst) == ("cat", "dog", False)
    assert (dog.name, dog.taken_for, dog.worst) == ("dog", "cat", True)
    assert (dog.clean, dog.robust) == (194 / 210, 69 / 210)


def test_where_most_are_equally_bad_none_is_the_worst(summary):
    three = [ClassShare(k, 10, 9, robust, None) for k, robust in enumerate((2, 2, 5))]
    assert not any(row.worst for row in rows_of(summary, *three))
    assert not any(row.worst for row in rows_of(summary, *three[:2]))
    assert rows_of(summary) == ()


def test_classes_without_samples_are_passed_over(summary):
    assert [row.share.label for row in rows_of(summary, ClassShare(0, 0, 0, 0, None), ClassShare(1, 2, 2, 1, 0))] == [1]


def test_of_many_classes_those_that_withstand_least_are_shown_in_their_order(summary):
    many = [ClassShare(k, 1000, 1000, 999 - k, None) for k in range(MOST + 50)]
    assert [row.share.label for row in rows_of(summary, *many)] == list(range(50, MOST + 50))
