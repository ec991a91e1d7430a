"""The files that the two sides of a comparison are read from, ours and pytest-benchmark's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from pytest_sdbatch.analysis.comparable import facts_of
from pytest_sdbatch.analysis.config import DRIFT
from pytest_sdbatch.analysis.contention import waited_of
from pytest_sdbatch.analysis.sides import OK, Measured, Place, SideRun
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Environment, Outcome, Record, Run, full_name
from pytest_sdbatch.storage import columns
from pytest_sdbatch.storage.exclusive import read_whole, reading
from pytest_sdbatch.storage.foreign import foreign_run, is_foreign, parse_file
from pytest_sdbatch.storage.plain import without_collector
from pytest_sdbatch.storage.run_file import MOST_BYTES
from pytest_sdbatch.storage.stored_runs import kept_as_written, kept_of

# The one measure of memory that repeats nearly to the byte; what is resident depends on what ran before.
_EXACT_MEMORY = "peak_allocated_bytes"


def read_sides(base: Sequence[Path], candidate: Sequence[Path]) -> tuple[tuple[SideRun, ...], tuple[SideRun, ...]]:
    """Return the runs of the files of both sides.

    Args:
        base: files to compare with, one or more; a file may hold several runs.
        candidate: files to judge, likewise.

    Raises:
        RunFileError: for a file that cannot be believed, which names file and key; a run that is given twice, be it
            on both sides; sides that have no case in common.

    """
    files = [*base, *candidate]
    runs = [read_side_runs(path) for path in files]
    first: dict[str, str] = {}
    for run in chain.from_iterable(runs):
        if run.id in first:
            where = run.file if first[run.id] == run.file else f"{first[run.id]} and {run.file}"
            raise RunFileError(
                f"a run is given twice: {where}",
                why="a run that is compared with itself shows no change, and one that is counted twice no spread",
                fix="name each run once, on one side",
            )
        first[run.id] = run.file
    there = tuple(chain.from_iterable(runs[: len(base)]))
    here = tuple(chain.from_iterable(runs[len(base) :]))
    _check_overlap(there, here)
    return there, here


def read_side_runs(path: Path) -> tuple[SideRun, ...]:
    """Return the runs of one file, ours or pytest-benchmark's.

    Raises:
        RunFileError: names the file, and the key where one is wrong.

    """
    return side_runs_of(read_whole(path, most_bytes=MOST_BYTES), str(path))


def side_runs_of(data: bytes, file: str) -> tuple[SideRun, ...]:
    """Return the runs in *data*, the content of *file*.

    Raises:
        RunFileError: as :func:`read_side_runs`.

    """
    with reading(file), without_collector():
        found = kept_as_written(data, _measured)
        if found is None:
            value = parse_file(data)
            if is_foreign(value):
                return (foreign_run(value, run_id=hashlib.sha256(data).hexdigest(), file=file),)
            found = kept_of(value, _measured)
        return tuple(_side_run(run, file, measured) for run, measured in found)


def _check_overlap(base: Sequence[SideRun], candidate: Sequence[SideRun]) -> None:
    there, here = (list(dict.fromkeys(name for run in side for name in run.cases)) for side in (base, candidate))
    if not set(there) & set(here):
        examples = " and ".join(
            f"{names[0]} in {side[0].file}" for names, side in ((there, base), (here, candidate)) if names
        )
        raise RunFileError(
            "no case is on both sides: nothing can be compared",
            why=f"cases are matched by test and id: there is {examples}" if examples else "neither side has a case",
            fix="compare runs of the same tests over the same grid",
        )


def side_run(run: Run, file: str) -> SideRun:
    """Return *run* as one of a side; *file* says where it is from."""
    return _side_run(run, file, (_measured(run, full_name(r.test, r.case), r) for r in run.records))


def _measured(run: Run, name: str, record: Record) -> tuple[str, Measured]:
    return name, measured_of(record, run.environment)


def _side_run(run: Run, file: str, cases: Iterable[tuple[str, Measured]]) -> SideRun:
    return SideRun(id=run.id, file=file, started_at=run.started_at, interrupted=run.interrupted, cases=dict(cases))


def measured_of(record: Record, environment: Environment) -> Measured:
    """Return *record*, of a run in *environment*, as a side has it."""
    case = record.case
    seconds = columns.wall_s(record) if record.outcome.has_numbers else ()
    if seconds and min(seconds) <= 0:
        raise RunFileError(f"{record.test} at {case.id}: a round of {min(seconds)} s is no measurement")
    return Measured(
        place=Place(
            test=record.test,
            group=case.group_id,
            case=f"b{case.split}",
            batch_size=case.batch_size,
            batch_count=case.calls,
            trains=case.training is not None,
        ),
        state=_state(record),
        reason=record.reason,
        seconds=seconds,
        peak_bytes=columns.peaks(record) if record.memory_source == _EXACT_MEMORY else (),
        stages_ns=columns.stages_ns(record) if seconds else {},
        clocks_mhz=columns.clocks_mhz(record) if seconds else (),
        cold_start_s=record.cold_start_s.value,
        contention=record.contention,
        waited=_waited(record, environment) if seconds else None,
        foreign_processes=record.foreign_processes,
        facts=facts_of(environment, record),
    )


def _waited(record: Record, environment: Environment) -> float | None:
    """Return the share of its times that a thread waited for a core, or no less where that is little: of thousands.

    None where it is not known, and beside workers of ours, which are there on both sides.
    """
    found = columns.columns_of(record.rounds)
    delays = found.run_delay_ns
    if not delays or not record.is_alone:
        return None
    if None not in delays and (most := sum(delays) / sum(found.wall_ns)) <= DRIFT:  # type: ignore[arg-type]
        return most
    return waited_of(record.rounds, environment.must_match)


def _state(record: Record) -> str:
    if record.outcome is not Outcome.OK:
        return record.outcome.value
    if record.test_outcome == "failed":
        return "test failed"
    if record.rounds:  # of a test that was skipped once it had measured, too: nothing is ungated by that
        return OK
    return Outcome.SKIPPED.value if record.test_outcome == "skipped" else "without rounds"
