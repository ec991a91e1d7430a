"""What a case must keep whatever any baseline says: seconds of a call, peak memory, images a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pytest_sdbatch import units
from pytest_sdbatch.analysis.contention import blames_others
from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.records import Outcome, Record

GROWING = frozenset({"latency", "peak_memory"})  # with the batch size, so that a larger one breaks them by more


def broken_limits(record: Record, limits: Mapping[str, float], *, timed: bool = True) -> list[str]:
    """Return which of *limits* the numbers of *record* break, in words; its times none where something disturbed them.

    Args:
        record: with rounds, or nothing is broken.
        limits: as :func:`pytest_sdbatch.grid.limits.parse_limits` gives them.
        timed: whether its times tell the speed of the device; else only memory is looked at.

    """
    return list(_broken(record, limits, timed=timed and not _is_disturbed(record)))


def has_to_be_measured_again(record: Record, limits: Mapping[str, float]) -> bool:
    """Return whether *record* does not keep *limits*, or was not judged by them."""
    return bool(broken_limits(record, limits) or unjudged_limits(record, limits))


def unjudged_limits(record: Record, limits: Mapping[str, float]) -> list[str]:
    """Return which of *limits* the times of *record* break, in words, which may be what disturbed them."""
    found = set(_broken(record, limits, timed=False))
    return [said for said in _broken(record, limits, timed=_is_disturbed(record)) if said not in found]


def unknown_limits(record: Record, limits: Mapping[str, float]) -> list[str]:
    """Return which of *limits* cannot be looked at, because *record*, which ended well, lacks the figure."""
    if record.outcome is not Outcome.OK or "peak_memory" not in limits or _peak_bytes(record) is not None:
        return []
    return [f"peak memory is not known: {record.memory_reason or 'no reason was recorded'}"]


def _is_disturbed(record: Record) -> bool:
    return record.contention is not None and blames_others(record.contention)


def _broken(record: Record, limits: Mapping[str, float], *, timed: bool) -> Iterator[str]:
    seconds = [reading.wall_s for reading in record.rounds]
    if not seconds:
        return
    peak, most = _peak_bytes(record), limits.get("peak_memory")
    if peak is not None and most is not None and peak > most:
        yield f"peak memory {units.memory(peak)}, at most {units.memory(most)}"
    if not timed or min(seconds) <= 0:
        return
    call_s, nouns = location_s(seconds) / record.case.calls, record.case.nouns
    if "latency" in limits and call_s > limits["latency"]:
        yield f"{units.duration(call_s)} {nouns.per_call}, at most {units.duration(limits['latency'])}"
    rate, least = record.case.images / (call_s * record.case.calls), limits.get("images_per_s")
    if least is not None and rate < least:
        yield f"{units.rate(rate, nouns.images)}, at least {units.rate(least, nouns.images)}"


def _peak_bytes(record: Record) -> int | None:
    if record.memory_source is None:
        return None
    peaks = [getattr(reading, record.memory_source) for reading in record.rounds]
    return max((peak for peak in peaks if peak is not None), default=None)
