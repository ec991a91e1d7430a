"""What one run of one case can break by itself, so that its own test can fail: outcomes, peak memory, limits.

No statistics: these repeat exactly. Time never belongs here, for it takes several processes and all cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import Weight
from pytest_sdbatch.analysis.comparison import facts_moved
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE
from pytest_sdbatch.analysis.exact import compare_exact
from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.analysis.outcomes import compare_outcomes, state_of_base
from pytest_sdbatch.analysis.sides import OK, Measured
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.records import Outcome, Record


def exact_regression(
    base: Sequence[Measured], now: Measured, *, memory_tolerance: float = MEMORY_TOLERANCE
) -> CaseVerdict | None:
    """Return why *now* is worse than the stored runs beyond doubt; None where it is not, or cannot be compared.

    Args:
        base: the case in each stored run that has it, one or more.
        now: the case as it was measured now.
        memory_tolerance: the share by which its peak memory may grow.

    """
    if any(fact.weight is not Weight.SHOWN for fact in facts_moved(base, [now])):
        return None
    verdict = compare_outcomes(state_of_base(base), now)
    if verdict is None and now.peak_bytes:
        sound = [measured.peak_bytes for measured in base if measured.state == OK and measured.peak_bytes]
        verdict = compare_exact(sound, [now.peak_bytes], tolerance=memory_tolerance) if sound else None
    return verdict if verdict is not None and verdict.verdict is Verdict.REGRESSED else None


def broken_limits(record: Record, limits: Mapping[str, float], *, timed: bool = True) -> list[str]:
    """Return which of *limits* the numbers of *record* break, in words.

    Args:
        record: with rounds, or nothing is broken.
        limits: as :func:`pytest_sdbatch.grid.limits.parse_limits` gives them.
        timed: whether its times tell the speed of the device; else only memory is looked at.

    """
    return list(_broken(record, limits, timed=timed))


def unknown_limits(record: Record, limits: Mapping[str, float]) -> list[str]:
    """Return which of *limits* cannot be looked at, because *record*, which ended well, lacks the figure."""
    if record.outcome is not Outcome.OK or "peak_memory" not in limits or _peak_bytes(record) is not None:
        return []
    return [f"peak memory is not known: {record.memory_reason or 'no reason was recorded'}"]


def _broken(record: Record, limits: Mapping[str, float], *, timed: bool) -> Iterator[str]:
    seconds = [reading.wall_s for reading in record.rounds]
    if not seconds:
        return
    peak, most = _peak_bytes(record), limits.get("peak_memory")
    if peak is not None and most is not None and peak > most:
        yield f"peak memory {units.memory(peak)}, at most {units.memory(most)}"
    if not timed or min(seconds) <= 0:
        return
    call_s = location_s(seconds) / record.case.batch_count
    if "latency" in limits and call_s > limits["latency"]:
        yield f"{units.duration(call_s)} per call, at most {units.duration(limits['latency'])}"
    rate, least = record.case.batch_size / call_s, limits.get("images_per_s")
    if least is not None and rate < least:
        yield f"{units.rate(rate)}, at least {units.rate(least)}"


def _peak_bytes(record: Record) -> int | None:
    if record.memory_source is None:
        return None
    peaks = [getattr(reading, record.memory_source) for reading in record.rounds]
    return max((peak for peak in peaks if peak is not None), default=None)
