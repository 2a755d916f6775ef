"""The suite must see faults: here is an attack for each of its checks that fails it."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from saddlepoint.access import GradientAccess, ScoreAccess
from saddlepoint.attacks import Iterate, Recipe, get
from saddlepoint.core import Goal, Problem, Result, Status, Trial, targeted, untargeted
from saddlepoint.core.goal import own
from saddlepoint.gradients import backprop
from saddlepoint.initializers import uniform, zero
from saddlepoint.noise import Noise
from saddlepoint.objectives import dlr, margin
from saddlepoint.optimizers import Ascent
from saddlepoint.optimizers.schedules import constant
from saddlepoint.sets import L2, Linf
from saddlepoint.sets.ball import Ball
from saddlepoint.testing import check, checks

Spoil = Callable[..., Result]
HELPER: dict[str, Any] = {}
exec(compile("import torch\ndef hint(n):\n    return torch.arange(n)", "saddlepoint/made_up.py", "exec"), HELPER)
SOUND = dc.replace(get("pgd"), sets=(Linf, L2))


@dc.dataclass(frozen=True)
class Spoiled:
    """An attack with a fault: ``spoil(inner, access, x, goal, noise, radius)`` in place of ``inner``."""

    inner: Iterate[GradientAccess]
    spoil: Spoil

    def __call__(
        self,
        access: GradientAccess,
        x: Tensor,
        goal: Goal,
        noise: Noise,
        radius: Tensor | None = None,
        weight: Tensor | None = None,
        start: Tensor | None = None,
    ) -> Result:
        return self.spoil(self.inner, access, x, goal, noise, radius)


def inner(threat: Ball, steps: int = 5, **knobs: Any) -> Iterate[GradientAccess]:
    rate = constant(2.5 / steps)
    return dc.replace(Iterate(threat, margin, Ascent(backprop, rate), uniform, steps), **knobs)


def recipe(build: Callable[..., Any], **fields: Any) -> Recipe:
    return dc.replace(SOUND, name="faulty", build=build, **fields)


def spoiled(spoil: Spoil) -> Recipe:
    def build(threat: Ball, steps: int = 5) -> Spoiled:
        return Spoiled(inner(threat, steps), spoil)

    return recipe(build)


def too_large(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    found = attack(access, x, *rest)
    return dc.replace(found, delta=2 * found.delta)


def asks_behind_the_back(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    access._ask(x)
    return attack(access, x, *rest)  # type: ignore[no-any-return]


def hides_the_budget(attack: Any, *rest: Any) -> Result:
    found = attack(*rest)
    return dc.replace(found, status=torch.full_like(found.status, Status.HELD))


def asks_all_at_once(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    access.labels(x)
    return attack(access, x, *rest)  # type: ignore[no-any-return]


def depends_on_the_batch(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    found = attack(access, x, *rest)
    return dc.replace(found, delta=found.delta * (1 - 0.01 / len(x)))


def numbers_its_samples_itself(attack: Any, access: Any, x: Tensor, goal: Goal, noise: Noise, radius: Tensor) -> Result:
    return attack(access, x, goal, Noise.seeded(0, torch.arange(len(x))), radius)  # type: ignore[no-any-return]


def draws_from_torch(attack: Any, access: Any, x: Tensor, goal: Goal, noise: Noise, radius: Tensor) -> Result:
    return dc.replace(attack, initializer=zero)(access, x, goal, noise, radius, None, 0.01 * torch.rand_like(x))  # type: ignore[no-any-return]


def spoils_the_weights(attack: Any, access: Any, *rest: Any) -> Result:
    for parameter in access._ask.network.parameters():
        parameter.data.mul_(1.01)
    return attack(access, *rest)  # type: ignore[no-any-return]


def makes_tensors_anywhere(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    HELPER["hint"](len(x))
    return attack(access, x, *rest)  # type: ignore[no-any-return]


def swallows_errors(attack: Any, access: Any, x: Tensor, goal: Goal, noise: Noise, radius: Tensor) -> Result:
    try:
        return attack(access, x, goal, noise, radius)  # type: ignore[no-any-return]
    except RuntimeError:
        return attack(access, x, goal, noise, radius)  # type: ignore[no-any-return]


def works_in_float64(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    x.flatten(1) @ torch.zeros(x[0].numel(), 1, dtype=torch.float64)
    return attack(access, x, *rest)  # type: ignore[no-any-return]


def divides_by_zero(attack: Any, access: Any, x: Tensor, goal: Goal, *rest: Any) -> Result:
    z = x.clone().requires_grad_()
    total = goal.margin(access.logits(z)).sum()
    slope = torch.autograd.grad(total, z)[0] if total.requires_grad else torch.zeros_like(z)
    found = attack(access, x, goal, *rest)
    return dc.replace(found, delta=found.delta + 0 * slope / slope.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1)))


def trusts_its_logits(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    found = attack(access, x, *rest)
    return dc.replace(found, delta=found.delta + 0 * access.scores(x).sum())


def takes_the_largest_radius(attack: Any, access: Any, x: Tensor, goal: Goal, noise: Noise, radius: Tensor) -> Result:
    return attack(access, x, goal, noise, radius.max().expand_as(radius))  # type: ignore[no-any-return]


def ignores_the_mask(attack: Any, *rest: Any) -> Result:
    return dc.replace(attack, set=dc.replace(attack.set, mask=None))(*rest)  # type: ignore[no-any-return]


def ignores_the_box(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    found = attack(access, x, *rest)
    return dc.replace(found, x_adv=found.x_adv.clamp(0, 1), delta=found.x_adv.clamp(0, 1) - x)  # type: ignore[no-any-return]


def does_nothing(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    return dc.replace(attack, initializer=zero, optimizer=Ascent(backprop, constant(0.0)))(access, x, *rest)  # type: ignore[no-any-return]


def likes_small_radii(attack: Any, access: Any, x: Tensor, goal: Goal, noise: Noise, radius: Tensor) -> Result:
    larger = float(radius.max()) > (0.15 if isinstance(attack.set, Linf) else 1.0)
    return attack(access, x, goal, noise, radius * 0.01 if larger else radius)  # type: ignore[no-any-return]


def wants_images(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
    assert x.ndim == 4, "an image, please"
    return attack(access, x, *rest)  # type: ignore[no-any-return]


def forgets_the_target(attack: Any, access: Any, x: Tensor, goal: Goal, *rest: Any) -> Result:
    return attack(access, x, untargeted(access.labels(x)), *rest)  # type: ignore[no-any-return]


def forgets_the_truth(attack: Any, access: Any, x: Tensor, goal: Goal, *rest: Any) -> Result:
    assert goal.truth is None, "a plain goal, please"
    return attack(access, x, goal, *rest)  # type: ignore[no-any-return]


def averages_slopes(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    def mean_slope(problem: Problem[GradientAccess], delta: Tensor) -> tuple[Trial, Tensor]:
        trial, slope = backprop(problem, delta)
        return trial, slope + 0.3 * slope.mean(0, keepdim=True)

    return inner(threat, steps, optimizer=Ascent(mean_slope, constant(0.3)))


def masks_with_zero(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    """The best other logit is searched with the label's own set to 0: below 0 it is always the largest."""

    def objective(logits: Tensor, goal: Goal) -> Tensor:
        others = logits.scatter(-1, goal.label.unsqueeze(-1), 0.0).amax(-1)
        return goal.sign * (others - own(logits, goal.label)).clamp(max=0.0)

    return inner(threat, steps, objective=objective)


def weaker_without_autograd(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    return inner(threat, steps if torch.is_grad_enabled() else 1)


def remembers(threat: Ball, steps: int = 5, calls: list[int] = []) -> Iterate[GradientAccess]:  # noqa: B006
    calls.append(1)
    return inner(threat, steps, optimizer=Ascent(backprop, constant(1 / len(calls))))


def forgets_its_first_start(threat: Ball, steps: int = 5, restarts: int = 1) -> Iterate[GradientAccess]:
    start = uniform if restarts == 1 else zero
    rate = 2.5 / steps if restarts == 1 else 0.01
    return inner(threat, steps, initializer=start, optimizer=Ascent(backprop, constant(rate)))


def needs_three_classes(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    return inner(threat, steps, objective=dlr)


def counts_by_fives(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    return inner(threat, steps - steps % (steps // 2))


def takes_zero_for_the_default(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
    return inner(threat, steps if steps > 0 else 5)


def claims_scores(threat: Ball, steps: int = 5) -> Spoiled:
    def peeks(attack: Any, access: Any, x: Tensor, *rest: Any) -> Result:
        access.__class__ = GradientAccess
        return attack(access, x, *rest)  # type: ignore[no-any-return]

    return Spoiled(inner(threat, steps), peeks)


class Rude(Recipe):
    """A front door that lets everything in, and changes what was right already."""

    def __call__(self, model: Any, x: Any, y: Any, threat: Any = None, **options: Any) -> Result:
        x = torch.as_tensor(x).double().nan_to_num(0.5, 0.5, 0.5).clamp(0, 1)
        goal = y if isinstance(y, Goal) else untargeted(y.argmax(1) if y.ndim == 2 else y.long().clamp(0, 3))
        kind = type(threat) if isinstance(threat, Ball) else Linf
        found = super().__call__(model, x, goal, kind(0.05), steps=2)
        return dc.replace(found, x_adv=(found.x_adv + 0.01).clamp(0, 1))


RUDE = Rude(**{f.name: getattr(SOUND, f.name) for f in dc.fields(SOUND)})


class FormDependent(Recipe):
    """Reads the memory of its input in the order it lies there."""

    def __call__(self, model: Any, x: Tensor, *rest: Any, **options: Any) -> Result:
        lies = torch.as_strided(x, x.shape, torch.empty(x.shape).stride())
        return super().__call__(model, lies, *rest, **options)


FORM = FormDependent(**{f.name: getattr(SOUND, f.name) for f in dc.fields(SOUND)})

FAULTS: list[tuple[Recipe, tuple[str, ...]]] = [
    (spoiled(too_large), ("is_feasible_and_honest",)),
    (spoiled(ignores_the_box), ("works_in_other_bounds",)),
    (spoiled(asks_behind_the_back), ("counts_are_exact", "budgets_are_kept")),
    (spoiled(hides_the_budget), ("stops_when_out_of_budget",)),
    (spoiled(asks_all_at_once), ("survives_running_out_of_memory",)),
    (spoiled(depends_on_the_batch), ("ignores_the_order",)),
    (spoiled(numbers_its_samples_itself), ("ignores_the_order", "follows_its_seed")),
    (recipe(averages_slopes), ("ignores_the_batch_size", "ignores_compaction", "ignores_those_already_misclassified")),
    (spoiled(draws_from_torch), ("follows_its_seed",)),
    (recipe(masks_with_zero), ("ignores_the_scale_of_logits",)),
    (recipe(weaker_without_autograd), ("ignores_the_mode_of_autograd",)),
    (FORM, ("ignores_the_form_of_tensors",)),
    (spoiled(spoils_the_weights), ("leaves_no_trace",)),
    (spoiled(makes_tensors_anywhere), ("names_every_device",)),
    (recipe(forgets_its_first_start), ("does_not_lose_by_more_restarts",)),
    (recipe(remembers), ("leaves_a_stochastic_network_alone", "follows_its_seed")),
    (spoiled(swallows_errors), ("leaves_no_trace_after_an_error",)),
    (recipe(claims_scores, access=ScoreAccess), ("asks_no_more_than_it_says",)),
    (spoiled(works_in_float64), ("takes_any_dtype",)),
    (spoiled(divides_by_zero), ("survives_zero_gradients",)),
    (spoiled(trusts_its_logits), ("survives_not_a_number",)),
    (spoiled(takes_the_largest_radius), ("respects_each_radius",)),
    (spoiled(ignores_the_mask), ("respects_masks",)),
    (recipe(needs_three_classes), ("handles_few_classes",)),
    (spoiled(does_nothing), ("solves_the_obvious", "reaches_targets", "does_not_lose_by_a_larger_radius")),
    (spoiled(likes_small_radii), ("does_not_lose_by_a_larger_radius",)),
    (spoiled(wants_images), ("takes_a_single_sample",)),
    (recipe(counts_by_fives), ("works_with_the_least_effort",)),
    (spoiled(forgets_the_target), ("reaches_targets",)),
    (spoiled(forgets_the_truth), ("knows_what_counts",)),
    (recipe(takes_zero_for_the_default), ("refuses_bad_options",)),
    (RUDE, ("refuses_bad_inputs", "refuses_bad_labels", "refuses_bad_threats")),
    (
        RUDE,
        ("does_nothing_at_radius_0", "leaves_the_misclassified_alone", "is_done_where_the_target_is_reached"),
    ),
]
PAIRS = [(faulty, name) for faulty, names in FAULTS for name in names]
BY_NAME = {one.__name__: one for one in checks()}


@pytest.mark.parametrize(("faulty", "name"), PAIRS, ids=[f"{i}-{name}" for i, (_, name) in enumerate(PAIRS)])
def test_a_check_sees_its_fault(faulty: Recipe, name: str) -> None:
    with pytest.raises(Exception) as failure:
        BY_NAME[name](faulty, None)
    assert str(failure.value)


def test_every_check_is_seen_to_fail() -> None:
    assert {name for _, name in PAIRS} == set(BY_NAME)


@pytest.mark.parametrize("name", ["is_feasible_and_honest", "ignores_compaction", "respects_masks", "reaches_targets"])
def test_the_attack_the_faulty_ones_are_made_of_is_sound(name: str) -> None:
    def build(threat: Ball, steps: int = 5) -> Iterate[GradientAccess]:
        return inner(threat, steps)

    BY_NAME[name](recipe(build), None)


def test_check_lists_all_failures_at_once() -> None:
    with pytest.raises(AssertionError) as failure:
        check(spoiled(does_nothing), only="es_t")
    lines = str(failure.value).splitlines()
    assert lines[0].startswith("faulty fails ")
    assert any(line.startswith("solves_the_obvious: AssertionError: ") for line in lines)
    assert any(line.startswith("reaches_targets: AssertionError: ") for line in lines)
    check(get("fgsm"), only="misclassified")


def test_names_say_what_is_demanded() -> None:
    for one in checks():
        assert one.__doc__
        assert one.__name__.split("_")[0] not in ("test", "check")
    assert targeted(torch.tensor([0])).toward
