"""A made-up audit in which no two numbers are alike, so that none can pass for another."""

from __future__ import annotations

import dataclasses as dc
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
import torch
from torch import Tensor

from saddlepoint.auditing.summary import (
    Again,
    ClassShare,
    Climb,
    ClimbPoint,
    CurvePoint,
    Doubt,
    Estimate,
    Example,
    Landscape,
    StageSummary,
    Summary,
    ThreatSummary,
)

EVIL = '<script>alert("x")</script>'
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Dom(HTMLParser):
    """Tags with their attributes, the text of every element, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, list[str]]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, []))

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        for _, words in self.open:
            words.append(data)

    def handle_endtag(self, tag):
        name, words = self.open.pop()
        assert name == tag, f"<{name}> is closed by </{tag}>"
        text = " ".join("".join(words).replace("\u00a0", " ").split())
        self.texts.setdefault(tag, []).append(text)


def stage(name: str, threat: str, ran_on: int, broke: int, **changes: object) -> StageSummary:
    fields: dict[str, object] = {
        "name": name,
        "threat": threat,
        "attack": name.partition("-")[2],
        "options": {"steps": 17, "restarts": None},
        "ran_on": ran_on,
        "broke": broke,
        "forwards": ran_on * 23,
        "backwards": ran_on * 19,
        "seconds": 61.0 + broke,
        "median_size": 0.0712 if broke else None,
        "median_passes": 31.0 if broke else None,
        "complete": True,
    }
    return StageSummary(**{**fields, **changes})  # type: ignore[arg-type]


def point(radius: float, correct: int) -> CurvePoint:
    estimate = Estimate.of(correct, 400)
    return CurvePoint(radius, estimate.value, estimate.low, estimate.high)


def example(sample: int, size: float, threat: str) -> Example:
    return Example(sample, 0, 0, 0.93, 1, 0.58, size, "apgd_ce", threat, threat, "01-apgd_ce", 0)


@pytest.fixture
def summary() -> Summary:
    """400 samples, 371 right; linf:0.1 leaves 137, l2:1.5 leaves 152, both together 129."""
    linf = ThreatSummary(
        threat="linf:0.1",
        set_name="linf",
        radius=0.1,
        robust=Estimate.of(137, 400),
        certified=41,
        stages=(
            stage("01-apgd_ce", "linf:0.1", 371, 203),
            stage("02-square", "linf:0.1", 168, 22),
            stage("05-fmn-curve", "linf:inf", 370, 9, median_size=0.0655),
        ),
        again=(
            Again("06-apgd_ce-sampled", "apgd_ce", {}, 15, 9, 9, 0),
            Again("07-apgd_ce-sampled-2", "apgd_ce", {"steps": 34}, 15, 9, 8, 1),
        ),
        climb=Climb(
            "apgd_ce", 371, (ClimbPoint(1, 1.0, 1.0), ClimbPoint(7, 0.4, 0.6), ClimbPoint(22, 0.3, 0.45)), 168, 0.1
        ),
        curve=(point(0.0, 371), point(0.05, 260), point(0.1, 137), point(0.25, 3)),
        gallery=tuple(example(k, 0.09 - k / 1000, "linf:0.1") for k in range(15)),
        classes=(ClassShare(0, 190, 177, 68, 1), ClassShare(1, 210, 194, 69, 0)),
    )
    l2 = ThreatSummary(
        threat="l2:1.5",
        set_name="l2",
        radius=1.5,
        robust=Estimate.of(152, 400),
        certified=None,
        stages=(stage("03-apgd_ce", "l2:1.5", 371, 219),),
        again=(),
        climb=None,
        curve=(point(0.0, 371), point(1.5, 152)),
        gallery=(),
        classes=(ClassShare(0, 190, 177, 81, 1), ClassShare(1, 210, 194, 71, None)),
    )
    return Summary(
        title="net on things",
        target=None,
        model={"name": "net", "source": "pkg:build", "bounds": [0.0, 1.0], "structure": "feed", "sha256": None},
        data={"name": "things", "n": 400, "classes": ["cat", "dog"]},
        n=400,
        clean_correct=371,
        threats=(linf, l2),
        union=Estimate.of(129, 400),
        certified=None,
        votes=(),
        seed=7,
        settings={"piece_size": 256, "budget": None},
        versions={"saddlepoint": "0.1.0", "torch": "2.13.0"},
        command="saddlepoint audit pkg:build --data things --threat linf:0.1",
        created="2026-11-22T10:00:00+00:00",
        seconds=412.0,
        key="c0ffee" * 10,
        complete=True,
        notices=("fab was left out",),
        doubts=(
            Doubt("zero-slopes", "flag", "Slopes are zero", "31 of 32 slopes are exactly zero", "name the module"),
            Doubt("few-samples", "note", "Few samples", "400 samples", "take more", "linf:0.1"),
        ),
        landscapes=(Landscape(3, 0, "linf:0.1", 0.1, 0.15, ((4.0, 1.0, -2.0), (5.0, 2.0, -1.0), (4.5, 1.5, -1.5))),),
    )


@pytest.fixture
def read_pixels() -> Callable[[Example], tuple[Tensor, Tensor]]:
    """Gray pictures of 6 x 6 pixels, changed by 0.1 up and down."""

    def read(one: Example) -> tuple[Tensor, Tensor]:
        x = torch.full((1, 6, 6), 0.5, dtype=torch.float64)
        change = torch.ones(36, dtype=torch.float64).cumsum(0).remainder(2).mul(2).sub(1).view(1, 6, 6)
        return x, x + 0.1 * change

    return read


@pytest.fixture
def hostile(summary: Summary) -> Summary:
    """The same with markup in every text that comes from outside."""
    linf = summary.threats[0]
    stages = tuple(dc.replace(s, name=f"01-{EVIL}{k}", options={EVIL: EVIL}) for k, s in enumerate(linf.stages))
    gallery = tuple(dc.replace(e, attack=EVIL + str(e.sample % 2)) for e in linf.gallery)
    return dc.replace(
        summary,
        title=EVIL,
        model={EVIL: EVIL, "name": EVIL, "device": EVIL},
        data={"name": EVIL, "classes": [EVIL, EVIL]},
        threats=(dc.replace(linf, set_name=EVIL, stages=stages, gallery=gallery),),
        settings={EVIL: [EVIL, {EVIL: EVIL}]},
        versions={EVIL: EVIL, "saddlepoint": EVIL},
        command=EVIL,
        created=EVIL,
        key=EVIL,
        notices=(EVIL,),
        doubts=(
            Doubt(EVIL, "fatal", EVIL, EVIL, EVIL, EVIL),
            Doubt(EVIL, "flag", EVIL, EVIL, EVIL, "linf:0.1"),
            Doubt(EVIL, "note", EVIL, EVIL, EVIL),
        ),
    )


@pytest.fixture
def parse() -> type[Dom]:
    """Read a page as a browser would."""
    return Dom
