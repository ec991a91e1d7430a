"""Records in plain builtins: the one form that a test report carries and a run file holds.

Rounds are columns, durations are whole nanoseconds; everything else keeps the names of :mod:`pytest_sdbatch.records`.
A None that is also the default is left out, and a key that a file lacks has its default: unknown. Where the default is
a claim the key must be there. A key that this version does not know is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, overload

from msgspec import Meta, Struct

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Compilation, Environment, Reading, Record, Round, Run
from pytest_sdbatch.storage.plain import LARGEST, convert, fill, is_plain, join, to_plain
from pytest_sdbatch.storage.possible import PEAKS, check_environment, check_record
from pytest_sdbatch.storage.strict import struct_of

SCHEMA = 3  # 2: cases that train (case.training, trained); 3: rounds.run_delay_ns. Without them it is 1
READABLE = (1, 2, 3)

_NS, _MJ = 1e9, 1e3  # parts of a second, of a joule
_WHOLE = (*PEAKS, "sm_clock_mhz", "temperature_celsius")  # columns that keep the name of Round
# Columns of whole numbers in a smaller unit: name there, name in Round, parts of a unit.
_SCALED = (
    ("machine_cpu_ns", "machine_cpu_s", _NS),
    ("run_delay_ns", "run_delay_s", _NS),
    ("energy_mj", "energy_joules", _MJ),
    ("sw_power_cap_ns", "sw_power_cap_s", _NS),
    ("sw_thermal_ns", "sw_thermal_s", _NS),
    ("hw_thermal_ns", "hw_thermal_s", _NS),
    ("hw_power_brake_ns", "hw_power_brake_s", _NS),
)
_COLUMNS = ("wall_ns", "cpu_ns", *_WHOLE, *(key for key, _, _ in _SCALED))
_ALL_COLUMNS = operator.attrgetter(*_COLUMNS, "call_ns")


# Looked at as it is read: a pass of our own takes ten times as long.
_Count = Annotated[int, Meta(ge=0, le=LARGEST - 1)]
_Whole = Annotated[int, Meta(ge=-LARGEST, le=LARGEST - 1)]


class _Columns(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
    """The rounds of a record, one entry per round in each column. Nanoseconds and bytes."""

    wall_ns: list[_Count]
    cpu_ns: list[_Count]
    call_ns: list[list[_Count]]
    machine_cpu_ns: list[_Count | None] | None = None
    run_delay_ns: list[_Count | None] | None = None
    host_peak_bytes: list[_Count | None] | None = None
    peak_allocated_bytes: list[_Count | None] | None = None
    peak_reserved_bytes: list[_Count | None] | None = None
    stages: dict[str, list[_Count | None]] | None = None
    energy_mj: list[_Count | None] | None = None
    sw_power_cap_ns: list[_Count | None] | None = None
    sw_thermal_ns: list[_Count | None] | None = None
    hw_thermal_ns: list[_Count | None] | None = None
    hw_power_brake_ns: list[_Count | None] | None = None
    sm_clock_mhz: list[_Count | None] | None = None
    temperature_celsius: list[_Count | None] | None = None


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
    columns: _Columns | None = None


_IN_SECONDS = frozenset({"rounds", "warmup_s", "cold_start_s", "load_s", "compilation"})
if TYPE_CHECKING:
    StoredRecord = Any
else:  # a Record as it is stored, and the keys of its _Times
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
    plain = {name: _plain(value, join("record", name)) for name, value in body.items()}
    if record.rounds:
        columns = _columns(record.rounds)
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
        _check_lengths(stored.columns, join(path, "rounds"))
    made = stored.compilation_ns
    in_seconds: dict[str, Any] = {
        "rounds": () if stored.columns is None else _StoredRounds(stored.columns),
        "warmup_s": tuple([ns / _NS for ns in stored.warmup_ns]),
        "cold_start_s": _reading_s(stored.cold_start_ns),
        "load_s": _reading_s(stored.load_ns),
        "compilation": None
        if made is None
        else Compilation(seconds=made.ns / _NS, graphs=made.graphs, recompiles_in_rounds=made.recompiles_in_rounds),
    }
    for name, item in in_seconds.items():
        object.__setattr__(record, name, item)  # nobody has seen it yet; replace() takes ten times as long
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
    if isinstance(value, dict) and "records" in value:
        raise RunFileError(f"{join(path, 'records')}: unknown key")
    if isinstance(value, dict) and "interrupted" not in value:
        raise RunFileError(f"{join(path, 'interrupted')}: missing")
    run = convert({**value, "records": []} if isinstance(value, dict) else value, Run, path)
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


class _StoredRounds(Sequence[Round]):
    """Rounds as they are stored; a Round is made when someone asks for one.

    A file of 10,000 records holds 300,000 rounds, and most readers only want their seconds.
    """

    def __init__(self, columns: _Columns) -> None:
        self.columns = columns

    @functools.cached_property
    def _rounds(self) -> tuple[Round, ...]:
        columns = self.columns
        stages = columns.stages or {}
        there: dict[str, Any] = {name: column for name in _WHOLE if (column := getattr(columns, name))}
        scaled: dict[str, Any] = {
            name: (column, parts) for key, name, parts in _SCALED if (column := getattr(columns, key))
        }
        return tuple(
            Round(
                wall_s=wall / _NS,
                cpu_s=cpu / _NS,
                call_s=tuple([call / _NS for call in calls]),
                stage_s={n: ns / _NS for n, column in stages.items() if (ns := column[index]) is not None} or None,
                **{name: column[index] for name, column in there.items()},
                **{name: _divided(column[index], parts) for name, (column, parts) in scaled.items()},
            )
            for index, (wall, cpu, calls) in enumerate(
                zip(columns.wall_ns, columns.cpu_ns, columns.call_ns, strict=True)
            )
        )

    @functools.cached_property
    def wall_s(self) -> list[float]:
        return [ns / _NS for ns in self.columns.wall_ns]

    def __len__(self) -> int:
        return len(self.columns.wall_ns)

    @overload
    def __getitem__(self, index: int) -> Round: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Round, ...]: ...
    def __getitem__(self, index: int | slice) -> Round | tuple[Round, ...]:
        return self._rounds[index]

    def __iter__(self) -> Iterator[Round]:
        return iter(self._rounds)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, _StoredRounds):
            return self.columns == other.columns
        return self._rounds == other

    def __hash__(self) -> int:
        return hash(self._rounds)

    def __repr__(self) -> str:
        return repr(self._rounds)


def wall_s(record: Record) -> Sequence[float]:
    """Return the wall seconds of the rounds of *record*, as a reader of whole nanoseconds gets them."""
    if isinstance(record.rounds, _StoredRounds):  # asked for by the check of a file, and by who reads it
        return record.rounds.wall_s
    return [ns / _NS for ns in _columns(record.rounds).wall_ns]


def peaks(record: Record) -> list[int]:
    """Return the peaks of memory of the rounds of *record*, in the measure that it names; those that are known."""
    column = getattr(_columns(record.rounds), record.memory_source or "", None)
    return [peak for peak in column or () if peak is not None]


def joules(record: Record) -> list[float]:
    """Return the joules of the rounds of *record*, those that are known; no Round is made for it."""
    return [parts / _MJ for parts in _columns(record.rounds).energy_mj or () if parts is not None]


def stages_ns(record: Record) -> Mapping[str, Sequence[int | None]]:
    """Return the nanoseconds of each stage in the rounds of *record*, as they are stored; empty without a split."""
    return _columns(record.rounds).stages or {}


def clocks_mhz(record: Record) -> Sequence[int | None]:
    """Return the clock of the device as each round of *record* ended; empty where it is not known."""
    return _columns(record.rounds).sm_clock_mhz or ()


def _columns(rounds: Sequence[Round]) -> _Columns:
    if isinstance(rounds, _StoredRounds):
        return rounds.columns
    path = "record.rounds"
    calls = iter(_to_ns([call for r in rounds for call in r.call_s], f"{path}.call_ns"))
    splits = [r.stage_s or {} for r in rounds]
    stages = dict.fromkeys(itertools.chain.from_iterable(splits))
    columns = _Columns(
        wall_ns=_to_ns([r.wall_s for r in rounds], f"{path}.wall_ns"),
        cpu_ns=_to_ns([r.cpu_s for r in rounds], f"{path}.cpu_ns"),
        call_ns=[list(itertools.islice(calls, len(r.call_s))) for r in rounds],
        stages={n: _to_ns([split.get(n) for split in splits], f"{path}.stages.{n}") for n in stages} or None,
        **{name: _whole([getattr(r, name) for r in rounds], f"{path}.{name}") for name in _WHOLE},
        **{key: _parts([getattr(r, name) for r in rounds], parts, f"{path}.{key}") for key, name, parts in _SCALED},
    )
    _check_lengths(columns, path)
    _check_no_negative(columns, path)
    return columns


def _whole(values: list[Any], path: str) -> Any:
    if values.count(None) == len(values):
        return None
    return values if is_plain(values) else to_plain(values, path)


def _parts(values: list[Any], parts: float, path: str) -> Any:
    return None if values.count(None) == len(values) else _to_ns(values, path, parts=parts)


def _divided(value: int | None, parts: float) -> Any:
    return None if value is None else value / parts


def _by_name(columns: _Columns) -> dict[str, Sequence[Any]]:
    named = {name: column for name in _COLUMNS if (column := getattr(columns, name)) is not None}
    return {**named, **{f"stages.{name}": column for name, column in (columns.stages or {}).items()}}


def _check_lengths(columns: _Columns, path: str) -> None:
    """Raise RunFileError for columns of unequal length."""
    count = len(columns.wall_ns)
    there = [column for column in _ALL_COLUMNS(columns) if column is not None]
    if set(map(len, itertools.chain(there, (columns.stages or {}).values()))) == {count}:
        return  # nearly all; only the rest need their names
    for name, column in {**_by_name(columns), "call_ns": columns.call_ns}.items():
        if len(column) != count:
            raise RunFileError(f"{join(path, name)}: {len(column)} entries for {count} rounds")


def _check_no_negative(columns: _Columns, path: str) -> None:
    """Raise RunFileError for a value below 0; of columns that were read msgspec has seen to it."""
    calls = list(itertools.chain.from_iterable(columns.call_ns))
    for name, column in {**_by_name(columns), "call_ns": calls}.items():
        least = min((value for value in column if value is not None), default=0)
        if least < 0:
            raise RunFileError(f"{join(path, name)}: {least} is below 0")


def _to_ns(seconds: Sequence[float | None], path: str, *, parts: float = _NS) -> list[Any]:
    try:
        if None in seconds:
            return [None if value is None else round(value * parts) for value in seconds]
        return list(map(round, [value * parts for value in seconds]))  # type: ignore[operator]
    except (ValueError, OverflowError):
        raise RunFileError(f"{path}: not a finite number") from None


def _reading_ns(reading: Reading, path: str) -> dict[str, Any]:
    value = None if reading.value is None else _to_ns([reading.value], path)[0]
    return {key: item for key, item in (("value", value), ("reason", reading.reason)) if item is not None}


def _reading_s(stored: _ReadingNs) -> Reading:
    return Reading(value=None if stored.value is None else stored.value / _NS, reason=stored.reason)
