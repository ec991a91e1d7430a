"""Runs that were too restless to compare with."""

from __future__ import annotations

import pytest
from compared import ended, measured, side

from pytest_sdbatch.analysis.restless import is_noisy, runs_with, was_disturbed

BUSY = [1.0, 2.0, 0.5, 1.5, 3.0, 0.4]


@pytest.mark.parametrize(
    ("case", "noisy"),
    [
        (measured(1, seconds=BUSY), True),
        (measured(1), False),
        (measured(1, seconds=BUSY, state="test failed"), False),  # nothing is compared with it
        (measured(1, seconds=[1.0, 9.0]), False),  # of so few nobody knows
        (ended(1, "oom"), False),
    ],
)
def test_noisy_is_what_would_not_be_stored(case: object, *, noisy: bool) -> None:
    """The same rule as for a new baseline: files of elsewhere may hold what we would have refused."""
    assert is_noisy(case) is noisy  # type: ignore[arg-type]


def test_each_noisy_run_is_named_with_its_cases() -> None:
    """By its number in the side, for the cases that were asked for."""
    runs = side("base", [measured(1), measured(4)], [measured(1, seconds=BUSY), measured(4, seconds=BUSY)])
    one, four = runs[0].cases

    assert list(runs_with(is_noisy, runs, [one, four])) == [(2, [one, four])]
    assert list(runs_with(is_noisy, runs, [one, "test_gone.py::test_it"])) == [(2, [one])]
    assert list(runs_with(is_noisy, runs[:1], [one, four])) == []


def test_a_case_beside_other_work_is_known() -> None:
    """Unless it has no times anyway."""
    crowded = "1 thread had 0.4 of 1 core free: something else was running"

    assert was_disturbed(measured(1, contention=crowded))
    assert not was_disturbed(measured(1))
    assert not was_disturbed(ended(1, "oom", contention=crowded))
