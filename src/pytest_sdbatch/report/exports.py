"""Runs in the formats that trackers of benchmarks read: github-action-benchmark and Bencher.

Both read our run files, too, as pytest-benchmark's: by ``tool: pytest`` and ``--adapter python_pytest``. There they
find seconds per round, or rounds per second; here images per second, seconds per image, memory and energy.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Outcome, Run, full_name
from pytest_sdbatch.report.escape import plain, shortened
from pytest_sdbatch.report.measured import of_runs
from pytest_sdbatch.report.table import Row, rows

_LONGEST_NAME_BYTES = 1024  # Bencher refuses a whole file over one longer name
_LONGEST = 200  # characters of what an error lists
_DIGEST = 8  # hex digits
# What ends a code span or a cell, in which github-action-benchmark puts names in its comments.
_UNSAFE = {"`": "'", "|": "/"}
_NS_PER_S, _MIB = 1e9, 2**20

_Document = list[dict[str, Any]] | dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file's text, and what cannot stand in it."""

    text: str
    values: int
    left_out: tuple[tuple[str, str], ...]  # name of each case without figures, and how it ended


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """The numbers of one case over all runs."""

    name: str
    row: Row
    call_s: float
    images: int  # of a call; of training, the examples of a step
    quartiles_s: tuple[float, float] | None  # of the rounds' seconds per call, widened to hold call_s; one has none

    @property
    def made(self) -> int:
        """How many images a call makes, or for videos frames."""
        return self.images * (self.row.frames or 1)

    @property
    def unit(self) -> str:
        """What is made per second."""
        return self.row.nouns.rate if self.row.frames is None else "frames/s"


def export(name: str, runs: Sequence[Run]) -> Exported:
    """Return *runs* in the format *name*, one of EXPORTS.

    Raises:
        RunFileError: for runs of several devices, whose cases have the same names; and for runs in which no case has
            figures, since an empty file is an error to those who read it.

    """
    devices = {str(run.environment.must_match.get("device_name")) for run in runs}
    if len(devices) > 1:
        raise RunFileError(
            f"runs of {shortened(' and '.join(sorted(map(plain, devices))), _LONGEST)} in one {name} file",
            why="their cases have the same names, so that the tracker would take them for one series",
            fix="write one file for each device",
        )
    figures, left_out = _figures_of(runs)
    if not figures:
        raise RunFileError(
            "no case has figures: nothing is written",
            why=", ".join(dict.fromkeys(outcome for _, outcome in left_out)) or "nothing was measured",
            fix="look at the run itself",
        )
    document = EXPORTS[name].make(figures)
    text = json.dumps(document, allow_nan=False, indent=1) + "\n"
    values = len(document) if isinstance(document, list) else sum(map(len, document.values()))
    return Exported(text=text, values=values, left_out=tuple(left_out))


def _figures_of(runs: Sequence[Run]) -> tuple[list[_Figures], list[tuple[str, str]]]:
    """Return the figures of each case that has some, and how the others ended."""
    records = of_runs(runs).records
    found: list[_Figures] = []
    left_out: list[tuple[str, str]] = []
    for row in rows(records.values()):
        record = records[row.test, row.case]
        name = safe_name(full_name(record.test, record.case))
        # A test that failed after measuring counts: one that regressed did, and is what the tracker is for.
        if row.outcome is not Outcome.OK or row.call_s is None:
            left_out.append((name, row.outcome.value if row.outcome is not Outcome.OK else "no figures"))
            continue
        case = record.case
        calls = [reading.wall_s / case.calls for reading in record.rounds]
        found.append(
            _Figures(
                name=name,
                row=row,
                call_s=row.call_s,
                images=case.images // case.calls,
                quartiles_s=_quartiles(calls, row.call_s),
            )
        )
    return found, left_out


def _quartiles(calls: Sequence[float], call_s: float) -> tuple[float, float] | None:
    if len(calls) < 2:
        return None
    low, _, high = statistics.quantiles(calls, n=4, method="inclusive")
    return min(low, call_s), max(high, call_s)


def _bigger(figures: Sequence[_Figures]) -> _Document:
    return [_value(one, one.name, one.made / one.call_s, one.unit, spread=True) for one in figures]


def _smaller(figures: Sequence[_Figures]) -> _Document:
    return [entry for one in figures for entry in _smaller_of(one)]


def _smaller_of(one: _Figures) -> Iterator[dict[str, Any]]:
    yield _value(one, f"{one.name} time", one.call_s / one.images, f"s/{one.row.nouns.image}", spread=True)
    for what, size in (("peak memory", one.row.peak_bytes), ("memory of the device", one.row.device_bytes)):
        if size is not None:
            yield _value(one, f"{one.name} {what}", size / _MIB, "MiB")
    if one.row.joules_per_image is not None:
        yield _value(one, f"{one.name} energy", one.row.joules_per_image, f"J/{one.row.nouns.image}")


def _value(one: _Figures, name: str, value: float, unit: str, *, spread: bool = False) -> dict[str, Any]:
    """Return one entry as github-action-benchmark takes it; ``range`` and ``extra`` are text for its tooltips."""
    entry: dict[str, Any] = {"name": name, "value": value, "unit": unit}
    if spread and one.row.call_interval is not None:
        scope = "within this run" if one.row.runs == 1 else f"between {one.row.runs} runs"
        entry["range"] = f"{units.spread(one.row.call_interval.half_width_ratio)} {scope}"
    return {
        **entry,
        "extra": f"{units.duration(one.call_s)} {one.row.nouns.per_call}\n{units.count(one.row.rounds, 'round')}",
    }


def _bencher(figures: Sequence[_Figures]) -> _Document:
    """Return Bencher's metric format: measures by name; the limits hold the middle half of the rounds."""
    return {one.name: dict(_measures(one)) for one in figures}


def _measures(one: _Figures) -> Iterator[tuple[str, dict[str, float]]]:
    latency, throughput = {"value": one.call_s * _NS_PER_S}, {"value": one.made / one.call_s}
    if one.quartiles_s is not None:
        low, high = one.quartiles_s
        latency |= {"lower_value": low * _NS_PER_S, "upper_value": high * _NS_PER_S}
        throughput |= {"lower_value": one.made / high, "upper_value": one.made / low}
    yield from (("latency", latency), ("throughput", throughput))
    for name, value in (
        ("peak-memory", one.row.peak_bytes),
        ("device-memory", one.row.device_bytes),
        ("energy-per-image", one.row.joules_per_image),
    ):
        if value is not None:
            yield name, {"value": value}


def safe_name(name: str) -> str:
    """Return *name* as trackers take it: one line without signs of Markdown's code and tables, at most 1,024 bytes.

    One that had to be changed ends in a digest of what it was, so that no two become one.
    """
    shown = "".join(_UNSAFE.get(character, character) for character in plain(name))
    if shown == name and len(name.encode("utf-8")) <= _LONGEST_NAME_BYTES:
        return name
    mark = f" ~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:_DIGEST]}"
    kept = shown.encode("utf-8")[: _LONGEST_NAME_BYTES - len(mark)].decode("utf-8", "ignore")
    return kept + mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One format."""

    reader: str  # what tells the tool that reads it which format it is
    contents: str
    make: Callable[[Sequence[_Figures]], _Document]


# By the name that is given to --format.
EXPORTS: Mapping[str, Export] = MappingProxyType(
    {
        "github-action-benchmark": Export(
            reader="tool: customBiggerIsBetter", contents="images per second", make=_bigger
        ),
        "github-action-benchmark-smaller": Export(
            reader="tool: customSmallerIsBetter",
            contents="seconds per image, peak memory, energy per image",
            make=_smaller,
        ),
        "bencher": Export(
            reader="--adapter json", contents="latency, throughput, peak memory, energy per image", make=_bencher
        ),
    }
)
