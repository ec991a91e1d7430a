"""How peak memory grows with the batch size, and the largest batch that fits a limit, before it is tried.

The live peak of a stage is a line in the batch size, and the pipeline's is the maximum over its stages: piecewise
linear and convex, since another stage overtakes from some size on. A line through sizes below the bend says too little
above it, which is why the slope has to be seen twice before it is believed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.estimate import student_quantile

TOLERANCE = 0.005  # of a peak: the allocator rounds
LEAST_BYTES = 2 * 2**20
_SLOPES_AGREE = 0.10  # of the steeper one
_ENDLESS = 2**30  # a batch that no device makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """The highest memory of a call of so many images."""

    batch_size: int
    size_bytes: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """Bytes, and the two-sided 95 % limits; None: the slope was seen once only, and nothing says whether it holds."""

    estimate: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Bytes of one stage: ``fixed_bytes + image_bytes b``, through the probes at its largest sizes."""

    fixed_bytes: float
    image_bytes: float
    sizes: tuple[int, ...]  # of the probes that it goes through, ascending
    spread_bytes: float  # stdev of the probes about it, by its degrees of freedom
    agreed: bool  # whether two slopes agree, so that no bend is to be expected from these probes

    @property
    def grows(self) -> bool:
        """Whether the bytes grow with the batch by more than they scatter, as far as was measured."""
        first, last = self.sizes[0], self.sizes[-1]
        growth = self.image_bytes * (last - first)
        return growth > max(self._half_bytes(last), TOLERANCE * (self.fixed_bytes + self.image_bytes * last))

    def predict(self, batch_size: int) -> Predicted:
        """Return the bytes at *batch_size*; at least half a percent or 2 MiB may be amiss, the allocator's rounding."""
        estimate = self.fixed_bytes + self.image_bytes * batch_size
        if len(self.sizes) == 2:
            return Predicted(estimate=estimate)
        half = max(self._half_bytes(batch_size), TOLERANCE * abs(estimate))
        return Predicted(estimate=estimate, low=estimate - half, high=estimate + half)

    def _half_bytes(self, batch_size: int) -> float:
        """Return how far the bytes at *batch_size* may lie from the line by the scatter about it."""
        freedom = len(self.sizes) - 2
        if not freedom:
            return float(LEAST_BYTES)
        mean = math.fsum(self.sizes) / len(self.sizes)
        squares = math.fsum((size - mean) ** 2 for size in self.sizes)
        far = 1 + 1 / len(self.sizes) + (batch_size - mean) ** 2 / squares
        return max(student_quantile(freedom, 0.975) * self.spread_bytes * math.sqrt(far), LEAST_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The largest batch size under a limit; 0: none fits.

    None: there is no end in sight; of low and high also where a slope was seen once only, or they cannot be told.
    """

    estimate: int | None
    low: int | None = None  # fits surely, as far as the lines hold
    high: int | None = None  # beyond it nothing fits


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFit:
    """The lines of the stages of a pipeline."""

    stages: Mapping[str, Line]

    @property
    def agreed(self) -> bool:
        """Whether the slope of every stage was seen twice."""
        return all(line.agreed for line in self.stages.values())

    @property
    def grows(self) -> bool:
        """Whether the memory of a stage grows with the batch: else there is nothing to predict an end from."""
        return any(line.grows for line in self.stages.values())

    @property
    def last_probe(self) -> int:
        """The largest batch size that a line goes through."""
        return max(line.sizes[-1] for line in self.stages.values())

    @property
    def next_probe(self) -> int | None:
        """The batch size to measure next before the lines are believed; None: each slope was seen twice.

        Known answer: training that takes 2384, 2697 and 4148 MiB at 1, 2 and 4 needs 8: 313 MiB an image became 726.
        """
        return max((2 * line.sizes[-1] for line in self.stages.values() if not line.agreed), default=None)

    def predict(self, batch_size: int) -> Predicted:
        """Return the pipeline's peak at *batch_size*: the highest of its stages.

        Raises:
            ValueError: for a batch size below 1.

        """
        if batch_size < 1:
            raise ValueError(f"batch size {batch_size}: it is 1 or more")
        found = [line.predict(batch_size) for line in self.stages.values()]
        lows = [one.low for one in found if one.low is not None]
        highs = [one.high for one in found if one.high is not None]
        known = self.agreed
        return Predicted(
            estimate=max(one.estimate for one in found),
            low=max(lows) if known else None,
            high=max(highs) if known else None,
        )

    def highest_stage(self, batch_size: int) -> str:
        """Return the stage that has the peak at *batch_size*, and would be the first to run out."""
        return max(self.stages, key=lambda name: self.stages[name].predict(batch_size).estimate)

    def largest_batch(self, limit_bytes: float) -> Largest:
        """Return the largest batch size whose peak is at most *limit_bytes*.

        It is a prediction: nothing is recommended before it has run.

        Raises:
            ValueError: for a limit that is not finite.

        """
        if not math.isfinite(limit_bytes):
            raise ValueError(f"{limit_bytes!r} is no limit in bytes")
        estimate = _largest(lambda size: self.predict(size).estimate <= limit_bytes)
        if not self.agreed:
            return Largest(estimate=estimate)
        return Largest(
            estimate=estimate,
            low=_largest(lambda size: (self.predict(size).high or 0.0) <= limit_bytes),
            high=_largest(lambda size: (self.predict(size).low or 0.0) <= limit_bytes),
        )


def fit_memory(peaks: Mapping[str, Sequence[Peak]]) -> MemoryFit:
    """Return the lines of the stages of a pipeline.

    Known answer: 5, 6 and 8 GiB at 1, 2 and 4 images are 4 GiB and 1 GiB an image, and 12 GiB hold 8 images.

    Args:
        peaks: of each stage at two batch sizes or more, in any order; of a repeated size the highest counts. A
            pipeline of which only the whole is known is one stage.

    Raises:
        ValueError: for no stage, a stage with fewer than two sizes, a size below 1, or bytes that are not finite.

    """
    if not peaks:
        raise ValueError("no stage: there is nothing to fit")
    return MemoryFit(stages={name: _line(_by_size(name, stage)) for name, stage in peaks.items()})


def _by_size(name: str, peaks: Sequence[Peak]) -> dict[int, float]:
    found: dict[int, float] = {}
    for peak in peaks:
        if peak.batch_size < 1:
            raise ValueError(f"{name}: batch size {peak.batch_size}; it is 1 or more")
        if not (math.isfinite(peak.size_bytes) and peak.size_bytes >= 0):
            raise ValueError(f"{name}: {peak.size_bytes!r} is no amount of memory")
        found[peak.batch_size] = max(found.get(peak.batch_size, 0.0), float(peak.size_bytes))
    if len(found) < 2:
        raise ValueError(f"{name}: a line needs two batch sizes")
    return dict(sorted(found.items()))


def _line(peaks: Mapping[int, float]) -> Line:
    """Return the line through the largest sizes whose slopes agree; through the last two where none do."""
    sizes = list(peaks)
    kept = sizes[-2:]
    last = _slope(peaks, *kept)
    for size in reversed(sizes[:-2]):
        if not _agree(_slope(peaks, size, kept[0]), last, step=kept[0] - size, at_bytes=peaks[kept[0]]):
            break
        kept.insert(0, size)
    mean_size = math.fsum(kept) / len(kept)
    mean_bytes = math.fsum(peaks[size] for size in kept) / len(kept)
    squares = math.fsum((size - mean_size) ** 2 for size in kept)
    slope = math.fsum((size - mean_size) * (peaks[size] - mean_bytes) for size in kept) / squares
    fixed = mean_bytes - slope * mean_size
    rest = math.fsum((peaks[size] - fixed - slope * size) ** 2 for size in kept)
    freedom = len(kept) - 2
    return Line(
        fixed_bytes=fixed,
        image_bytes=slope,
        sizes=tuple(kept),
        spread_bytes=math.sqrt(rest / freedom) if freedom else 0.0,
        agreed=freedom > 0,
    )


def _slope(peaks: Mapping[int, float], one: int, other: int) -> float:
    return (peaks[other] - peaks[one]) / (other - one)


def _agree(slope: float, last: float, *, step: int, at_bytes: float) -> bool:
    apart = abs(slope - last)
    return apart <= _SLOPES_AGREE * max(abs(slope), abs(last)) or apart * step <= max(TOLERANCE * at_bytes, LEAST_BYTES)


def _largest(fits: Callable[[int], bool]) -> int | None:
    """Return the largest size that fits, where smaller ones do; 0: none, None: there is no end in sight."""
    low, high = 0, 1
    while fits(high):
        low, high = high, 2 * high
        if high > _ENDLESS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
