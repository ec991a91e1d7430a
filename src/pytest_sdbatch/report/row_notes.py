"""What a reader must know of a record before believing its row."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_sdbatch import units
from pytest_sdbatch.analysis.contention import row_note
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR
from pytest_sdbatch.measure.boundaries import slowing
from pytest_sdbatch.measure.validity import other_processes
from pytest_sdbatch.records import Outcome, Record

MEMORY_SOURCES = {
    "peak_allocated_bytes": "live tensors in torch's allocator",
    "peak_reserved_bytes": "memory held by torch's allocator",
    "host_peak_bytes": "resident memory of the whole process",
}


def notes_of(record: Record) -> Iterator[str]:
    """Yield what a reader must know before believing the figures of *record*."""
    if record.outcome is not Outcome.OK:
        yield record.reason or "no reason was recorded"
    if record.compilation is not None and record.compilation.recompiles_in_rounds > 0:
        times = units.count(record.compilation.recompiles_in_rounds, "time")
        yield f"recompiled {times} inside timed rounds: the times include compiling"
    yield from _notes_on_neighbours(record)
    if not record.outcome.has_numbers:
        return
    yield from _notes_on_device(record)
    if counted_inside(record):
        yield "one call made all batches of a round: per call is the share of one batch, and all images come at its end"
    yield from _notes_on_test(record)
    if not record.rounds:
        yield "no round was recorded"
        return
    if record.tracer is not None:
        yield f"{record.tracer} was active; it was paused in timed rounds"
    if record.output_check != "checked":
        yield f"output {record.output_check}"
    if len(record.rounds) < FEWEST_FOR_ERROR:
        yield f"fewer than {FEWEST_FOR_ERROR} rounds give no interval"
    if peak_bytes(record) is None:
        yield f"peak memory is not known: {record.memory_reason or 'it was not read'}"


def _notes_on_test(record: Record) -> Iterator[str]:
    """Yield what its test came to, of a case with numbers."""
    if record.test_outcome == "regressed":
        yield f"{record.reason or 'regressed'}, so this is no baseline"
    elif record.test_outcome != "passed":
        yield f"the test {record.test_outcome} after measuring, so this is no baseline"
    elif record.outcome is Outcome.OK and record.reason is not None:
        yield record.reason


def _notes_on_neighbours(record: Record) -> Iterator[str]:
    """Yield what else used the machine or the device meanwhile."""
    if record.parallel > 1:
        yield f"{record.parallel} processes shared the machine"
    if record.foreign_processes and record.outcome is not Outcome.INVALID_ENVIRONMENT:
        yield other_processes(record.foreign_processes)
    timed = record.outcome.has_numbers or record.outcome is Outcome.OVER_LIMIT  # its times may be the reason
    if record.contention is not None and timed:
        yield row_note(record.contention)


def _notes_on_device(record: Record) -> Iterator[str]:
    """Yield what was out of the ordinary on the device while a case with numbers was measured."""
    slowed = slowing(record.rounds)
    if slowed is not None and record.outcome is not Outcome.THROTTLED:
        yield slowed
    told: dict[str, list[str]] = {}
    for figure, why in (record.unread or {}).items():
        told.setdefault(why, []).append(figure.replace("_", " "))
    yield from (f"not known of every round: {', '.join(names)} ({why})" for why, names in told.items())
    if record.memory_round is None:
        return
    if record.memory_round_reason is not None:
        yield record.memory_round_reason
    if record.memory_round.mark is not None:
        yield record.memory_round.mark


def counted_inside(record: Record) -> bool:
    """Return whether one call made several batches."""
    return record.count_inside and record.case.batch_count > 1


def peak_bytes(record: Record) -> int | None:
    """Return the highest peak of the rounds in the measure that the device calls peak memory."""
    if record.memory_source not in MEMORY_SOURCES:
        return None
    peaks = [getattr(reading, record.memory_source) for reading in record.rounds]
    return max((peak for peak in peaks if peak is not None), default=None)
