"""Rows of several runs: what is told of them is how the runs differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import reported

from pytest_sdbatch.report.measured import of_runs
from pytest_sdbatch.report.table import columns, rows
from pytest_sdbatch.report.terminal import legend

if TYPE_CHECKING:
    from pytest_sdbatch.records import Run
    from tests.unit.report.conftest import Maker


def runs(maker: Maker, *seconds: tuple[float, ...]) -> list[Run]:
    """Return a run of one case for each of *seconds*, those of its rounds."""
    return [
        reported.run(maker.record(1, rounds=maker.rounds(one)), number=number) for number, one in enumerate(seconds)
    ]


def test_many_quiet_rounds_hide_no_difference_between_runs(sd15: Maker) -> None:
    """Two runs at 1 and 1.1 s, each the same to the last bit: Student's t of two readings, however many rounds."""
    measured = of_runs(runs(sd15, (1.0,) * 30, (1.1,) * 30))
    (row,) = rows(measured.records.values())

    assert row.call_interval is not None
    half = 12.706 * (math.log(1.1) / math.sqrt(2)) / math.sqrt(2)
    assert math.log(row.call_interval.high / row.call_interval.estimate) == pytest.approx(half, rel=1e-3)
    assert (row.runs, row.unreliable) == (2, False)
    assert {column.key: column.header for column in columns([row])}["spread"] == "between\nruns"
    assert legend(list(measured.records.values()), {"spread"})[0].startswith(
        "between runs: 95 % interval by how 2 processes differ"
    )


def test_a_row_is_doubtful_if_it_was_in_one_of_its_runs(sd15: Maker) -> None:
    """Together their rounds may be as many as it takes for a narrow interval."""
    noisy = (1.0, 1.5, 0.7, 2.0, 1.1)
    (row,) = rows(of_runs(runs(sd15, noisy, *[(1.0, 1.01, 1.02, 0.99, 1.0)] * 5)).records.values())

    assert row.unreliable
    assert row.notes[0].startswith("its rounds differ a lot")


def test_one_run_alone_is_told_as_before(sd15: Maker) -> None:
    """Its interval is that of its rounds."""
    (row,) = rows(of_runs(runs(sd15, (1.0, 1.01, 1.02, 0.99, 1.0))).records.values())

    assert row.runs == 1
    assert {column.key: column.header for column in columns([row])}["spread"] == "within\nthis run"
