"""A row per case and run as comma-separated values: plain numbers, the units in the names of columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence

from pytest_sdbatch.analysis.verdict_list import ListedCase
from pytest_sdbatch.records import Record, Run, full_name
from pytest_sdbatch.report.escape import csv_text
from pytest_sdbatch.report.sources import Reported, Source
from pytest_sdbatch.report.table import Row, rows

Value = str | int | float | None
_FIRST = ("file", "run", "started_at", "test", "case")
_IMAGES = 1000  # that a price is told of


def csv_table(reported: Reported) -> str:
    """Return all cases of all runs, a line each, under a line of names. What is not known is empty.

    Shares of a stage are of the wall time, columns of a verdict are there where runs were compared.
    """
    lines = [dict(line) for source in reported.sources for line in _lines(source, _verdicts(reported))]
    stages = dict.fromkeys(key for line in lines for key in line if key.startswith("stage_"))
    names = [*(key for key in (lines[0] if lines else _FIRST) if not key.startswith("stage_")), *stages]
    return comma_separated(names, lines)


def comma_separated(names: Sequence[str], lines: Iterable[Mapping[str, Value]]) -> str:
    """Return *lines* under a line of *names*, no cell of which a spreadsheet calculates. What is missing is empty."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(map(csv_text, names))
    writer.writerows([_cell(line.get(name)) for name in names] for line in lines)
    return out.getvalue()


def _cell(value: Value) -> Value:
    return csv_text(value) if isinstance(value, str) else "" if value is None else value


def _verdicts(reported: Reported) -> Mapping[str, ListedCase] | None:
    return None if reported.verdicts is None else {case.name: case for case in reported.verdicts.cases}


def _lines(source: Source, verdicts: Mapping[str, ListedCase] | None) -> Iterator[Iterator[tuple[str, Value]]]:
    for run in source.runs:
        records = {record.key: record for record in run.records}
        for row in rows(records.values()):
            yield _line(source, run, records[row.test, row.case], row, verdicts)


def _line(
    source: Source, run: Run, record: Record, row: Row, verdicts: Mapping[str, ListedCase] | None
) -> Iterator[tuple[str, Value]]:
    case, facts = record.case, source.facts
    yield from (("file", " + ".join(source.files)), ("run", run.id), ("started_at", run.started_at))
    yield from (("test", record.test), ("case", case.id))
    yield from (("device", case.device), ("device_name", _text(facts.get("device_name"))))
    yield from (("commit", _text(facts.get("commit"))), ("model", case.model), ("dtype", case.dtype))
    yield from (("variant", case.variant), ("height", case.height), ("width", case.width), ("frames", case.frames))
    yield from (("steps", case.steps), ("batch_size", case.batch_size), ("batch_count", case.batch_count))
    yield from (("outcome", row.outcome.value), ("test_outcome", row.test_outcome), ("notes", "; ".join(row.notes)))
    yield from (("rounds", row.rounds), ("call_s", row.call_s))
    interval = row.call_interval
    yield "call_low_s_within_this_run", None if interval is None else interval.low
    yield "call_high_s_within_this_run", None if interval is None else interval.high
    yield from (("images_per_s", row.images_per_s), ("s_per_image", row.s_per_image))
    yield from (("cold_start_s", row.cold_start_s), ("load_s", record.load_s.value))
    yield from (("peak_bytes", row.peak_bytes), ("peak_measure", record.memory_source))
    yield from (("device_bytes", row.device_bytes), ("joules_per_image", row.joules_per_image))
    price = source.question.price_per_s
    dollars = None if price is None or row.s_per_image is None else row.s_per_image * price * _IMAGES
    yield f"dollars_per_{_IMAGES}_images", dollars
    if verdicts is not None:
        yield from _verdict(None if source.is_base else verdicts.get(full_name(record.test, case)))
    for name, share in (row.stage_shares or {}).items():
        yield f"stage_{name}_share", share


def _verdict(found: ListedCase | None) -> Sequence[tuple[str, Value]]:
    time = None if found is None else found.time
    low, high = (None, None) if time is None or time.interval is None else time.interval
    return (
        ("verdict", None if found is None else found.verdict.value),
        ("change", None if time is None else time.estimate),
        ("change_low", low),
        ("change_high", high),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
