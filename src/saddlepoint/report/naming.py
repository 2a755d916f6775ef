"""How threats, attacks, options and classes are called in front of people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from saddlepoint.auditing.summary import StageSummary, Summary, ThreatSummary
from saddlepoint.report.words import short

SET_NAMES = {
    "linf": "Linf",
    "l2": "L2",
    "l1": "L1",
    "l0": "L0",
    "nuclear": "Nuclear",
    "insertions": "Insertions",
    "spatial": "Spatial",
    "flow": "Flow",
    "recolor": "Recolor",
    "wasserstein": "Wasserstein",
    "latent": "Latent",
    "perceptual": "Perceptual",
    "corruption": "Corruption",
    "composed": "Composed",
}


def threat_words(threat: ThreatSummary) -> str:
    """A threat as it is written for people: "Linf 8/255", with what its label says about radii and mask."""
    several = "up to " if "per sample" in threat.threat else ""
    masked = ", masked" if " mask " in threat.threat else ""
    return f"{set_words(threat)} {several}{short(threat.radius)}{masked}"


def stands_words(summary: Summary) -> str:
    """What whatever stands under attack is called."""
    return "robust" if summary.target is None else f"not taken for {summary.target}"


def label_words(label: str, summary: Summary) -> str:
    """The same from the label of a threat; the label itself where the summary has no such threat."""
    return next((threat_words(t) for t in summary.threats if t.threat == label), label)


def set_words(threat: ThreatSummary) -> str:
    """The set of a threat as it is written for people."""
    return SET_NAMES.get(threat.set_name, threat.set_name)


def plan_words(summary: Summary) -> str:
    """How much was tried: the plan, or that attacks were named; empty where an old run does not say.

    >>> from types import SimpleNamespace
    >>> plan_words(SimpleNamespace(settings={"plan": "quick"})), plan_words(SimpleNamespace(settings={"plan": None}))
    ('quick plan', 'attacks as named')
    """
    if "plan" not in summary.settings:
        return ""
    plan = summary.settings["plan"]
    return "attacks as named" if plan is None else f"{plan} plan"


def stage_words(stage: StageSummary, threat: ThreatSummary) -> str:
    """The attack of a stage, and where it ran if that was not this threat."""
    tag = stage.name.partition("-")[2].replace("-curve", "").replace("-brittle", ", where nearly all fell")
    tag = tag.replace("-sampled", ", again").replace("-sentinels", ", sentinels").replace("-doubted", ", if in doubt")
    tag = (
        tag.replace("-flat", ", if scores are flat")
        .replace("-nearest", ", if none of the closest fell")
        .replace("-closest", ", the closest")
        .replace("-pressed", ", if one of the closest fell")
    )
    if stage.threat == threat.threat:
        return tag
    radius = stage.threat.partition(":")[2]
    return f"{tag}, any radius" if radius == "inf" else f"{tag} at {stage.threat}"


def option_words(options: Mapping[str, Any]) -> str:
    """Options as they are written in a call.

    >>> option_words({"steps": 100, "restarts": None})
    'steps=100, restarts=None'
    """
    return ", ".join(f"{name}={value}" for name, value in options.items())


def class_words(k: int, summary: Summary) -> str:
    """The name of class ``k`` in the data, or its number where the data name none."""
    classes = summary.data.get("classes") or ()
    return str(classes[k]) if 0 <= k < len(classes) else f"class {k}"
