"""The rounds of a record as they are stored: a column per figure, an entry per round, whole numbers of small units."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, overload

from msgspec import Meta, Struct

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record, Round
from pytest_sdbatch.storage.plain import LARGEST, is_plain, join, to_plain
from pytest_sdbatch.storage.possible import PEAKS

NS, _MJ = 1e9, 1e3  # parts of a second, of a joule
_WHOLE = (*PEAKS, "sm_clock_mhz", "temperature_celsius")  # columns that keep the name of Round
# Columns of whole numbers in a smaller unit: name there, name in Round, parts of a unit.
_SCALED = (
    ("machine_cpu_ns", "machine_cpu_s", NS),
    ("run_delay_ns", "run_delay_s", NS),
    ("energy_mj", "energy_joules", _MJ),
    ("sw_power_cap_ns", "sw_power_cap_s", NS),
    ("sw_thermal_ns", "sw_thermal_s", NS),
    ("hw_thermal_ns", "hw_thermal_s", NS),
    ("hw_power_brake_ns", "hw_power_brake_s", NS),
)
_COLUMNS = ("wall_ns", "cpu_ns", *_WHOLE, *(key for key, _, _ in _SCALED))
_ALL_COLUMNS = operator.attrgetter(*_COLUMNS, "call_ns")


# Looked at as it is read: a pass of our own takes ten times as long.
_Count = Annotated[int, Meta(ge=0, le=LARGEST - 1)]


class Columns(Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True, forbid_unknown_fields=True):
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


class StoredRounds(Sequence[Round]):
    """Rounds as they are stored; a Round is made when someone asks for one.

    A file of 10,000 records holds 300,000 rounds, and most readers only want their seconds.
    """

    def __init__(self, columns: Columns) -> None:
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
                wall_s=wall / NS,
                cpu_s=cpu / NS,
                call_s=tuple([call / NS for call in calls]),
                stage_s={n: ns / NS for n, column in stages.items() if (ns := column[index]) is not None} or None,
                **{name: column[index] for name, column in there.items()},
                **{name: _divided(column[index], parts) for name, (column, parts) in scaled.items()},
            )
            for index, (wall, cpu, calls) in enumerate(
                zip(columns.wall_ns, columns.cpu_ns, columns.call_ns, strict=True)
            )
        )

    @functools.cached_property
    def wall_s(self) -> list[float]:
        """Seconds of each round; no Round is made for it."""
        return [ns / NS for ns in self.columns.wall_ns]

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
        if isinstance(other, StoredRounds):
            return self.columns == other.columns
        return self._rounds == other

    def __hash__(self) -> int:
        return hash(self._rounds)

    def __repr__(self) -> str:
        return repr(self._rounds)


def wall_s(record: Record) -> Sequence[float]:
    """Return the wall seconds of the rounds of *record*, as a reader of whole nanoseconds gets them."""
    if isinstance(record.rounds, StoredRounds):  # asked for by the check of a file, and by who reads it
        return record.rounds.wall_s
    return [ns / NS for ns in columns_of(record.rounds).wall_ns]


def peaks(record: Record) -> list[int]:
    """Return the peaks of memory of the rounds of *record*, in the measure that it names; those that are known."""
    column = getattr(columns_of(record.rounds), record.memory_source or "", None)
    return [peak for peak in column or () if peak is not None]


def joules(record: Record) -> list[float]:
    """Return the joules of the rounds of *record*, those that are known; no Round is made for it."""
    return [parts / _MJ for parts in columns_of(record.rounds).energy_mj or () if parts is not None]


def stages_ns(record: Record) -> Mapping[str, Sequence[int | None]]:
    """Return the nanoseconds of each stage in the rounds of *record*, as they are stored; empty without a split."""
    return columns_of(record.rounds).stages or {}


def clocks_mhz(record: Record) -> Sequence[int | None]:
    """Return the clock of the device as each round of *record* ended; empty where it is not known."""
    return columns_of(record.rounds).sm_clock_mhz or ()


def columns_of(rounds: Sequence[Round]) -> Columns:
    """Return *rounds* as they are stored.

    Raises:
        RunFileError: for a figure that is not finite, or below 0; names the key path.

    """
    if isinstance(rounds, StoredRounds):
        return rounds.columns
    path = "record.rounds"
    calls = iter(to_ns([call for r in rounds for call in r.call_s], f"{path}.call_ns"))
    splits = [r.stage_s or {} for r in rounds]
    stages = dict.fromkeys(itertools.chain.from_iterable(splits))
    columns = Columns(
        wall_ns=to_ns([r.wall_s for r in rounds], f"{path}.wall_ns"),
        cpu_ns=to_ns([r.cpu_s for r in rounds], f"{path}.cpu_ns"),
        call_ns=[list(itertools.islice(calls, len(r.call_s))) for r in rounds],
        stages={n: to_ns([split.get(n) for split in splits], f"{path}.stages.{n}") for n in stages} or None,
        **{name: _whole([getattr(r, name) for r in rounds], f"{path}.{name}") for name in _WHOLE},
        **{key: _parts([getattr(r, name) for r in rounds], parts, f"{path}.{key}") for key, name, parts in _SCALED},
    )
    check_lengths(columns, path)
    _check_no_negative(columns, path)
    return columns


def _whole(values: list[Any], path: str) -> Any:
    if values.count(None) == len(values):
        return None
    return values if is_plain(values) else to_plain(values, path)


def _parts(values: list[Any], parts: float, path: str) -> Any:
    return None if values.count(None) == len(values) else to_ns(values, path, parts=parts)


def _divided(value: int | None, parts: float) -> Any:
    return None if value is None else value / parts


def _by_name(columns: Columns) -> dict[str, Sequence[Any]]:
    named = {name: column for name in _COLUMNS if (column := getattr(columns, name)) is not None}
    return {**named, **{f"stages.{name}": column for name, column in (columns.stages or {}).items()}}


def check_lengths(columns: Columns, path: str) -> None:
    """Raise RunFileError for columns of unequal length."""
    count = len(columns.wall_ns)
    there = [column for column in _ALL_COLUMNS(columns) if column is not None]
    if set(map(len, itertools.chain(there, (columns.stages or {}).values()))) == {count}:
        return  # nearly all; only the rest need their names
    for name, column in {**_by_name(columns), "call_ns": columns.call_ns}.items():
        if len(column) != count:
            raise RunFileError(f"{join(path, name)}: {len(column)} entries for {count} rounds")


def _check_no_negative(columns: Columns, path: str) -> None:
    """Raise RunFileError for a value below 0; of columns that were read msgspec has seen to it."""
    calls = list(itertools.chain.from_iterable(columns.call_ns))
    for name, column in {**_by_name(columns), "call_ns": calls}.items():
        least = min((value for value in column if value is not None), default=0)
        if least < 0:
            raise RunFileError(f"{join(path, name)}: {least} is below 0")


def to_ns(seconds: Sequence[float | None], path: str, *, parts: float = NS) -> list[Any]:
    """Return each of *seconds* in whole nanoseconds, or in whole parts of another unit, of which *parts* make one.

    Raises:
        RunFileError: for a number that is not finite; names *path*.

    """
    try:
        if None in seconds:
            return [None if value is None else round(value * parts) for value in seconds]
        return list(map(round, [value * parts for value in seconds]))  # type: ignore[operator]
    except (ValueError, OverflowError):
        raise RunFileError(f"{path}: not a finite number") from None
