"""What is kept: which records have numbers, and which may be compared with later."""

from __future__ import annotations

import dataclasses
import inspect

import pytest

from pytest_sdbatch import records
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Record, Round, full_name

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=4, batch_count=2)
DATA = [item for item in vars(records).values() if dataclasses.is_dataclass(item) and inspect.isclass(item)]


def record(outcome: Outcome = Outcome.OK, *, test_outcome: str = "passed", parallel: int = 1) -> Record:
    """Return a record that ended so."""
    return Record(
        test="benchmarks/test_x.py::test_x", case=CASE, outcome=outcome, test_outcome=test_outcome, parallel=parallel
    )


@pytest.mark.parametrize("item", DATA, ids=lambda item: item.__name__)
def test_data_is_frozen_slotted_and_named(item: type) -> None:
    """Records are handed from the loop to files and reports: nobody changes them on the way."""
    parameters = inspect.signature(item).parameters.values()

    assert item.__dataclass_params__.frozen  # type: ignore[attr-defined]  # what dataclass leaves on a class
    assert "__slots__" in vars(item)
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_sound_outcomes_have_numbers(outcome: Outcome) -> None:
    """Rounds that ended out of memory or with wrong images are no speed."""
    assert outcome.has_numbers is (outcome in {Outcome.OK, Outcome.SPILLED, Outcome.THROTTLED})


def test_outcomes_are_written_as_the_glossary_has_them() -> None:
    """Files, JUnit and screens hold these words."""
    assert [str(outcome) for outcome in Outcome] == [
        "ok", "oom", "spilled", "over-limit", "invalid-output", "invalid-environment", "throttled", "crashed",
        "timeout", "diverged", "skipped",
    ]  # fmt: skip


def test_a_record_is_found_by_its_test_and_case() -> None:
    """Two tests may measure one case."""
    assert record().key == ("benchmarks/test_x.py::test_x", "tiny-sd-fp32-64x64-s4-b4x2")


def test_what_was_not_read_is_unknown() -> None:
    """A figure that nobody read is None, never 0."""
    unread = Round(wall_s=1.0, cpu_s=1.0, call_s=(1.0,))

    assert unread.peak_allocated_bytes is None
    assert unread.stage_s is None
    assert record().load_s.value is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_a_clean_record_is_fit_for_a_baseline(outcome: Outcome) -> None:
    """Anything but ok would make a bad run the next reference."""
    assert record(outcome).fit_for_baseline is (outcome is Outcome.OK)


@pytest.mark.parametrize(("test_outcome", "parallel"), [("failed", 1), ("skipped", 1), ("passed", 2)])
def test_a_record_of_a_failed_or_crowded_test_is_no_baseline(test_outcome: str, parallel: int) -> None:
    """An assertion after measuring, or workers that shared the machine, spoil the record."""
    assert not record(test_outcome=test_outcome, parallel=parallel).fit_for_baseline


@pytest.mark.parametrize(
    ("outcome", "reason", "told"),
    [
        (Outcome.SKIPPED, "batch size 4 ran out of memory", True),
        (Outcome.SKIPPED, "batch size 4 spilled into the host's memory", True),
        (Outcome.SKIPPED, "predicted not to fit: needs 3 GiB more than is in use, 2 GiB free", True),
        (Outcome.SKIPPED, "batch size 4 took 2 s, at most 1 s", False),
        (Outcome.SKIPPED, None, False),
        (Outcome.OOM, "in warm-up: ran out of memory", False),
    ],
)
def test_a_size_that_was_too_slow_is_not_one_that_does_not_fit(
    outcome: Outcome, reason: str | None, told: bool
) -> None:
    """What is not tried because of a limit that was set says nothing of memory."""
    assert dataclasses.replace(record(outcome), reason=reason).predicted_not_to_fit is told


def test_own_parameters_of_a_test_come_behind_ours_in_its_name() -> None:
    """A test that is parametrized over more than the grid has the node id that pytest gives it."""
    assert full_name("t.py::test_x[red]", CASE) == "t.py::test_x[tiny-sd-fp32-64x64-s4-b4x2-red]"
