"""The verdict on a run: its exit status, its last word, and the second report of what regressed."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from compared import quiet_side
from configured import host_with, items_with, record_of, report_of, reporter_of, screen_of, told_of

from pytest_sdbatch.analysis.comparison import Comparison, compare
from pytest_sdbatch.bridges import gate, verdict
from pytest_sdbatch.bridges.gate import Gate
from pytest_sdbatch.bridges.screen import SECOND_REPORT
from pytest_sdbatch.host import Host, host_of
from pytest_sdbatch.records import Outcome

GATE = ("--sd-gate", "--sd-baseline=main", "--sd-batch-sizes=1")


def compared(factor: float = 1.0, *, base: int = 5) -> Comparison:
    """Return the comparison of four runs with so many of a base that took 1 s."""
    return compare(quiet_side("base", base, {1: 1.0}), quiet_side("new", 4, {1: factor}))


def gated(pytester: pytest.Pytester, found: Comparison | None, *more: str, name: str | None = "main") -> Host:
    """Return the host of a run that has measured a case, and was compared with that result."""
    (item,) = items_with(pytester, *GATE, *more)
    host = host_of(item.config)
    host.session.keep(record_of(item, *[1.0] * 5))
    host.gate = Gate(enforced=True, name=name)
    host.gate.comparison = found
    return host


def ended(host: Host, status: int = 0) -> tuple[int, str]:
    """Return exit status and last word of a run that pytest would end with *status*."""
    session: Any = SimpleNamespace(exitstatus=pytest.ExitCode(status), config=host.config)
    verdict.finish(session, host)
    return int(session.exitstatus), host.gate.last_word if host.gate is not None else ""


@pytest.mark.parametrize(
    ("factor", "base", "more", "status", "said"),
    [
        (1.0, 5, (), 0, "1 case compared, none regressed"),
        (1.2, 5, (), 10, "1 case compared, 1 regressed (exit status 10)"),
        (1.02, 5, (), 0, "1 case compared, 1 inconclusive; "),
        (1.02, 5, ("-o", "sd_fail_on=inconclusive"), 11, "1 case compared, 1 inconclusive; "),
    ],
)
def test_the_exit_status_is_that_of_the_comparison(
    pytester: pytest.Pytester, factor: float, base: int, more: tuple[str, ...], status: int, said: str
) -> None:
    """The first that applies; inconclusive fails only where that was asked for."""
    found, last = ended(gated(pytester, compared(factor, base=base), *more))

    assert found == status
    assert last.startswith(said)


@pytest.mark.parametrize("status", [1, 2, 3, 4])
def test_a_status_that_pytest_has_stays(pytester: pytest.Pytester, status: int) -> None:
    """A failed test, a run that was stopped: what the gate found is said, at most."""
    assert ended(gated(pytester, compared(1.2)), status)[0] == status


def test_what_was_not_compared_is_no_pass(pytester: pytest.Pytester) -> None:
    """The run did not come to its end, or nothing was measured; a gate that says nothing must not be green."""
    assert ended(gated(pytester, None)) == (12, "not compared: the run did not come to its end (exit status 12)")
    nothing = host_with(pytester, *GATE)
    assert ended(nothing)[0] == 12


def test_limits_alone_are_a_gate_where_there_are_some(pytester: pytest.Pytester) -> None:
    """Without a baseline and without a limit there was nothing to keep."""
    host = gated(pytester, None, name=None)
    assert ended(host)[0] == 12
    assert host.gate is not None
    (item,) = items_with(pytester, *GATE)
    told = {"name": "a", "budget": {}, "limited": True}
    host.gate.tell(report_of(item), told)
    assert ended(host) == (0, "limits alone, of 1 case; no baseline was named")


def test_a_device_that_cannot_be_believed_goes_before_all(pytester: pytest.Pytester) -> None:
    """Whatever was found on it."""
    host = gated(pytester, compared(1.2))
    (item,) = items_with(pytester, *GATE)
    slow = record_of(item, *[1.0] * 5, outcome=Outcome.THROTTLED, reason="5 of 5 rounds slowed down by heat")
    host.session.keep(slow)

    assert ended(host)[0] == 13


def test_a_plan_has_no_verdict(pytester: pytest.Pytester) -> None:
    """Neither has a run that only shows the comparison."""
    assert ended(gated(pytester, compared(1.2), "--sd-plan")) == (0, "")
    shown = gated(pytester, compared(1.2))
    assert shown.gate is not None
    shown.gate.enforced = False
    assert ended(shown) == (0, "")


@pytest.mark.parametrize(("factor", "doubt"), [(1.0, None), (1.2, "1 case regressed against main")])
def test_a_run_that_regressed_is_no_baseline(pytester: pytest.Pytester, factor: float, doubt: str | None) -> None:
    """Else the next one would be compared with the slower code."""
    assert verdict.unfit(gated(pytester, compared(factor))) == doubt


@pytest.mark.parametrize("failed", [False, True])
def test_a_case_that_regressed_fails_its_test_once(pytester: pytest.Pytester, failed: bool) -> None:
    """By a second report for its node id; a test that pytest counts as failed already needs none."""
    (item,) = items_with(pytester, *GATE)
    host = host_of(item.config)
    record = record_of(item, *[1.0] * 5)
    host.session.keep(record)
    host.gate = Gate(enforced=True, name="main")
    report = report_of(item, outcome="failed" if failed else "passed")
    gate.attach(item, report, record)
    gate.hear(report, host)
    (test,) = host.gate.tests
    base, new = (
        [replace(one, cases=dict.fromkeys([test], *one.cases.values())) for one in quiet_side(name, runs, {1: call_s})]
        for name, runs, call_s in (("base", 5, 1.0), ("new", 4, 1.2))
    )
    if failed:
        host.session.keep(replace(record, test_outcome="failed"))

    verdict._fail_regressed(host, host.gate, compare(base, new))

    second = [one for one in told_of(host) if SECOND_REPORT in vars(one)]
    assert len(second) == (0 if failed else 1)
    for one in second:
        assert (one.nodeid, one.outcome, one.when) == (item.nodeid, "failed", "call")
        assert "time: 1.00 s -> 1.20 s per call, +20 %" in str(one.longrepr)
    ended = ("failed", None) if failed else ("regressed", "regressed against main by 4 runs of this code")
    assert [(kept.test_outcome, kept.reason) for kept in host.records] == [ended]


def test_the_comparison_is_on_the_screen(pytester: pytest.Pytester) -> None:
    """With a block for what regressed where no test failed over it; else the failures have it."""
    host = gated(pytester, compared(1.2))
    screen = screen_of(host)
    assert host.gate is not None
    for enforced in (True, False):
        host.gate.enforced = enforced
        verdict.summary(reporter_of(host), host)

    first, second = screen.getvalue().split("compared with main")[1:]
    assert "1 case compared: 1 regressed" in first
    assert "budget: 1 %" not in first
    assert "budget: 1 %" in second


def test_the_last_word_is_said_where_there_is_one(pytester: pytest.Pytester) -> None:
    """Behind all that pytest prints."""
    host = gated(pytester, compared())
    screen = screen_of(host)
    verdict.say_last(host)
    assert screen.getvalue() == ""
    ended(host)
    verdict.say_last(host)

    assert screen.getvalue() == "sdbatch: gate: 1 case compared, none regressed\n"
