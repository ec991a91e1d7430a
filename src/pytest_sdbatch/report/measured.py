"""What an answer is made from: one record a case, and what was timed of it in one run or in several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.analysis.sweet_spot import Point
from pytest_sdbatch.records import Outcome, Reading, Record, Run
from pytest_sdbatch.report.several import RoundsOfRuns
from pytest_sdbatch.report.table import Row

Key = tuple[str, str]  # Record.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Cases by :attr:`Record.key`. Those that can be timed have a timing."""

    records: Mapping[Key, Record]
    timings: Mapping[Key, Timing]

    def points(self, members: Iterable[Row]) -> list[Point]:
        """Return what those of *members*, rows of one group, that answer say of its curve."""
        return [
            Point(
                batch_size=row.batch_size,
                batch_count=row.batch_count,
                seconds_per_image=row.s_per_image,
                timing=self.timings[row.test, row.case],
            )
            for row in members
            if row.answers and row.s_per_image is not None
        ]

    def points_over_limit(self, members: Iterable[Row]) -> list[Point]:
        """Return what those of *members* say that were measured and keep no limit: they are never to be named."""
        found = []
        for row in members:
            timing = self.timings.get((row.test, row.case))
            if row.outcome is Outcome.OVER_LIMIT and timing is not None and all(min(run) > 0 for run in timing.runs):
                seconds = location_s([value for run in timing.runs for value in run])
                found.append(
                    Point(
                        batch_size=row.batch_size,
                        batch_count=row.batch_count,
                        seconds_per_image=seconds / row.images,
                        timing=timing,
                    )
                )
        return found


def of_records(records: Iterable[Record]) -> Measured:
    """Return what one run measured; of several records of one case the last one."""
    by_key = {record.key: record for record in records}
    return Measured(records=by_key, timings={key: _timing([record]) for key, record in by_key.items() if record.rounds})


def of_runs(runs: Iterable[Run]) -> Measured:
    """Return what several runs measured of the same cases: the rounds of all of them, told apart in the timings.

    A case that did not end well in one of them did not end well: what only held elsewhere is not recommended. One that
    was doubtful in one of them is doubtful. Memory in use is that of the run with the highest peak, since that has to
    fit; loading and the cold start are the longest. What keeps no limit helps to fit the curve, as it does in one run.
    """
    found: dict[Key, list[Record]] = {}
    for run in runs:
        for record in run.records:
            found.setdefault(record.key, []).append(record)
    records, timings = {}, {}
    for key, several in found.items():
        bad = [record for record in several if not record.counts]
        records[key] = bad[0] if bad else _together(several)
        timed = [record for record in several if record.rounds]
        if timed and all(record.outcome is Outcome.OVER_LIMIT for record in bad):
            timings[key] = _timing(timed)
    return Measured(records=records, timings=timings)


def _together(several: Sequence[Record]) -> Record:
    if len(several) == 1:
        return several[0]
    fullest = max(several, key=_fullness)
    said = next((record for record in several if record.test_outcome != "passed"), several[0])
    return replace(
        next((record for record in several if record.output_check != "checked"), several[0]),
        test_outcome=said.test_outcome,
        reason=said.reason,
        memory_round=fullest.memory_round,
        memory_round_reason=fullest.memory_round_reason,
        rounds=RoundsOfRuns(record.rounds for record in several),
        contention=next((record.contention for record in several if record.contention is not None), None),
        parallel=max(record.parallel for record in several),
        foreign_processes=max(
            (record.foreign_processes for record in several if record.foreign_processes is not None), default=None
        ),
        compilation=max(
            (record.compilation for record in several if record.compilation is not None),
            key=lambda compilation: compilation.recompiles_in_rounds,
            default=None,
        ),
        cold_start_s=_longest([record.cold_start_s for record in several]),
        load_s=_longest([record.load_s for record in several]),
        tracer=next((record.tracer for record in several if record.tracer is not None), None),
    )


def _longest(readings: Sequence[Reading]) -> Reading:
    """Return the longest that is known: who starts a process has to wait for it."""
    return max(readings, key=lambda reading: -1.0 if reading.value is None else reading.value)


def _fullness(record: Record) -> tuple[bool, float]:
    """Return what sorts memory rounds: one that ended early tells too little, else the peak counts."""
    made = record.memory_round
    if made is None:
        return False, 0.0
    return record.memory_round_reason is None, made.peak.value or 0.0


def _timing(several: Sequence[Record]) -> Timing:
    case = several[0].case
    runs = tuple(tuple(reading.wall_s for reading in record.rounds) for record in several)
    return Timing(batch_size=case.batch_size, batch_count=case.calls, runs=runs)


def doubt(rows: Sequence[Row]) -> str:
    """Return what is to be added to a sentence that stands on *rows*; empty where all can be relied on."""
    return f"; {said}" if (said := doubted(rows)) is not None else ""


def doubted(rows: Sequence[Row]) -> str | None:
    """Return which of *rows* cannot be relied on, and what to do; None where all can."""
    doubtful = sum(row.unreliable for row in rows)
    if not doubtful:
        return None
    which = "none of its rows is" if doubtful == len(rows) else "some of its rows are not"
    return f"{which} to be relied on: measure again on a quiet machine"
