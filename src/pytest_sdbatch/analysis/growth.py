"""What grew where a case became slower, as its own rounds tell: the stage, the clock, the cold start."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.analysis.sides import Measured

_NS = 1e9
_OUTSIDE = "outside the stages"
_LEAST_FALL = 0.02  # of a clock
_LEAST_GROWTH = 0.2  # of a cold start, which is read once in a process


def growth(base: Sequence[Measured], candidate: Sequence[Measured]) -> Iterator[str]:
    """Yield what explains a regression; nothing where the runs do not tell. An explanation is never a test.

    Args:
        base: the sound runs of the base, of one case.
        candidate: those of the candidate.

    """
    stage = _stage(base, candidate)
    if stage is not None:
        yield stage
    before, after = ([mhz for run in side for mhz in run.clocks_mhz if mhz] for side in (base, candidate))
    if before and after and statistics.median(after) < (1 - _LEAST_FALL) * statistics.median(before):
        yield f"clock: {statistics.median(before):,.0f} MHz -> {statistics.median(after):,.0f} MHz"
    starts = [[run.cold_start_s for run in side if run.cold_start_s] for side in (base, candidate)]
    if all(starts):
        cold_before, cold_after = (statistics.median(values) for values in starts)
        if cold_after > (1 + _LEAST_GROWTH) * cold_before:
            yield f"cold start: {units.duration(cold_before)} -> {units.duration(cold_after)}"


def stage_seconds(found: Sequence[Measured]) -> dict[str, float]:
    """Return the seconds per call of each stage, and of what lies outside of them: means over the runs.

    A run without a split makes it empty: the stages of the others would not add up to the time of all.
    """
    splits = [_split(measured) for measured in found]
    if not splits or not all(splits):
        return {}
    return {
        name: statistics.fmean(split.get(name, 0.0) for split in splits)
        for name in dict.fromkeys(name for split in splits for name in split)
    }


def _split(measured: Measured) -> dict[str, float]:
    calls = measured.place.batch_count
    known = {name: [ns for ns in column if ns is not None] for name, column in measured.stages_ns.items()}
    if not known or not measured.seconds or not all(known.values()):
        return {}
    found = {name: statistics.median(column) / _NS / calls for name, column in known.items()}
    return {**found, _OUTSIDE: location_s(measured.seconds) / calls - sum(found.values())}


def _stage(base: Sequence[Measured], candidate: Sequence[Measured]) -> str | None:
    """Return the stage that grew most, with its share of all growth."""
    before, after = stage_seconds(base), stage_seconds(candidate)
    if not before or not after:
        return None
    changes = {name: after.get(name, 0.0) - before.get(name, 0.0) for name in {**before, **after}}
    grown = {name: change for name, change in changes.items() if change > 0}
    if not grown:
        return None
    name = max(grown, key=lambda key: grown[key])
    part = units.share(grown[name] / sum(grown.values()))
    times = " -> ".join(units.duration(max(side.get(name, 0.0), 0.0)) for side in (before, after))
    return f"stage: {name} {times} {base[0].place.nouns.per_call}, {part} of what was added"
