"""One record a case from one run or several, and what was timed of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.records import Compilation, Environment, Outcome, Reading, Record, Run
from pytest_sdbatch.report.answer import answer_of_runs, answer_sentences
from pytest_sdbatch.report.measured import of_records, of_runs
from pytest_sdbatch.report.table import rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30


def runs_of(*each: Sequence[Record]) -> list[Run]:
    """Return a run of each of the sequences of records."""
    nowhere = Environment(must_match={}, drift={}, shown={})
    return [
        Run(id=str(number), started_at="", environment=nowhere, options={}, records=tuple(records))
        for number, records in enumerate(each)
    ]


def test_the_rounds_of_several_runs_are_kept_apart(sd15: Maker) -> None:
    """What differs between processes is how sure a time is; their rounds together are its figure."""
    measured = of_runs(runs_of([sd15.record(2, call_s=1.0)], [sd15.record(2, call_s=1.2)]))

    (timing,), (record,) = measured.timings.values(), measured.records.values()
    assert timing.runs == ((1.0,) * 5, (1.2,) * 5)
    assert len(record.rounds) == 10


def test_one_run_is_what_its_records_are(curve: list[Record]) -> None:
    """A file with one run answers as the run did when it ended."""
    assert of_runs(runs_of(curve)) == of_records(curve)
    assert answer_of_runs(runs_of(curve)) == answer_sentences(curve)


def test_a_case_that_did_not_fit_in_one_run_is_not_recommended(curve: list[Record], sd15: Maker) -> None:
    """Batch size 8 is the fastest of the curve, but ran out of memory the second time."""
    second = [sd15.ended(8, Outcome.OOM, "full") if one.case.batch_size == 8 else one for one in curve]

    (sentence,) = answer_of_runs(runs_of(curve, second))

    assert "fastest is batch size 4 at 2.24 images/s (batch size 8 ran out of memory)" in sentence


@pytest.mark.parametrize(
    "doubt", [{"contention": "2 threads had 1 core free"}, {"parallel": 2}, {"foreign_processes": 1}]
)
def test_a_doubt_of_one_run_is_a_doubt_of_all(doubt: dict[str, object], curve: list[Record]) -> None:
    """Its rounds are in the figure."""
    doubted = [replace(one, **doubt) for one in curve]  # type: ignore[arg-type]

    (sentence,) = answer_of_runs(runs_of(curve, doubted))

    assert sentence.endswith("measure again on a quiet machine")


def test_the_curve_is_fitted_to_what_lies_between_runs(sd15: Maker) -> None:
    """Rounds of each run are steady, the runs differ: only together they say that 4 may be as good as 8."""
    sizes = {1: 0.3, 2: 0.4, 4: 0.6, 8: 1.12}
    first = [sd15.record(size, call_s=seconds) for size, seconds in sizes.items()]
    second = [sd15.record(size, call_s=seconds * (1.1 if size in (2, 8) else 0.9)) for size, seconds in sizes.items()]

    assert "on no line" in answer_sentences(first)[0]
    assert "on no line" not in answer_of_runs(runs_of(first, second))[0]


def test_what_spoilt_the_times_of_a_later_run_is_noted(curve: list[Record]) -> None:
    """Compiling inside its rounds, and a tracer."""
    spoilt = Compilation(seconds=9.0, graphs=1, recompiles_in_rounds=2)
    first = [replace(one, compilation=replace(spoilt, recompiles_in_rounds=0)) for one in curve]
    second = [replace(one, compilation=spoilt, tracer="coverage") for one in curve]

    notes = rows(of_runs(runs_of(first, second)).records.values())[0].notes

    assert any("recompiled 2 times" in note for note in notes)
    assert any("coverage was active" in note for note in notes)


def test_memory_in_use_is_that_of_the_fullest_run(sd15: Maker) -> None:
    """That has to fit. A round that ended early saw too little, whatever it saw; its reason goes with it."""
    peaks = [Reading(value=5 * GIB), Reading(value=7 * GIB), Reading(value=9 * GIB)]
    rounds = [sd15.memory_round(peak=peak) for peak in peaks]
    early = sd15.record(1, memory_round=rounds[2], memory_round_reason="the device said no more")
    whole = [sd15.record(1, memory_round=made) for made in rounds[:2]]

    (together,) = of_runs(runs_of([early], *([one] for one in whole))).records.values()
    assert (together.peak_device_bytes, together.memory_round_reason) == (7 * GIB, None)
    (together,) = of_runs(runs_of([sd15.record(1, memory_round_reason="left out")], [early])).records.values()
    assert (together.peak_device_bytes, together.memory_round_reason) == (9 * GIB, "the device said no more")


def test_loading_and_the_cold_start_are_the_longest_of_all_runs(sd15: Maker) -> None:
    """In whatever order they came: a run that found all of it warm knows nothing of it."""
    warm = replace(sd15.record(2), cold_start_s=Reading(reason="warm"), load_s=Reading(value=2.0))
    cold = replace(sd15.record(2), cold_start_s=Reading(value=3.0), load_s=Reading(value=1.0))

    for order in ([warm], [cold]), ([cold], [warm]):
        (found,) = of_runs(runs_of(*order)).records.values()
        assert (found.cold_start_s.value, found.load_s.value) == (3.0, 2.0)


def test_what_keeps_no_limit_tells_of_the_curve_of_several_runs_too(sd15: Maker) -> None:
    """A run file answers what the terminal did: here that the times lie on no line, which two sizes cannot tell."""
    over = sd15.record(4, call_s=6.0, outcome=Outcome.OVER_LIMIT, reason="6.00 s per call, at most 2.00 s")
    records = [sd15.record(1, call_s=1.0), sd15.record(2, call_s=1.5), over]

    assert "on no line" in answer_sentences(records)[0]
    assert answer_of_runs(runs_of(records)) == answer_sentences(records)
    assert "on no line" in answer_of_runs(runs_of(records, records))[0]
