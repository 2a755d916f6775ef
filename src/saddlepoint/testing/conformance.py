"""The conformance suite: what every attack must do, whatever it is. It asks the front door only.

>>> from saddlepoint.attacks import get
>>> check(get("fgsm"), only="radius")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saddlepoint.attacks.recipe import Recipe
from saddlepoint.testing.case import Check
from saddlepoint.testing.checks import answers, goals, invariance, refusals, traces, trouble

_CHECKS: tuple[Check, ...] = (
    answers.is_feasible_and_honest,
    answers.works_in_other_bounds,
    answers.counts_are_exact,
    answers.budgets_are_kept,
    answers.stops_when_out_of_budget,
    answers.survives_running_out_of_memory,
    invariance.ignores_the_batch_size,
    invariance.ignores_the_order,
    invariance.ignores_compaction,
    invariance.ignores_those_already_misclassified,
    invariance.follows_its_seed,
    invariance.ignores_the_scale_of_logits,
    invariance.ignores_the_mode_of_autograd,
    invariance.ignores_the_form_of_tensors,
    traces.leaves_no_trace,
    traces.names_every_device,
    traces.leaves_a_stochastic_network_alone,
    traces.leaves_no_trace_after_an_error,
    traces.asks_no_more_than_it_says,
    trouble.takes_any_dtype,
    trouble.survives_zero_gradients,
    trouble.survives_not_a_number,
    trouble.leaves_the_misclassified_alone,
    trouble.does_nothing_at_radius_0,
    trouble.respects_each_radius,
    trouble.respects_masks,
    trouble.handles_few_classes,
    trouble.solves_the_obvious,
    trouble.takes_a_single_sample,
    trouble.works_with_the_least_effort,
    goals.reaches_targets,
    goals.is_done_where_the_target_is_reached,
    goals.does_not_lose_by_a_larger_radius,
    goals.does_not_lose_by_more_restarts,
    goals.knows_what_counts,
    refusals.refuses_bad_inputs,
    refusals.refuses_bad_labels,
    refusals.refuses_bad_threats,
    refusals.refuses_bad_options,
)


def checks() -> list[Check]:
    """All checks: functions ``(recipe, options=None) -> None`` that raise AssertionError with what is wrong."""
    return list(_CHECKS)


def check(recipe: Recipe, options: Mapping[str, Any] | None = None, only: str = "") -> None:
    """Run all checks on a recipe (those whose name holds ``only``); raise one error that lists all that failed.

    Args:
        recipe: the attack, as ``saddlepoint.attacks.get(name)`` or the ``@recipe`` decorator give it.
        options: what to attack with; by default few steps and restarts, where the recipe has such options.
        only: part of the name of the checks to run.

    Raises:
        AssertionError: one line for each failed check.
    """
    failures = []
    for one in checks():
        if only in one.__name__:
            try:
                one(recipe, options)
            except Exception as error:
                failures.append(f"{one.__name__}: {type(error).__name__}: {error}")
    if failures:
        raise AssertionError(f"{recipe.name} fails {len(failures)} checks:\n" + "\n".join(failures))
