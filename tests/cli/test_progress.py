from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress, TextColumn

from saddlepoint.auditing.listener import Silent
from saddlepoint.cli.progress import PAUSE, Bars, Lines, Reporter, Tally, progress


class Clock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stream():
    return io.StringIO()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reporter(stream, clock):
    return Reporter(Lines(Console(file=stream, width=60), clock))


def test_an_audit_is_told_in_lines(reporter, stream):
    reporter.begin(["none 00-clean", "linf:0.1 01-pgd"], 50)
    reporter.stage("00-clean", 50, 50)
    reporter.piece(50, 50, 5, 1.0)
    reporter.estimate(125.0)
    reporter.stage("01-pgd", 45, 45)
    reporter.piece(45, 45, 30, 9.0)
    assert stream.getvalue().splitlines() == [
        "50 samples, 2 stages",
        "clean: 50 of 50 · 45 standing (90.0 %) · 50.0 samples/s",
        "about 2 min 5 s at most on this machine",
        "linf:0.1 pgd: 45 of 45 · 15 standing (30.0 %) · 5.0 samples/s",
    ]


def test_lines_are_rare_in_the_middle_of_a_stage(reporter, stream, clock):
    reporter.begin(["linf:0.1 01-pgd"], 100)
    reporter.stage("01-pgd", 100, 100)
    for done in range(10, 100, 10):
        clock.now += PAUSE / 3 + 0.1
        reporter.piece(done, 100, 0, 1.0)
    assert [line.split()[2] for line in stream.getvalue().splitlines()[1:]] == ["30", "60", "90"]


def test_pieces_of_an_earlier_run_say_nothing_about_the_rate():
    tally = Tally(100)
    tally.begin("linf:0.1 01-pgd", 100, 100)
    tally.add(90, 100, 40, 0.0)
    assert tally.rate is None
    assert tally.line == "90 of 100 · 60 standing (60.0 %)"
    tally.add(95, 100, 1, 10.0)
    assert tally.rate == 0.5
    assert tally.line == "95 of 100 · 59 standing (59.0 %) · 0.5 samples/s · 10 s left"


def test_the_search_for_the_smallest_does_not_count_who_stands():
    tally = Tally(100)
    tally.begin("linf:inf 03-fmn-curve", 90, 90)
    tally.add(45, 90, 45, 1.0)
    assert tally.line == "45 of 90 · 45.0 samples/s · 1.0 s left"


def test_sentinels_are_few_of_those_who_stand():
    tally = Tally(100)
    tally.begin("linf:0.1 02-square", 10, 80)
    tally.add(10, 10, 3, 0.0)
    assert tally.line == "10 of 10 · 77 standing (77.0 %)"


@pytest.mark.parametrize("seconds", [None, 0.5, 9.0])
def test_short_or_unknown_estimates_are_not_worth_a_line(reporter, stream, seconds):
    reporter.estimate(seconds)
    assert stream.getvalue() == ""


def test_notices_are_told_as_they_are(reporter, stream):
    text = "[red]square was left out[/red]: " + "x" * 100
    reporter.notice(text)
    assert stream.getvalue() == f"note: {text}\n"


def test_bars_show_the_same_on_a_terminal(stream):
    console = Console(file=stream, width=120, force_terminal=True, color_system=None)
    with Progress(TextColumn("{task.description}"), TextColumn("{task.fields[line]}"), console=console) as bars:
        reporter = Reporter(Bars(bars))
        reporter.begin(["linf:0.1 01-pgd"], 50)
        reporter.stage("01-pgd", 45, 45)
        reporter.piece(45, 45, 30, 9.0)
        reporter.notice("[bold] memory ran out")
    shown = stream.getvalue()
    assert "linf:0.1 pgd 45 of 45 · 15 standing (30.0 %) · 5.0 samples/s" in shown
    assert "note: [bold] memory ran out" in shown


def test_quiet_is_silent(capsys):
    with progress(quiet=True) as listener:
        assert isinstance(listener, Silent)
        listener.begin(["none 00-clean"], 3)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_lines_go_to_stderr(capsys):
    with progress(quiet=False) as listener:
        listener.begin(["none 00-clean"], 3)
    assert capsys.readouterr() == ("", "3 samples, 1 stage\n")
