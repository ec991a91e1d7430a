"""A run file: JSON in pytest-benchmark's schema, with the records of one or more runs inside.

``benchmarks[]`` has one entry per test and case whose ``stats.data`` are all kept rounds of all runs; its ``sdbatch``
block holds the records. Cases without numbers (out of memory, skipped, ...) lie in the block ``sdbatch`` at the top,
where tools that know only pytest-benchmark do not meet them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Record, Run
from pytest_sdbatch.storage import benchmark_schema, codec
from pytest_sdbatch.storage.exclusive import check_target, read_whole, reading, write_new
from pytest_sdbatch.storage.foreign import is_foreign, parse_file
from pytest_sdbatch.storage.plain import (
    append_json,
    is_plain,
    to_plain,
    without_collector,
)
from pytest_sdbatch.storage.stored_runs import is_counted, runs_as_written, runs_of

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


def read_run_file(path: Path | str, *, most_bytes: int = MOST_BYTES) -> tuple[Run, ...]:
    """Return the runs that *path* holds, as they were written, or nothing: a file that is damaged is refused.

    Args:
        path: the file; links are not followed.
        most_bytes: a larger file is refused.

    Raises:
        RunFileError: names the file, and the key where one is wrong.

    """
    return runs_in(read_whole(Path(path), most_bytes=most_bytes), str(path))


def runs_in(data: bytes, file: str) -> tuple[Run, ...]:
    """Return the runs that *data* holds, the content of *file*.

    Raises:
        RunFileError: as :func:`read_run_file`.

    """
    with reading(file), without_collector():
        runs = runs_as_written(data)
        return runs_of(parse_file(data)) if runs is None else runs


def is_ours(path: Path) -> bool:
    """Return whether *path* holds runs, and not only what pytest-benchmark itself stores.

    Raises:
        RunFileError: for a file that cannot be read, or is no JSON.

    """
    data = read_whole(path, most_bytes=MOST_BYTES)
    with reading(str(path)):
        return not is_foreign(parse_file(data))


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
        counted = [record for _, _, record in found if is_counted(record)]
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
