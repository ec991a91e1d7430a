"""Records in plain builtins: the one form that a test report carries and a run file holds.

Rounds are columns, durations are whole nanoseconds; everything else keeps the names of :mod:`pytest_sdbatch.records`.
A None that is also the default is left out, and a key that a file lacks has its default: unknown. Where the default is
a claim the key must be there. A key that this version does not know is refused.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from pytest_sdbatch.records import Compilation, Environment, Reading, Record, Run
from pytest_sdbatch.storage.columns import NS, Columns, StoredRounds, check_lengths, columns_of, to_ns
from pytest_sdbatch.storage.plain import LARGEST, is_plain, join, to_plain
from pytest_sdbatch.storage.possible import check_environment, check_record
from pytest_sdbatch.storage.strict import convert, fill, struct_of

# 2: cases that train (case.training, trained); 3: rounds.run_delay_ns; 4: memory_round.unreleasable_bytes
SCHEMA = 4
READABLE = (1, 2, 3, 4)

_set = object.__setattr__  # of a record that nobody has seen yet: replace() takes ten times as long
_Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadingNs:
    value: _Whole | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _CompilationNs:
    ns: _Whole
    graphs: int
    recompiles_in_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """The durations of a record as they are stored."""

    warmup_ns: tuple[_Whole, ...]
    cold_start_ns: _ReadingNs
    load_ns: _ReadingNs
    compilation_ns: _CompilationNs | None = None
    columns: Columns | None = None


_IN_SECONDS = frozenset({"rounds", "warmup_s", "cold_start_s", "load_s", "compilation"})
if TYPE_CHECKING:
    StoredRecord = Any
    StoredRun = Any
else:
    StoredRun = struct_of(Run, leave_out=frozenset({"records"}), claims=frozenset({"interrupted"}))
    # With the keys of its _Times. Two have other names as attributes: a Record is filled from those, and would take
    # them for what it has in seconds.
    StoredRecord = struct_of(
        Record,
        leave_out=_IN_SECONDS,
        beside=_Times,
        names={"compilation_ns": "compilation", "columns": "rounds"},
        claims=frozenset({"test_outcome", "parallel"}),  # unlike other defaults, theirs do not mean unknown
    )


def encode_record(record: Record) -> dict[str, Any]:
    """Return *record* in plain, finite builtins.

    Raises:
        RunFileError: for a number that is not finite, a negative time, or rounds that do not fit together; names
            the key path.

    """
    check_record(record, "record")
    body = _fields_of(record, leave_out=_IN_SECONDS)
    body["warmup_ns"] = to_ns(record.warmup_s, "record.warmup_ns")
    body["cold_start_ns"] = _reading_ns(record.cold_start_s, "record.cold_start_ns")
    body["load_ns"] = _reading_ns(record.load_s, "record.load_ns")
    if record.compilation is not None:
        made = record.compilation
        body["compilation"] = {
            "ns": to_ns([made.seconds], "record.compilation.ns")[0],
            "graphs": made.graphs,
            "recompiles_in_rounds": made.recompiles_in_rounds,
        }
    plain = {name: _plain(value, join("record", name)) for name, value in body.items()}
    if record.rounds:
        columns = columns_of(record.rounds)
        plain["rounds"] = {
            name: found for name in columns.__struct_fields__ if (found := getattr(columns, name)) is not None
        }
    return plain


def decode_record(value: object, path: str = "record") -> Record:
    """Return the record that *value* holds; the opposite of :func:`encode_record`.

    Args:
        value: what encode_record returned, or the same read from JSON.
        path: where it was found, for messages.

    Raises:
        RunFileError: for unknown or missing keys, wrong types, negative times, columns of unequal length.

    """
    return record_of(convert(value, StoredRecord, path), path)


def record_of(stored: StoredRecord, path: str) -> Record:
    """Return the record that is *stored*, which was found at *path*.

    Raises:
        RunFileError: for columns of unequal length, and values that no measurement gives.

    """
    record = fill(stored, Record, path)
    if stored.columns is not None:
        check_lengths(stored.columns, join(path, "rounds"))
    _set(record, "rounds", () if stored.columns is None else StoredRounds(stored.columns))
    _set(record, "warmup_s", tuple([ns / NS for ns in stored.warmup_ns]))
    _set(record, "cold_start_s", _reading_s(stored.cold_start_ns))
    _set(record, "load_s", _reading_s(stored.load_ns))
    if stored.compilation_ns is not None:
        made = stored.compilation_ns
        in_seconds = Compilation(
            seconds=made.ns / NS, graphs=made.graphs, recompiles_in_rounds=made.recompiles_in_rounds
        )
        _set(record, "compilation", in_seconds)
    check_record(record, path)
    return record


def encode_header(run: Run) -> dict[str, Any]:
    """Return *run* without its records in plain, finite builtins.

    Raises:
        RunFileError: for a fact that cannot be stored; names the key path.

    """
    check_environment(run.environment, "run")
    plain: dict[str, Any] = to_plain(_fields_of(run, leave_out=frozenset({"records"})), "run")
    return plain


def decode_header(value: object, path: str = "run") -> Run:
    """Return a Run without records; the opposite of :func:`encode_header`.

    Raises:
        RunFileError: for unknown or missing keys and wrong types.

    """
    return header_of(convert(value, StoredRun, path), path)


def header_of(stored: StoredRun, path: str) -> Run:
    """Return the Run without records that is *stored*, which was found at *path*.

    Raises:
        RunFileError: for facts that no run has.

    """
    run = fill(stored, Run, path)
    check_environment(run.environment, path)
    return run


def encode_environment(environment: Environment) -> dict[str, Any]:
    """Return *environment* in plain, finite builtins."""
    plain: dict[str, Any] = to_plain(_fields_of(environment), "environment")
    return plain


def _plain(value: Any, path: str) -> Any:
    """Return *value* as :func:`to_plain` does; that it need not look is seen at once of nearly all."""
    if type(value) is dict:
        return value if is_plain(value.values()) else to_plain(value, path)
    return value if is_plain((value,)) else to_plain(value, path)


@functools.cache
def _names_and_defaults(kind: type) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.default is None) for field in dataclasses.fields(kind))


@functools.cache
def _is_dataclass(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _fields_of(value: Any, *, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    # Not dataclasses.asdict, which copies every round: 20 us each.
    found: dict[str, Any] = {}
    kind: type = type(value)
    for name, may_lack in _names_and_defaults(kind):
        item = getattr(value, name)
        if name in leave_out or (item is None and may_lack):
            continue
        found[name] = _fields_of(item) if _is_dataclass(item.__class__) else item
    return found


def _reading_ns(reading: Reading, path: str) -> dict[str, Any]:
    value = None if reading.value is None else to_ns([reading.value], path)[0]
    return {key: item for key, item in (("value", value), ("reason", reading.reason)) if item is not None}


def _reading_s(stored: _ReadingNs) -> Reading:
    return Reading(value=None if stored.value is None else stored.value / NS, reason=stored.reason)
