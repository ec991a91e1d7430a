"""The runs within a run file, case by case: each is seen to be whole, and of it is kept what its reader asks for.

A file of 10,000 cases holds millions of numbers. Together they are slow to look at, and most readers want few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Struct

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Record, Run, full_name
from pytest_sdbatch.storage import codec, columns
from pytest_sdbatch.storage.foreign import STUDY_KIND
from pytest_sdbatch.storage.plain import parse_as_written
from pytest_sdbatch.storage.strict import convert

T = TypeVar("T")
# Makes of a record what is kept of it; given its run, without records, and its node id with the parameters.
Keep: TypeAlias = Callable[[Run, str, Record], T]
Kept: TypeAlias = tuple[Run, tuple[T, ...]]  # a run without records, and what was kept of each, in their order

_OF_THIS_SCHEMA = b'"schema":%d' % codec.SCHEMA
# Between these two the entries stand, each on a line of its own.
_HEAD, _TAIL = b'{\n"benchmarks":[\n', b'\n],\n"commit_info":'
_COMMA = ord(",")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Begun(Generic[T]):
    """A run some of whose records were met; they come in any order."""

    header: Run
    kept: dict[int, T] = field(default_factory=dict)  # by place among the records
    keys: set[tuple[str, Case]] = field(default_factory=set)


class _EditedError(Exception):
    """A part of a file is not as this version writes it."""


def is_counted(record: Record) -> bool:
    """Return whether the rounds of *record* are among those that pytest-benchmark is told."""
    return record.outcome.has_numbers and bool(record.rounds)


def runs_of(value: Any) -> tuple[Run, ...]:
    """Return the runs of a parsed run file.

    Raises:
        RunFileError: names the key that is wrong.

    """
    return _whole(kept_of(value, _record))


def runs_as_written(data: bytes) -> tuple[Run, ...] | None:
    """Return the runs that *data* holds; None where it is not what this version writes, and :func:`runs_of` has to see.

    Raises:
        RunFileError: names the key that is wrong.

    """
    found = kept_as_written(data, _record)
    return None if found is None else _whole(found)


def kept_of(value: Any, keep: Keep[T]) -> tuple[Kept[T], ...]:
    """Return what *keep* makes of the runs of a parsed run file.

    Raises:
        RunFileError: names the key that is wrong.

    """
    _check_schema(value)
    document = convert(value, _Document, "")
    return _kept(document.sdbatch, document.benchmarks, keep)


def kept_as_written(data: bytes, keep: Keep[T]) -> tuple[Kept[T], ...] | None:
    """Return what *keep* makes of the runs in *data*; None as :func:`runs_as_written`.

    Raises:
        RunFileError: names the key that is wrong.

    """
    if data.rfind(_OF_THIS_SCHEMA) == -1:
        return None
    start, end = len(_HEAD), data.rfind(_TAIL)
    in_lines = data.startswith(_HEAD) and end != -1
    document = parse_as_written(data[:start] + data[end + 1 :] if in_lines else data, _Document)
    if document is None or document.sdbatch.schema != codec.SCHEMA:
        return None
    entries = _entries_as_written(data, start, end) if in_lines else document.benchmarks
    try:
        return _kept(document.sdbatch, entries, keep)
    except _EditedError:
        return None


def _entries_as_written(data: bytes, start: int, end: int) -> Iterator[_Entry]:
    """Yield the entries in the lines from *start* to the end of a line at *end*, one by one.

    What is made of one is still in the processor's cache when it is checked.
    """
    while start <= end:  # at the end itself behind a comma that nothing follows
        stop = data.find(b"\n", start)
        if stop < end and data[stop - 1] != _COMMA:
            raise _EditedError
        entry = parse_as_written(data[start : stop - 1 if stop < end else stop], _Entry)
        if entry is None:
            raise _EditedError
        yield entry
        start = stop + 1


def _kept(stored: _Header, entries: Iterable[_Entry], keep: Keep[T]) -> tuple[Kept[T], ...]:
    headers = [codec.header_of(header, f"sdbatch.runs[{i}]") for i, header in enumerate(stored.runs)]
    runs: dict[str, _Begun[T]] = {header.id: _Begun(header=header) for header in headers}
    if len(runs) < len(headers):
        raise RunFileError("sdbatch.runs: two runs have the same id")
    for index, item in enumerate(entries):
        found = _records(item.sdbatch, f"benchmarks[{index}].sdbatch", runs)
        name = full_name(found[0].test, found[0].case)
        if item.fullname != name:
            raise RunFileError(f"benchmarks[{index}].fullname: not the test and case of its records")
        seconds = [wall_s for record in found if is_counted(record) for wall_s in columns.wall_s(record)]
        if item.stats.get("data") != seconds:
            raise RunFileError(f"benchmarks[{index}].stats.data: not the rounds of its records")
        _add(item.sdbatch, f"benchmarks[{index}].sdbatch", name, found, runs, keep)
    for index, block in enumerate(stored.without_numbers):
        path = f"sdbatch.without_numbers[{index}]"
        found = _records(block, path, runs)
        _add(block, path, full_name(found[0].test, found[0].case), found, runs, keep)
    return tuple(map(_complete, runs.values()))


def _records(block: _Block, path: str, runs: Mapping[str, _Begun[T]]) -> list[Record]:
    """Return the records of *block*, which was found at *path*; they are of one test and case."""
    found = []
    for index, stored in enumerate(block.runs):
        place = f"{path}.runs[{index}]"
        if stored.run not in runs:
            raise RunFileError(f"{place}.run: no run has the id {stored.run!r}")
        found.append(codec.record_of(stored.record, f"{place}.record"))
    if not found or any((record.test, record.case) != (found[0].test, found[0].case) for record in found[1:]):
        raise RunFileError(f"{path}.runs: not of one test and case")
    return found


def _add(
    block: _Block, path: str, name: str, found: Iterable[Record], runs: Mapping[str, _Begun[T]], keep: Keep[T]
) -> None:
    """Keep of the records of *block* what is wanted of them, each in its run."""
    for index, (stored, record) in enumerate(zip(block.runs, found, strict=True)):
        run = runs[stored.run]
        if stored.order in run.kept:
            raise RunFileError(f"{path}.runs[{index}].order: {stored.order} appears twice")
        run.kept[stored.order] = keep(run.header, name, record)
        run.keys.add((record.test, record.case))


def _complete(run: _Begun[T]) -> Kept[T]:
    kept = run.kept
    if sorted(kept) != list(range(len(kept))):
        raise RunFileError(f"run {run.header.id} lacks records: their order has gaps")
    if len(run.keys) < len(kept):
        raise RunFileError(f"run {run.header.id} has two records of one test and case")
    return run.header, tuple(kept[order] for order in range(len(kept)))


def _record(_: Run, __: str, record: Record) -> Record:
    return record


def _whole(found: Iterable[Kept[Record]]) -> tuple[Run, ...]:
    return tuple(replace(run, records=records) for run, records in found)


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
            "sdbatch: the key is missing", why="it is another kind of file, and holds no run of pytest-sdbatch"
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
