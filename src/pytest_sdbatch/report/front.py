"""Which rows are worth choosing from: those that no other one beats in everything that is known of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from pytest_sdbatch.analysis.estimate import student_quantile
from pytest_sdbatch.analysis.location import interval
from pytest_sdbatch.analysis.memory_fit import LEAST_BYTES, TOLERANCE
from pytest_sdbatch.analysis.pareto import Limits, pareto_front
from pytest_sdbatch.analysis.splits import Split
from pytest_sdbatch.analysis.spread import Timing, spread_of
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.nouns import GENERATION, Nouns
from pytest_sdbatch.records import Record
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.measured import Measured
from pytest_sdbatch.report.table import Row

_ANYTHING: Limits = (0.0, math.inf)  # of a figure whose noise is not known: it beats nothing, and nothing beats it
_TWO_SIDED_95 = 0.975
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Front(Generic[T]):
    """What nothing beats, and what something else does: no worse in any figure, and surely better in one."""

    figures: tuple[str, ...]  # that were compared, in words
    best: tuple[T, ...]
    beaten: tuple[T, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant(Generic[T]):
    """A row that is compared with others, and what its figures are taken from."""

    key: T
    row: Row
    timing: Timing
    record: Record
    price_per_s: float | None = None  # dollars of its device; None: not known


def front_of_rows(members: Sequence[Row], measured: Measured, *, price_per_s: float | None = None) -> Front[str]:
    """Return the front of case ids over latency, throughput, memory, energy and cost.

    Args:
        members: rows of one test and device that make the same images; those that do not answer are left out.
        measured: that they show.
        price_per_s: dollars of the device; None: not known.

    """
    return front_of_entrants(
        [
            Entrant(
                key=row.case,
                row=row,
                timing=measured.timings[row.test, row.case],
                record=measured.records[row.test, row.case],
                price_per_s=price_per_s,
            )
            for row in members
            if row.answers and (row.test, row.case) in measured.timings
        ]
    )


def front_of_entrants(entrants: Sequence[Entrant[T]], nouns: Nouns = GENERATION) -> Front[T]:
    """Return the front over latency, throughput, memory, energy and cost, of one device or of several.

    A figure that one of them lacks is compared of none.
    """
    calls = _calls([entrant.timing for entrant in entrants])
    images = [
        _times(limits, entrant.record.case.calls / entrant.record.case.images)
        for entrant, limits in zip(entrants, calls, strict=True)
    ]
    columns: dict[str, Sequence[Limits | None]] = {
        f"time {nouns.per_call}": calls,
        f"time per {nouns.image}": images,
        "peak memory": [_memory(entrant.row.peak_bytes) for entrant in entrants],
        "energy": [_energy(entrant.record) for entrant in entrants],
        "cost": [
            None if entrant.price_per_s is None else _times(limits, entrant.price_per_s)
            for entrant, limits in zip(entrants, images, strict=True)
        ],
    }
    return _front([entrant.key for entrant in entrants], columns)


def front_of_splits(splits: Sequence[Split], paid: Sequence[Split] = ()) -> Front[Split]:
    """Return the front of the measured ones of *splits* over their time, first image, memory, energy and cost.

    Args:
        splits: of one number of images.
        paid: the same ones from a cold start, which is what a device is paid for; none: its price is not known.

    """
    ran = [split for split in splits if split.measured]
    paid_s = {split.batch_size: split.seconds for split in paid}
    columns: dict[str, Sequence[Limits | None]] = {
        "time": [_span(split, split.seconds) for split in ran],
        "first image": [_span(split, split.first_image_s) for split in ran],
        "peak memory": [_memory(split.peak_bytes) for split in ran],
        "energy": [None if split.joules is None else _span(split, split.joules) for split in ran],
    }
    if paid:
        columns["cost"] = [_span(split, paid_s[split.batch_size]) for split in ran]
    return _front(ran, columns)


def worth_choosing(front: Front[str], cases: Sequence[Case]) -> str:
    """Return which splits of all dtypes and variants the *front* holds; empty for one of each, or where it holds all.

    ``sd15-random 512x512-s20, worth choosing from by time per call and time per image: bf16 eager b1x1, b4x1``

    Args:
        front: of the cases.
        cases: that make the same images.

    """
    ways = {(case.dtype, case.variant) for case in cases}
    if len(ways) < 2 or not front.beaten:
        return ""
    chosen: dict[str, list[str]] = {}
    for case in cases:
        if case.id in front.best:
            chosen.setdefault(f"{case.dtype} {case.variant}", []).append(f"b{case.split}")
    said = "; ".join(f"{plain(way)} {', '.join(splits)}" for way, splits in chosen.items())
    label = cases[0].label
    rest = replace(cases[0], dtype="", variant="eager").group_id.removeprefix(label).lstrip("-")
    return f"{label} {rest}, worth choosing from by {_listed(front.figures)}: {said}".lstrip()


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _front(keys: Sequence[T], columns: Mapping[str, Sequence[Limits | None]]) -> Front[T]:
    known = {
        name: [limits for limits in column if limits is not None]
        for name, column in columns.items()
        if None not in column
    }
    best = pareto_front(dict(zip(keys, zip(*known.values(), strict=True), strict=True)))
    return Front(figures=tuple(known), best=best, beaten=tuple(key for key in keys if key not in best))


def _calls(timings: Sequence[Timing]) -> list[Limits]:
    """Return the 95 % limits of the seconds of a call of each timing, as far as the runs tell them."""
    if not timings:
        return []
    spread = spread_of(timings)
    if not spread.freedom:
        return [_ANYTHING for _ in timings]
    reach = student_quantile(spread.freedom, _TWO_SIDED_95)
    return [
        (math.exp(log - reach * error), math.exp(log + reach * error))
        for log, error in zip(spread.logs, spread.errors, strict=True)
    ]


def _times(limits: Limits, factor: float) -> Limits:
    return limits[0] * factor, limits[1] * factor


def _memory(size_bytes: float | None) -> Limits | None:
    """Return the limits of a peak: the allocator rounds."""
    if size_bytes is None:
        return None
    slack = max(TOLERANCE * size_bytes, LEAST_BYTES)
    return size_bytes - slack, size_bytes + slack


def _energy(record: Record) -> Limits | None:
    if record.joules_per_image is None:
        return None
    found = interval([reading.energy_joules for reading in record.rounds if reading.energy_joules])
    return _ANYTHING if found is None else _times((found.low, found.high), 1 / record.case.images)


def _span(split: Split, value: float) -> Limits:
    """Return the limits of a figure that is as sure as the split's time, of which it is a part or a multiple."""
    if split.low_s is None or split.high_s is None:
        return _ANYTHING
    return value * split.low_s / split.seconds, value * split.high_s / split.seconds
