"""What a batch size will take of each memory that has an end, from what smaller ones of its group took. Pure."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch.analysis.memory_fit import Largest, MemoryFit, Peak, Predicted, fit_memory
from pytest_sdbatch.records import MemoryRound, Outcome, Record

MEMORY = "memory"  # of the device, as Record.memory_source counts it
ADDRESS_SPACE = "address space"  # of the process
_ROUNDING_BYTES = 0.5  # the arithmetic of a line must not decide about a size that needs exactly what there is
WHOLE = "all"  # the one stage of what is only known of the whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How one memory grows with the batch size. A limit is predicted in its own measure."""

    measure: str  # MEMORY or ADDRESS_SPACE
    fit: MemoryFit
    is_torchs: bool = False  # whether torch's allocator serves it: its libraries make do with less once it is refused
    margin: float | None = 0.0  # what cannot be given back for a byte of tensors; None: not known
    limit_bytes: int | None = None  # what there was when the largest size was measured; None: no limit, or not known

    def needs(self, batch_size: int) -> Predicted:
        """Return the bytes that a case of *batch_size* takes in all, the pipeline included."""
        live = self.fit.predict(batch_size)
        return replace(live, estimate=live.estimate - _ROUNDING_BYTES)

    def needs_at_most(self, batch_size: int) -> float:
        """Return the bytes that surely hold a case of *batch_size*, as far as its lines and its margin are known."""
        found = self.needs(batch_size)
        return (found.estimate if found.high is None else found.high) * (1 + (self.margin or 0.0))

    def largest_batch(self, limit_bytes: float) -> Largest:
        """Return the largest batch size that takes at most *limit_bytes*; a prediction.

        Where torch's allocator serves the pipeline no upper limit is known: on an H200 (cuDNN, SD 1.5) 16 images ran
        where 13 were predicted. What ran in no more memory fits surely.
        """
        found = self.fit.largest_batch(limit_bytes + _ROUNDING_BYTES)
        if not self.is_torchs:
            return found
        if self.margin is None:
            return Largest(estimate=found.estimate)
        sure = self.fit.largest_batch(limit_bytes / (1 + self.margin) + _ROUNDING_BYTES)
        low = sure.low
        if low is not None and self.limit_bytes is not None and limit_bytes >= self.limit_bytes:
            low = max(low, self.fit.last_probe)
        if low is not None and found.estimate is not None:
            low = min(low, found.estimate)
        return Largest(estimate=found.estimate, low=low)


def growths(records: Sequence[Record]) -> tuple[Growth, ...]:
    """Return how each memory grows; none of one that is known of fewer than two batch sizes.

    Where every case knows the peaks of its stages, each stage has a line of its own: a line through the whole would
    miss that another stage overtakes.

    Args:
        records: of one test and group, any order; only those that ended well count.

    """
    sound = sorted((one for one in records if one.outcome is Outcome.OK), key=lambda one: one.case.batch_size)
    rounds = [(one.case.batch_size, made) for one in sound if (made := _memory_round(one)) is not None]
    last = rounds[-1][1] if rounds else None
    found = []
    stages = _stage_peaks(rounds) if len(rounds) == len(sound) else {}
    fitted = _fitted(stages or {WHOLE: _whole_peaks(sound)})
    if fitted is not None:
        limit = None if last is None else last.limit_bytes
        is_torchs = any(one.memory_source == "peak_allocated_bytes" for one in sound)
        margin = _margin(sound[-1]) if is_torchs else 0.0
        found.append(Growth(measure=MEMORY, fit=fitted, is_torchs=is_torchs, margin=margin, limit_bytes=limit))
    mapped = _fitted({WHOLE: [_peak(size, made.address_space_bytes) for size, made in rounds]})
    if mapped is not None and last is not None:
        found.append(Growth(measure=ADDRESS_SPACE, fit=mapped, limit_bytes=last.address_space_limit_bytes))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Where a memory ends: the largest batch size within its limit, and the memory that ends there."""

    largest: Largest
    growth: Growth


def end_of_memory(found: Sequence[Growth]) -> End | None:
    """Return which known limit ends first; None where there is none, no end, or a slope seen once.

    Known answer: 12 GiB hold 8 images of a pipeline of 4 GiB that takes 1 GiB an image.
    """
    ends = [
        End(largest=growth.largest_batch(growth.limit_bytes), growth=growth)
        for growth in found
        if growth.limit_bytes is not None and growth.fit.agreed
    ]
    known = (end for end in ends if end.largest.estimate is not None)
    return min(known, key=lambda end: (end.largest.estimate or 0, end.largest.low or 0), default=None)


def largest_that_fits(found: Sequence[Growth]) -> Largest | None:
    """Return the largest batch size of :func:`end_of_memory`."""
    end = end_of_memory(found)
    return None if end is None else end.largest


def _memory_round(record: Record) -> MemoryRound | None:
    """Return the memory round of *record* if it ran to its end."""
    return record.memory_round if record.memory_round_reason is None else None


def _stage_peaks(rounds: Sequence[tuple[int, MemoryRound]]) -> dict[str, list[Peak | None]]:
    """Return the peaks of the stages by batch size; empty where they are not known of every case."""
    splits = [(size, made.stage_peak_bytes) for size, made in rounds]
    names = {name for _, split in splits for name in split or {}}
    if not all(split is not None and names == set(split) for _, split in splits):
        return {}
    return {name: [_peak(size, (split or {})[name]) for size, split in splits] for name in sorted(names)}


def _whole_peaks(records: Sequence[Record]) -> list[Peak | None]:
    """Return the highest of the rounds of each record."""
    found = []
    for record in records:
        if record.memory_source is not None:
            peaks = map(operator.attrgetter(record.memory_source), record.rounds)
            highest = max((peak for peak in peaks if peak is not None), default=None)
            found.append(_peak(record.case.batch_size, highest))
    return found


def _peak(batch_size: int, size_bytes: int | None) -> Peak | None:
    return None if size_bytes is None else Peak(batch_size=batch_size, size_bytes=size_bytes)


def _fitted(peaks: Mapping[str, Sequence[Peak | None]]) -> MemoryFit | None:
    known = {name: [peak for peak in stage if peak is not None] for name, stage in peaks.items()}
    if not known or any(len({peak.batch_size for peak in stage}) < 2 for stage in known.values()):
        return None
    return fit_memory(known)


def _margin(record: Record) -> float | None:
    """Return what could not be given back in the memory round of *record*, for a byte of its tensors."""
    made = _memory_round(record)
    if made is None or made.unreleasable_bytes is None:
        return None
    peaks = list((made.stage_peak_bytes or {}).values()) or [one.peak_allocated_bytes or 0 for one in record.rounds]
    return made.unreleasable_bytes / max(peaks) if any(peaks) else None
