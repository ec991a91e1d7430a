"""A run file: JSON in pytest-benchmark's schema, with the records of one or more runs inside.

``benchmarks[]`` has one entry per test and case whose ``stats.data`` are all kept rounds of all runs; its ``sdbatch``
block holds the records. Cases without numbers (out of memory, skipped, ...) lie in the block ``sdbatch`` at the top,
where tools that know only pytest-benchmark do not meet them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import Struct

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Record, Run, full_name
from pytest_sdbatch.storage import benchmark_schema, codec, columns
from pytest_sdbatch.storage.exclusive import check_target, read_whole, reading, write_new
from pytest_sdbatch.storage.foreign import STUDY_KIND, is_foreign
from pytest_sdbatch.storage.plain import (
    append_json,
    is_plain,
    parse,
    parse_as_written,
    to_plain,
    without_collector,
)
from pytest_sdbatch.storage.strict import convert

__all__ = [
    "MOST_BYTES",
    "check_target",
    "read_run_file",
    "runs_as_written",
    "runs_in",
    "runs_of",
    "text_of",
    "write_run",
]

MOST_BYTES = 64 * 2**20
_OF_THIS_SCHEMA = b'"schema":%d' % codec.SCHEMA


class _Stored(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """One record and where it stood."""

    order: int  # among the records of its run
    record: codec.StoredRecord
    run: str  # Run.id


class _Block(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    runs: tuple[_Stored, ...]


# Here and above keys are in the order in which they are written, so that a file which was read is written the same.
class _Entry(Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    extra_info: Mapping[str, Any]
    fullname: str
    group: str | None
    name: str
    options: Mapping[str, Any]
    param: str
    params: Mapping[str, Any]
    stats: Mapping[str, Any]  # of which data must agree with the records; the rest follows from it
    sdbatch: _Block


class _Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: int
    runs: tuple[codec.StoredRun, ...]
    without_numbers: tuple[_Block, ...]


class _Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    benchmarks: tuple[_Entry, ...]
    commit_info: Mapping[str, Any]
    datetime: str
    machine_info: Mapping[str, Any]
    sdbatch: _Header
    version: str


def write_run(path: Path, runs: Sequence[Run], *, create_parents: bool = False, over: bool = False) -> Path:
    """Write *runs* to the new file *path*, or *over* one that is there, and return it. It appears whole or not at all.

    Raises:
        RunFileError: for a path that :func:`check_target` refuses, a disk that is full, no run, two runs of one id,
            two records of one test and case in a run, or a number that is not finite. Nothing is left behind.

    """
    check_target(path, create_parents=create_parents, over=over)
    write_new(path, text_of(runs, str(path)), create_parents=create_parents, over=over)
    return path


def text_of(runs: Sequence[Run], file: str) -> bytearray:
    """Return the content of a run file of *runs*, which will be called *file*.

    Raises:
        RunFileError: for no run, two runs of one id, two records of one test and case in a run, or a number that is not
            finite.

    """
    try:
        with without_collector():
            return _text(_document(runs))
    except RunFileError as error:
        raise RunFileError(f"{file} cannot be written: {error.what}", why=error.why, fix=error.fix) from None


def is_begun_file(path: Path, run_id: str) -> bool:
    """Return whether *path* holds the run *run_id* alone, interrupted: what going on with that run may replace."""
    try:
        runs = read_run_file(path)
    except RunFileError:
        return False
    return [(run.id, run.interrupted) for run in runs] == [(run_id, True)]


def read_run_file(path: Path, *, most_bytes: int = MOST_BYTES) -> tuple[Run, ...]:
    """Return the runs that *path* holds, as they were written, or nothing: a file that is damaged is refused.

    Args:
        path: the file; links are not followed.
        most_bytes: a larger file is refused.

    Raises:
        RunFileError: names the file, and the key where one is wrong.

    """
    return runs_in(read_whole(path, most_bytes=most_bytes), str(path))


def runs_in(data: bytes, file: str) -> tuple[Run, ...]:
    """Return the runs that *data* holds, the content of *file*.

    Raises:
        RunFileError: as :func:`read_run_file`.

    """
    with reading(file), without_collector():
        runs = runs_as_written(data)
        return runs_of(parse(data)) if runs is None else runs


def is_ours(path: Path) -> bool:
    """Return whether *path* holds runs, and not only what pytest-benchmark itself stores.

    Raises:
        RunFileError: for a file that cannot be read, or is no JSON.

    """
    data = read_whole(path, most_bytes=MOST_BYTES)
    with reading(str(path)):
        return not is_foreign(parse(data))


def _document(runs: Sequence[Run]) -> dict[str, Any]:
    if not runs:
        raise RunFileError("there is no run to store")
    with_numbers: list[dict[str, Any]] = []
    without_numbers: list[dict[str, Any]] = []
    for (test, case), found in _by_case(runs).items():
        stored = {
            "runs": [
                {"order": order, "record": codec.encode_record(record), "run": run} for run, order, record in found
            ]
        }
        counted = [record for _, _, record in found if _counts(record)]
        if counted:
            entry = benchmark_schema.entry(test, case, counted)
            if not is_plain((test, *entry["params"].values())):
                entry = to_plain(entry)
            with_numbers.append({**entry, "sdbatch": stored})
        else:
            without_numbers.append(stored)
    first = runs[0]
    return {
        "benchmarks": with_numbers,
        "commit_info": to_plain(benchmark_schema.commit_info(first.environment.shown), "commit_info"),
        "datetime": first.started_at,
        "machine_info": to_plain(benchmark_schema.machine_info(first.environment), "machine_info"),
        "sdbatch": {
            "schema": codec.SCHEMA,
            "runs": [codec.encode_header(run) for run in runs],
            "without_numbers": without_numbers,
        },
        "version": benchmark_schema.SCHEMA_VERSION,
    }


def _by_case(runs: Sequence[Run]) -> dict[tuple[str, Case], list[tuple[str, int, Record]]]:
    """Return (run id, place, record) by test and case, in the order in which cases first appear."""
    found: dict[tuple[str, Case], list[tuple[str, int, Record]]] = {}
    seen: set[tuple[str, ...]] = set()
    for run in runs:
        if (run.id,) in seen:
            raise RunFileError(f"two runs have the id {run.id}")
        seen.add((run.id,))
        for order, record in enumerate(run.records):
            key = (run.id, *record.key)
            if key in seen:
                raise RunFileError(f"run {run.id} has two records of {' at '.join(record.key)}")
            seen.add(key)
            found.setdefault((record.test, record.case), []).append((run.id, order, record))
    return found


def _counts(record: Record) -> bool:
    return record.outcome.has_numbers and bool(record.rounds)


def runs_of(value: Any) -> tuple[Run, ...]:
    """Return the runs of a parsed run file.

    Raises:
        RunFileError: names the key that is wrong.

    """
    _check_schema(value)
    return _runs_of(convert(value, _Document, ""))


def runs_as_written(data: bytes) -> tuple[Run, ...] | None:
    """Return the runs that *data* holds; None where it is not what this version writes, and :func:`runs_of` has to see.

    Raises:
        RunFileError: names the key that is wrong.

    """
    if data.rfind(_OF_THIS_SCHEMA) == -1:
        return None
    document = parse_as_written(data, _Document)
    return None if document is None or document.sdbatch.schema != codec.SCHEMA else _runs_of(document)


def _runs_of(document: _Document) -> tuple[Run, ...]:
    headers = [codec.header_of(header, f"sdbatch.runs[{i}]") for i, header in enumerate(document.sdbatch.runs)]
    records: dict[str, dict[int, Record]] = {header.id: {} for header in headers}
    if len(records) < len(headers):
        raise RunFileError("sdbatch.runs: two runs have the same id")
    for index, item in enumerate(document.benchmarks):
        found = _take(item.sdbatch, f"benchmarks[{index}].sdbatch", records)
        if item.fullname != full_name(found[0].test, found[0].case):
            raise RunFileError(f"benchmarks[{index}].fullname: not the test and case of its records")
        seconds = [wall_s for record in found if _counts(record) for wall_s in columns.wall_s(record)]
        if item.stats.get("data") != seconds:
            raise RunFileError(f"benchmarks[{index}].stats.data: not the rounds of its records")
    for index, block in enumerate(document.sdbatch.without_numbers):
        _take(block, f"sdbatch.without_numbers[{index}]", records)
    return tuple(_complete(header, records[header.id]) for header in headers)


def _check_schema(value: Any) -> None:
    if not isinstance(value, dict):
        raise RunFileError("it is no JSON object")
    if value.get("kind") == STUDY_KIND:
        raise RunFileError(
            "it is a study of sdbatch study, and no run file",
            why="it holds training runs to a loss, and no case that could be compared",
            fix="sdbatch report STUDY.json shows it",
        )
    block = value.get("sdbatch")
    if not isinstance(block, dict):
        raise RunFileError(
            "sdbatch: missing", why="it may be pytest-benchmark's, but it holds no run of pytest-sdbatch"
        )
    schema = block.get("schema")
    if type(schema) is int and schema > codec.SCHEMA:
        raise RunFileError(
            f"sdbatch.schema: {schema}, and this version reads up to {codec.SCHEMA}",
            why="a newer pytest-sdbatch wrote it",
            fix="pip install --upgrade pytest-sdbatch",
        )
    if type(schema) is not int or schema not in codec.READABLE:
        raise RunFileError(f"sdbatch.schema: {schema!r} is no version")


def _take(block: _Block, path: str, records: dict[str, dict[int, Record]]) -> list[Record]:
    found = []
    for index, stored in enumerate(block.runs):
        place = f"{path}.runs[{index}]"
        if stored.run not in records:
            raise RunFileError(f"{place}.run: no run has the id {stored.run!r}")
        if stored.order in records[stored.run]:
            raise RunFileError(f"{place}.order: {stored.order} appears twice")
        record = codec.record_of(stored.record, f"{place}.record")
        records[stored.run][stored.order] = record
        found.append(record)
    if not found or any((record.test, record.case) != (found[0].test, found[0].case) for record in found[1:]):
        raise RunFileError(f"{path}.runs: not of one test and case")
    return found


def _complete(header: Run, found: Mapping[int, Record]) -> Run:
    if sorted(found) != list(range(len(found))):
        raise RunFileError(f"run {header.id} lacks records: their order has gaps")
    records = tuple(found[order] for order in range(len(found)))
    if len({(record.test, record.case) for record in records}) < len(records):
        raise RunFileError(f"run {header.id} has two records of one test and case")
    return replace(header, records=records)


def _text(document: Mapping[str, Any]) -> bytearray:
    """Return *document* as JSON with a line per case, so that a diff shows which cases changed."""
    text = bytearray()
    _write(document, text)
    text += b"\n"
    return text


def _write(value: Any, text: bytearray) -> None:
    if _is_table(value):
        text += b"["
        for index, item in enumerate(value):
            text += b",\n" if index else b"\n"
            append_json(item, text)
        text += b"\n]"
    elif isinstance(value, Mapping) and any(isinstance(item, (Mapping, list)) for item in value.values()):
        text += b"{"
        for index, (key, item) in enumerate(value.items()):
            text += b",\n" if index else b"\n"
            append_json(key, text)
            text += b":"
            _write(item, text)
        text += b"\n}"
    else:
        append_json(value, text)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)
