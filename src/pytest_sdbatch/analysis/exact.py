"""Readings that repeat to the byte are compared as they are: no statistics where there is no chance."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

LEAST_BYTES = 2 * 2**20
_WORDS = (("a slowdown of", "growth by"), ("slower", "larger"), ("faster", "smaller"))


def compare_exact(
    base: Sequence[Sequence[int]], candidate: Sequence[Sequence[int]], *, tolerance: float = MEMORY_TOLERANCE
) -> CaseVerdict | None:
    """Return the verdict on the peak memory of a case; None where it varies within a run: then as time is decided.

    Known answer: 1000 MiB may become 1005 MiB, half a percent; 100 MiB may become 102 MiB, for 2 MiB are always
    allowed. One byte more is regressed, and the same the other way is improved.

    Args:
        base: bytes of each round, by run; one run or more of one round or more.
        candidate: likewise.
        tolerance: the share by which the median may grow, a marker's budget; 2 MiB are always allowed.

    Raises:
        ValueError: for a side without rounds, a negative reading or a negative *tolerance*.

    """
    for side in (base, candidate):
        if not side or not all(side):
            raise ValueError("peak memory is compared of one run or more of one round or more")
        if min(min(run) for run in side) < 0:
            raise ValueError("peak memory is not negative")
    if not tolerance >= 0:
        raise ValueError(f"tolerance is {tolerance!r}; it is 0 or more: 0.05 for 5 %")
    if any(len(set(run)) > 1 for side in (base, candidate) for run in side):
        return None
    before, after = (statistics.median(run[0] for run in side) for side in (base, candidate))
    allowed = max(tolerance * before, LEAST_BYTES)
    if after - before > allowed:
        verdict = Verdict.REGRESSED
    elif before - after > allowed:
        verdict = Verdict.IMPROVED
    else:
        verdict = Verdict.UNCHANGED
    if after == before:
        reason = f"{units.memory(after)}, as before"
    else:
        reason = f"{units.memory(before)} before, {units.memory(after)} now, {units.memory(allowed)} allowed"
    return CaseVerdict(verdict=verdict, reason=reason, estimate=after / before - 1 if before > 0 else None)


def of_bytes(found: CaseVerdict, base: Sequence[Sequence[float]], candidate: Sequence[Sequence[float]]) -> CaseVerdict:
    """Return *found*, a verdict on memory that varies and was decided as time is, in the words of memory.

    The bytes that are always allowed are here as well.

    Args:
        found: of the peaks as if they were seconds.
        base: bytes of each round, by run.
        candidate: likewise.

    """
    before, after = (statistics.median([peak for run in side for peak in run] or [0]) for side in (base, candidate))
    if not found.too_short and abs(after - before) <= LEAST_BYTES:
        reason = f"{units.memory(LEAST_BYTES)} more or less are always allowed"
        return replace(found, verdict=Verdict.UNCHANGED, reason=reason)
    reason = found.reason
    for of_time, of_memory in _WORDS:
        reason = reason.replace(of_time, of_memory)
    return replace(found, reason=reason)
