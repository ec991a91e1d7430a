"""Every way to make N images with one batch size: so many calls, and a shorter last one where N does not divide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

_SPELLED_OUT = 4  # calls, up to which a split with a remainder is written call by call


class Objective(StrEnum):
    """What the recommended split is best at."""

    THROUGHPUT = "throughput"
    COST = "cost"
    LATENCY = "latency"
    MEMORY = "memory"
    ENERGY = "energy"
    FIRST_IMAGE = "first-image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is known of a call of one batch size. Unknown is None."""

    seconds: float  # warm, > 0
    low_s: float | None = None  # 95 %
    high_s: float | None = None
    measured: bool  # whether this size ran; otherwise its figures are read off a curve
    first_s: float = 0.0  # what the first call of its shape took longer: cold start, compiling
    peak_bytes: float | None = None
    joules: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the work starts from, and what shapes cost."""

    cold: bool = False  # nothing is loaded; else the shape of the full calls ran before
    load_s: float = 0.0
    first_s: float = 0.0  # what the first call of a process takes longer, whatever its shape
    compiled: bool = False  # a new shape is compiled anew, so that a remainder may be padded instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """N images as calls of one batch size, with what they take."""

    images: int
    batch_size: int
    batch_count: int  # full calls
    rest: int  # images of the last, shorter call; 0: there is none
    padded: bool  # the last call makes a whole batch, of which the rest is kept
    seconds: float  # until all images are there
    low_s: float | None
    high_s: float | None
    first_image_s: float  # until the first call is done
    call_s: float  # of a full call, warm
    peak_bytes: float | None
    joules: float | None
    measured: bool  # whether every size of it ran

    @property
    def text(self) -> str:
        """Size x count, and what comes last: ``4x4``, ``4+4+2``, ``4x25+2``, ``4+4+4 (2 too many)``."""
        if not self.rest:
            return f"{self.batch_size}x{self.batch_count}"
        last = self.batch_size if self.padded else self.rest
        extra = f" ({self.batch_size - self.rest} too many)" if self.padded else ""
        if self.batch_count < _SPELLED_OUT:
            return "+".join(map(str, [self.batch_size] * self.batch_count + [last])) + extra
        return f"{self.batch_size}x{self.batch_count}+{last}{extra}"

    def figure(self, objective: Objective) -> float | None:
        """Return what *objective* wants small; cost is time at a price that all splits share."""
        return {
            Objective.THROUGHPUT: self.seconds,
            Objective.COST: self.seconds,
            Objective.LATENCY: self.call_s,
            Objective.MEMORY: self.peak_bytes,
            Objective.ENERGY: self.joules,
            Objective.FIRST_IMAGE: self.first_image_s,
        }[objective]


def plan_splits(images: int, calls: Mapping[int, Call], start: Start | None = None) -> tuple[Split, ...]:
    """Return a split for each batch size of *calls* up to *images* whose remainder is in *calls* too, ascending.

    A remainder is another shape. It is charged what its first call takes longer when the start is cold, and under
    compilation always: only the full calls' shape ran before. Compiled, it may be padded to a full call, which is
    done where that is cheaper.

    Known answer: 10 images at 4 a call, 1 s for 4 images and 0.6 s for 2, are 4+4+2 in 2.6 s. If compiling for 2
    images takes 30 s they are 4+4+4 in 3 s, and 2 images are thrown away.

    Args:
        images: to make, 1 or more.
        calls: by batch size.
        start: warm and not compiled where left out.

    Raises:
        ValueError: for no image, or a batch size below 1 or time that is no duration in *calls*.

    """
    if images < 1:
        raise ValueError(f"{images} images: there must be 1 or more")
    for size, call in calls.items():
        if size < 1 or not (math.isfinite(call.seconds) and call.seconds > 0 and call.first_s >= 0):
            raise ValueError(f"batch size {size}, {call.seconds!r} s a call: sizes are 1 or more, times above 0")
    begun = start or Start()
    return tuple(
        _split(images, size, calls, begun)
        for size in sorted(calls)
        if size <= images and (begun.compiled or images % size in (0, *calls))
    )


def _split(images: int, size: int, calls: Mapping[int, Call], start: Start) -> Split:
    count, rest = divmod(images, size)
    full, last, padded, new_shape_s = calls[size], None, False, 0.0
    if rest:
        last, padded, new_shape_s = _last_call(full, calls.get(rest), start)
    begin_s = start.load_s + max(full.first_s, start.first_s) if start.cold else 0.0
    once_s = begin_s + new_shape_s
    peaks = [full.peak_bytes] + ([last.peak_bytes] if last else [])
    return Split(
        images=images,
        batch_size=size,
        batch_count=count,
        rest=rest,
        padded=padded,
        seconds=once_s + count * full.seconds + (last.seconds if last else 0.0),
        low_s=_total(count, full.low_s, last.low_s if last else 0.0, once_s),
        high_s=_total(count, full.high_s, last.high_s if last else 0.0, once_s),
        first_image_s=begin_s + full.seconds,
        call_s=full.seconds,
        peak_bytes=None if None in peaks else max(peak for peak in peaks if peak is not None),
        joules=_total(count, full.joules, last.joules if last else 0.0),
        measured=full.measured and (last is None or last.measured),
    )


def _last_call(full: Call, own: Call | None, start: Start) -> tuple[Call, bool, float]:
    """Return the call that makes the remainder, whether it is a full one, and what its shape costs once."""
    if own is None:
        return full, True, 0.0
    new_shape_s = own.first_s if start.cold or start.compiled else 0.0
    if start.compiled and full.seconds <= own.seconds + new_shape_s:
        return full, True, 0.0
    return own, False, new_shape_s


def _total(count: int, full: float | None, last: float | None, once: float = 0.0) -> float | None:
    return None if full is None or last is None else once + count * full + last


def recommended(
    splits: Iterable[Split], *, objective: Objective = Objective.THROUGHPUT, within: float = 0.05
) -> Split | None:
    """Return the split to use; None where no measured one has the figure that *objective* wants.

    For throughput and cost it is the smallest batch size within a share of the fastest, the sweet spot; else the one
    with the smallest figure, the faster and then the smaller of equal ones. Never one whose full calls were not
    measured: splits that do not fit, or break a limit, are left out by the caller.

    Args:
        splits: of one number of images.
        objective: what counts.
        within: how many fewer images per second are accepted, as a share of the best; 0 <= within < 1.

    Raises:
        ValueError: for *within* out of range.

    """
    if not 0 <= within < 1:
        raise ValueError(f"within is {within!r}; it is at least 0 and below 1")
    tried = [split for split in splits if split.measured and split.figure(objective) is not None]
    if not tried:
        return None
    if objective in (Objective.THROUGHPUT, Objective.COST):
        longest = min(split.seconds for split in tried) / (1 - within)
        return min((split for split in tried if split.seconds <= longest), key=lambda split: split.batch_size)
    return min(tried, key=lambda split: (split.figure(objective), split.seconds, split.batch_size))
