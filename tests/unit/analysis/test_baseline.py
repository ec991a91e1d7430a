"""Which runs may be stored for later comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_sdbatch.analysis.baseline import restless, why_unfit
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=8, width=8, steps=1, batch_size=4, batch_count=2)
QUIET = (1.0, 1.01, 0.99, 1.0, 1.02, 0.98)
BUSY = (1.0, 2.0, 0.5, 1.5, 3.0, 0.4)


def record(outcome: Outcome = Outcome.OK, seconds: tuple[float, ...] = QUIET, **fields: Any) -> Record:
    """Return a record of these rounds."""
    rounds = tuple(Round(wall_s=s, cpu_s=s, call_s=(s / 2, s / 2)) for s in seconds)
    return Record(**{"test": "test_x", "case": CASE, "outcome": outcome, "rounds": rounds, **fields})


def run_of(*records: Record, **fields: Any) -> Run:
    """Return a run of these records."""
    nowhere = Environment(must_match={}, drift={}, shown={})
    return Run(**{"id": "r", "started_at": "now", "environment": nowhere, "options": {}, "records": records, **fields})


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        ((record(),), None),
        ((record(), record(Outcome.SKIPPED, test_outcome="skipped")), None),
        ((record(), record(Outcome.OOM, test_outcome="skipped")), None),
        ((record(), record(Outcome.SPILLED)), None),
        ((record(seconds=QUIET[:3]),), None),
        ((), "nothing was measured"),
        ((record(Outcome.SKIPPED),), "nothing was measured"),
        ((record(Outcome.OOM),), "no case was measured to its end"),
        ((record(), record(test_outcome="failed")), f"{CASE.id} (its test failed)"),
        ((record(), record(Outcome.INVALID_OUTPUT)), f"{CASE.id} (invalid-output)"),
        ((record(), record(Outcome.THROTTLED)), f"{CASE.id} (throttled)"),
        ((record(), record(parallel=2)), f"{CASE.id} (2 processes shared the machine)"),
        ((record(), record(seconds=BUSY)), f"the rounds of 1 case differ a lot (was the machine busy?): {CASE.id} ("),
        ((record(Outcome.CRASHED),) * 4, f"4 of its cases cannot be compared with later: {CASE.id} (crashed), "),
    ],
)
def test_a_run_is_a_baseline_if_something_ran_and_all_that_ran_was_sound_and_quiet(
    kept: tuple[Record, ...], reason: str | None
) -> None:
    """Sizes that do not fit are part of a sound run; anything else that is bad is named by its case."""
    found = why_unfit(run_of(*kept))

    assert (found is None) is (reason is None)
    assert reason is None or reason in (found or "")


def test_an_interrupted_run_is_no_baseline() -> None:
    """Half a grid would make the other half look new."""
    assert why_unfit(run_of(record(), interrupted=True)) == "the run was interrupted"


@pytest.mark.parametrize(("seconds", "wide"), [(QUIET, False), (BUSY, True), (BUSY[:3], False), ((), False)])
def test_rounds_that_differ_by_more_than_a_tenth_are_restless(seconds: tuple[float, ...], wide: bool) -> None:
    """By the half-width of their interval; fewer than five have none."""
    assert (restless(record(seconds=seconds)) is not None) is wide


def test_many_bad_cases_are_not_all_named() -> None:
    """Three are enough to find the cause."""
    bad = [replace(record(Outcome.CRASHED), case=replace(CASE, batch_size=size)) for size in range(1, 9)]

    assert (why_unfit(run_of(*bad)) or "").endswith("b3x2 (crashed), ...")
