"""Iterated FGSM made to carry over to models that were not asked: momentum, views, smooth slopes, tuned variance."""

from __future__ import annotations

from saddlepoint.access.asking import GradientAccess
from saddlepoint.attacks.anneal import Anneal
from saddlepoint.attacks.iterate import Iterate
from saddlepoint.attacks.recipe import recipe
from saddlepoint.attacks.recipes.pgd import at_least_one
from saddlepoint.core.protocols import Attack, Gradient
from saddlepoint.errors import OptionError
from saddlepoint.gradients import Resized, Smoothed, Through, backprop, halved
from saddlepoint.initializers import zero
from saddlepoint.objectives import cross_entropy
from saddlepoint.optimizers.ascent import Ascent
from saddlepoint.optimizers.intermediate import Intermediate
from saddlepoint.optimizers.schedules import constant
from saddlepoint.optimizers.tuned import Tuned
from saddlepoint.sets import L1, L2, STEEP, Linf, Neighborhood, Nuclear, Patch

PIXELS: tuple[type[Neighborhood], ...] = (Linf, L2, L1, Nuclear, Patch)
"""Sets whose perturbations are pictures, with slopes that can be smoothed."""
NESTEROV = "Lin et al.: Nesterov accelerated gradient and scale invariance for adversarial attacks, ICLR 2020"
VARIANCE = "Wang, He: Enhancing the transferability of adversarial attacks through variance tuning, CVPR 2021"


@recipe(access=GradientAccess, sets=STEEP, paper=NESTEROV)
def ni_fgsm(threat: Neighborhood, steps: int = 10, decay: float = 1.0) -> Attack[GradientAccess]:
    """MI-FGSM whose slope is taken where the momentum leads.

    g <- decay · g + ∇ / mean|∇| with ∇ at δ + step · decay · g.
    """
    return family(threat, steps, decay, lookahead=True)


@recipe(access=GradientAccess, sets=STEEP, paper=NESTEROV)
def si_fgsm(threat: Neighborhood, steps: int = 10, decay: float = 1.0, scales: int = 5) -> Attack[GradientAccess]:
    """MI-FGSM on the mean slope over ``scales`` copies of the input, x / 2^i."""
    return family(threat, steps, decay, scales=scales)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Xie et al.: Improving transferability of adversarial examples with input diversity, CVPR 2019",
)
def di_fgsm(
    threat: Neighborhood, steps: int = 10, decay: float = 1.0, diversity: float = 0.5
) -> Attack[GradientAccess]:
    """MI-FGSM on images that are resized and moved at random, with a chance of ``diversity``."""
    return family(threat, steps, decay, diversity=diversity)


@recipe(
    access=GradientAccess,
    sets=PIXELS,
    paper="Dong et al.: Evading defenses to transferable adversarial examples by translation-invariant attacks, 2019",
)
def ti_fgsm(threat: Neighborhood, steps: int = 10, decay: float = 1.0, kernel: int = 7) -> Attack[GradientAccess]:
    """MI-FGSM on slopes smoothed by a Gaussian of ``kernel`` x ``kernel`` pixels."""
    return family(threat, steps, decay, kernel=kernel)


@recipe(access=GradientAccess, sets=STEEP, paper=VARIANCE)
def vmi_fgsm(
    threat: Neighborhood, steps: int = 10, decay: float = 1.0, neighbors: int = 20, width: float = 1.5
) -> Attack[GradientAccess]:
    """MI-FGSM on slopes corrected by those of ``neighbors`` points within ``width`` radii, seen the step before."""
    at_least_one(neighbors=neighbors)
    return family(threat, steps, decay, False, neighbors, width)


@recipe(access=GradientAccess, sets=STEEP, paper=VARIANCE)
def vni_fgsm(
    threat: Neighborhood, steps: int = 10, decay: float = 1.0, neighbors: int = 20, width: float = 1.5
) -> Attack[GradientAccess]:
    """VMI-FGSM whose slope is taken where the momentum leads, as in NI-FGSM."""
    at_least_one(neighbors=neighbors)
    return family(threat, steps, decay, True, neighbors, width)


@recipe(
    access=GradientAccess,
    sets=STEEP,
    paper="Huang et al.: Enhancing adversarial example transferability with an intermediate level attack, ICCV 2019",
)
def ila(threat: Neighborhood, steps: int = 10, decay: float = 1.0, layer: str | None = None) -> Attack[GradientAccess]:
    """MI-FGSM, then as many steps that move a layer inside as far as possible the way MI-FGSM moved it.

    ``layer``: name of a module; the middle one of those with weights if none is said, the logits if there are none.
    """
    at_least_one(steps=steps)
    first = Iterate(
        threat, cross_entropy, Ascent(backprop, constant(1.0 / steps), decay), zero, steps, stop_when_met=False
    )
    return Anneal([first, Iterate(threat, cross_entropy, Intermediate(constant(1.0 / steps), layer), zero, steps)])


@recipe(access=GradientAccess, sets=STEEP, paper="all of the above; together: Wang, He, CVPR 2021, section 3.4")
def transferable(
    threat: Neighborhood,
    steps: int = 10,
    decay: float = 1.0,
    lookahead: bool = True,
    neighbors: int = 5,
    width: float = 1.5,
    scales: int = 3,
    diversity: float = 0.5,
    kernel: int | None = None,
) -> Attack[GradientAccess]:
    """All parts of the family at once, each of which can be left out: steps of radius / steps from the clean input.

    ``decay`` of the momentum (0: none), ``lookahead`` (NI), ``neighbors`` points within ``width`` radii (VMI; 0:
    none), ``scales`` copies x / 2^i (SI; 1: the input alone), a chance of ``diversity`` for a resized view (DI), slopes
    smoothed by a Gaussian of ``kernel`` pixels (TI; odd, 1: none; by default 3 where perturbations are pictures). A
    step costs (1 + neighbors) · scales passes forwards and backwards, and a few looks.
    """
    usual = 3 if isinstance(threat, PIXELS) else 1
    smooth = usual if kernel is None else kernel
    return family(threat, steps, decay, lookahead, neighbors, width, scales, diversity, smooth)


def family(
    threat: Neighborhood,
    steps: int,
    decay: float,
    lookahead: bool = False,
    neighbors: int = 0,
    width: float = 1.5,
    scales: int = 1,
    diversity: float = 0.0,
    kernel: int = 1,
) -> Attack[GradientAccess]:
    """As ``transferable``, with nothing but momentum unless asked for."""
    at_least_one(steps=steps, scales=scales, kernel=kernel)
    if kernel > 1 and not isinstance(threat, PIXELS):
        raise OptionError(f"the perturbations of {threat.name} are no pictures to smooth: leave kernel at 1")
    if not kernel % 2:
        raise OptionError(f"a kernel has a middle: its width must be odd, got {kernel}")
    if not 0 <= diversity <= 1:
        raise OptionError(f"diversity is a chance in [0, 1], got {diversity}")
    if neighbors < 0 or not decay >= 0 or not width >= 0:
        raise OptionError(f"neighbors, decay and width must not be negative, got {neighbors}, {decay:g}, {width:g}")
    slope: Gradient[GradientAccess] = backprop
    slope = Through(Resized(diversity), slope) if diversity else slope
    slope = Through(halved, slope, scales) if scales > 1 else slope
    slope = Smoothed(slope, kernel) if kernel > 1 else slope
    climb = Tuned(slope, constant(1.0 / steps), decay, lookahead, neighbors, width)
    return Iterate(threat, cross_entropy, climb, zero, steps)
