"""Records in plain builtins: the one form that a test report carries and a run file holds.

Rounds are columns, durations are whole nanoseconds; everything else keeps the names of :mod:`pytest_sdbatch.records`.
A None that is also the default is left out.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Compilation, Environment, Reading, Record, Round, Run
from pytest_sdbatch.storage.plain import convert, join, to_plain

SCHEMA = 1

_NS = 1e9
_TEST_OUTCOMES = ("passed", "failed", "skipped")
_PEAKS = ("peak_allocated_bytes", "peak_reserved_bytes", "host_peak_bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Columns:
    """The rounds of a record, one entry per round in each column. Nanoseconds and bytes."""

    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    call_ns: tuple[tuple[int, ...], ...]
    stages: Mapping[str, tuple[int | None, ...]] | None = None
    peak_allocated_bytes: tuple[int | None, ...] | None = None
    peak_reserved_bytes: tuple[int | None, ...] | None = None
    host_peak_bytes: tuple[int | None, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadingNs:
    value: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _CompilationNs:
    ns: int
    graphs: int
    recompiles_in_rounds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Times:
    """The durations of a record as they are stored."""

    warmup_ns: tuple[int, ...]
    cold_start_ns: _ReadingNs
    load_ns: _ReadingNs
    compilation: _CompilationNs | None = None
    rounds: _Columns | None = None


_TIMES = frozenset(field.name for field in dataclasses.fields(_Times))
_IN_SECONDS = frozenset({"rounds", "warmup_s", "cold_start_s", "load_s", "compilation"})


def encode_record(record: Record) -> dict[str, Any]:
    """Return *record* in plain, finite builtins.

    Raises:
        RunFileError: for a number that is not finite, a negative time, or rounds that do not fit together; names
            the key path.

    """
    _check_values(record, "record")
    body = _fields_of(record, leave_out=_IN_SECONDS)
    body["warmup_ns"] = _to_ns(record.warmup_s, "record.warmup_ns")
    body["cold_start_ns"] = _reading_ns(record.cold_start_s, "record.cold_start_ns")
    body["load_ns"] = _reading_ns(record.load_s, "record.load_ns")
    if record.compilation is not None:
        made = record.compilation
        body["compilation"] = {
            "ns": _to_ns([made.seconds], "record.compilation.ns")[0],
            "graphs": made.graphs,
            "recompiles_in_rounds": made.recompiles_in_rounds,
        }
    if record.rounds:
        body["rounds"] = _columns(record.rounds)
    plain: dict[str, Any] = to_plain(body, "record")
    return plain


def decode_record(value: object, path: str = "record") -> Record:
    """Return the record that *value* holds; the opposite of :func:`encode_record`.

    Args:
        value: what encode_record returned, or the same read from JSON.
        path: where it was found, for messages.

    Raises:
        RunFileError: for unknown or missing keys, wrong types, negative times, columns of unequal length.

    """
    if not isinstance(value, dict):
        raise RunFileError(f"{path}: Expected `object`, got `{type(value).__name__}`")
    for key in sorted(_IN_SECONDS - _TIMES):
        if key in value:
            raise RunFileError(f"{join(path, key)}: unknown key")
    times = convert({key: item for key, item in value.items() if key in _TIMES}, _Times, path)
    record = convert({key: item for key, item in value.items() if key not in _TIMES}, Record, path)
    made = times.compilation
    record = replace(
        record,
        rounds=() if times.rounds is None else _rounds(times.rounds, join(path, "rounds")),
        warmup_s=tuple(ns / _NS for ns in times.warmup_ns),
        cold_start_s=_reading_s(times.cold_start_ns),
        load_s=_reading_s(times.load_ns),
        compilation=None
        if made is None
        else Compilation(seconds=made.ns / _NS, graphs=made.graphs, recompiles_in_rounds=made.recompiles_in_rounds),
    )
    _check_values(record, path)
    return record


def encode_header(run: Run) -> dict[str, Any]:
    """Return *run* without its records in plain, finite builtins.

    Raises:
        RunFileError: for a fact that cannot be stored; names the key path.

    """
    plain: dict[str, Any] = to_plain(_fields_of(run, leave_out=frozenset({"records"})), "run")
    return plain


def decode_header(value: object, path: str = "run") -> Run:
    """Return a Run without records; the opposite of :func:`encode_header`.

    Raises:
        RunFileError: for unknown or missing keys and wrong types.

    """
    if isinstance(value, dict) and "records" in value:
        raise RunFileError(f"{join(path, 'records')}: unknown key")
    return convert({**value, "records": []} if isinstance(value, dict) else value, Run, path)


def encode_environment(environment: Environment) -> dict[str, Any]:
    """Return *environment* in plain, finite builtins."""
    plain: dict[str, Any] = to_plain(_fields_of(environment), "environment")
    return plain


@functools.cache
def _names_and_defaults(kind: type) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.default is None) for field in dataclasses.fields(kind))


def _fields_of(value: Any, *, leave_out: frozenset[str] = frozenset()) -> dict[str, Any]:
    # Not dataclasses.asdict, which copies every round: 20 us each.
    found: dict[str, Any] = {}
    kind: type = type(value)
    for name, may_lack in _names_and_defaults(kind):
        item = getattr(value, name)
        if name in leave_out or (item is None and may_lack):
            continue
        found[name] = _fields_of(item) if dataclasses.is_dataclass(item) else item
    return found


def _columns(rounds: Sequence[Round]) -> dict[str, Any]:
    columns: dict[str, Any] = {
        "wall_ns": _to_ns((r.wall_s for r in rounds), "record.rounds.wall_ns"),
        "cpu_ns": _to_ns((r.cpu_s for r in rounds), "record.rounds.cpu_ns"),
        "call_ns": [_to_ns(r.call_s, "record.rounds.call_ns") for r in rounds],
    }
    for name in _PEAKS:
        peaks = [getattr(r, name) for r in rounds]
        if any(peak is not None for peak in peaks):
            columns[name] = peaks
    stages = dict.fromkeys(name for r in rounds for name in r.stage_s or ())
    if stages:
        columns["stages"] = {
            name: [
                None if r.stage_s is None or name not in r.stage_s else _to_ns([r.stage_s[name]], f"stages.{name}")[0]
                for r in rounds
            ]
            for name in stages
        }
    return columns


def _rounds(columns: _Columns, path: str) -> tuple[Round, ...]:
    count = len(columns.wall_ns)
    stages = columns.stages or {}
    for name, column in {**{n: getattr(columns, n) for n in ("cpu_ns", "call_ns", *_PEAKS)}, **stages}.items():
        if column is not None and len(column) != count:
            raise RunFileError(f"{join(path, name)}: {len(column)} entries for {count} rounds")
    peaks = [getattr(columns, name) or (None,) * count for name in _PEAKS]
    return tuple(
        Round(
            wall_s=wall / _NS,
            cpu_s=cpu / _NS,
            call_s=tuple([call / _NS for call in calls]),
            stage_s={n: ns / _NS for n, column in stages.items() if (ns := column[index]) is not None} or None,
            peak_allocated_bytes=allocated,
            peak_reserved_bytes=reserved,
            host_peak_bytes=host,
        )
        for index, (wall, cpu, calls, allocated, reserved, host) in enumerate(
            zip(columns.wall_ns, columns.cpu_ns, columns.call_ns, *peaks, strict=True)
        )
    )


def _to_ns(seconds: Iterable[float], path: str) -> list[int]:
    try:
        return [round(value * _NS) for value in seconds]
    except (ValueError, OverflowError):
        raise RunFileError(f"{path}: not a finite number") from None


def _reading_ns(reading: Reading, path: str) -> dict[str, Any]:
    value = None if reading.value is None else _to_ns([reading.value], path)[0]
    return {key: item for key, item in (("value", value), ("reason", reading.reason)) if item is not None}


def _reading_s(stored: _ReadingNs) -> Reading:
    return Reading(value=None if stored.value is None else stored.value / _NS, reason=stored.reason)


def _check_values(record: Record, path: str) -> None:
    """Raise RunFileError for values that no measurement gives, whichever way they came."""
    case = record.case
    sizes = {name: getattr(case, name) for name in ("height", "width", "steps", "batch_size", "batch_count")}
    if case.frames is not None:
        sizes["frames"] = case.frames
    for name, size in {**{f"case.{n}": s for n, s in sizes.items()}, "parallel": record.parallel}.items():
        if size < 1:
            raise RunFileError(f"{join(path, name)}: {size} is less than 1")
    if record.test_outcome not in _TEST_OUTCOMES:
        raise RunFileError(f"{join(path, 'test_outcome')}: {record.test_outcome!r}")
    durations = [*record.warmup_s, record.cold_start_s.value or 0, record.load_s.value or 0]
    if record.compilation is not None:
        durations.append(record.compilation.seconds)
    if min(durations) < 0:
        raise RunFileError(f"{path}: a negative time before the rounds")
    for index, r in enumerate(record.rounds):
        if r.wall_s < 0 or r.cpu_s < 0 or min(r.call_s, default=0) < 0:
            raise RunFileError(f"{join(path, 'rounds')}: round {index} has a negative time")
        for name, seconds in (r.stage_s or {}).items():
            if seconds < 0:
                raise RunFileError(f"{join(path, 'rounds.stages')}.{name}: round {index} has a negative time")
        if min(r.peak_allocated_bytes or 0, r.peak_reserved_bytes or 0, r.host_peak_bytes or 0) < 0:
            raise RunFileError(f"{join(path, 'rounds')}: round {index} has a negative peak")
