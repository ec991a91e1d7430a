"""How the seconds of a call grow with the batch size: t(b) = a + c b, or max(t0, a + c b) where a test asks for it.

a is paid per call, c per image, and h = a / c is the batch size at which half of the largest throughput 1 / c is
reached. t0 is the floor under which no call gets: up to some batch size the device waits for whoever feeds it, and a
bigger batch is free. It replaces b by max(b, e), e the batch size up to which it holds, so that t0 = a + c e.

One definition of a and c for everyone who speaks of them: the curve whose logs lie closest to the measured ones,
a, c >= 0, each case weighted by its error. Only the shape has to be searched for: u = a / (a + c) between 0 and 1, and
e; the level of the curve then follows. The confidence region is the set of shapes whose squares exceed the smallest by
no more than Student's t allows (a profile likelihood), and an interval is what a quantity takes on over that region:
it does not need the quantity to be normal, and ends at 0 or at infinity where the readings do.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from pytest_sdbatch.analysis.estimate import student_quantile
from pytest_sdbatch.analysis.spread import Scope, Spread, Timing, spread_of

Values: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

FEWEST_FOR_FLOOR = 4  # sizes: a floor and a line leave one to test them with
_REJECTED_BELOW = 0.01  # p of the lack of fit
_FLOOR_BELOW = 0.05  # p of "there is no floor": missed, it bends h more than one too many widens it
_LEAST_ERROR = 1e-6  # exact readings would weigh infinitely
_COARSE_H = (0.0, *(10 ** (k / 10) for k in range(-30, 51)), math.inf)
_ZOOMS = 16  # of the search for the best shape, each by 5
_PASSES = 8  # of the search for the region: of exact readings it is a millionth of the first grid
_FINE = 241  # points of its grid
_TINY = 1e-300


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """An estimate and its two-sided 95 % limits.

    A limit that is None is not there: no upper one where the readings set none, and neither where nothing is known of
    their noise.
    """

    estimate: float | None  # None: infinite
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Seconds of a call by batch size: ``max(floor_s, call_s + image_s b)``."""

    call_s: float  # a
    image_s: float  # c
    floor_s: float | None = None  # t0; None: no test asked for it

    def seconds(self, batch_size: float) -> float:
        """Return the seconds of a call of *batch_size* images."""
        return max(self.call_s + self.image_s * batch_size, self.floor_s or 0.0)

    @property
    def free_up_to(self) -> int:
        """The largest batch size that takes no longer than one image; 1 where there is no floor."""
        if self.floor_s is None or self.image_s <= 0:
            return 1
        return max(1, math.floor((self.floor_s - self.call_s) / self.image_s))

    @property
    def half_saturation(self) -> float | None:
        """Images at which half of the largest throughput is reached, h = a / c; None where images cost nothing."""
        return self.call_s / self.image_s if self.image_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """The curve of a group of cases, what is known of it, and whether it holds."""

    curve: Curve
    call_s: Bounds
    image_s: Bounds
    half_saturation: Bounds
    floor_s: Bounds | None  # None where the curve has none
    residuals: tuple[float, ...]  # measured over fitted, minus 1, in the order of the cases
    lack_of_fit: float | None  # p; None: no case is left to test the curve with, or nothing is known of the noise
    scope: Scope  # what the intervals cover
    sizes: tuple[int, ...]  # measured ones, ascending
    _region: _Region | None = field(repr=False, compare=False)

    @property
    def rejected(self) -> bool:
        """Whether the times do not lie on the curve by more than their noise."""
        return self.lack_of_fit is not None and self.lack_of_fit < _REJECTED_BELOW

    @property
    def worst_misfit(self) -> float:
        """The largest residual, as a share."""
        return max(map(abs, self.residuals))

    def seconds(self, batch_size: int) -> Bounds:
        """Return the seconds of a call of *batch_size* images."""
        return self.total_s([batch_size])

    def total_s(self, calls: Sequence[int]) -> Bounds:
        """Return the seconds of *calls*, batch sizes one after another: ``[4, 4, 2]`` for 10 images at 4.

        Raises:
            ValueError: for no call or one below 1.

        """
        if not calls or min(calls) < 1:
            raise ValueError(f"{list(calls)} are no calls: batch sizes are 1 or more")
        counts = {size: list(calls).count(size) for size in set(calls)}
        estimate = math.fsum(count * self.curve.seconds(size) for size, count in counts.items())
        if self._region is None:
            return Bounds(estimate=estimate)
        each = [count * self._region.shape(size) for size, count in counts.items()]
        return self._region.times(np.sum(each, axis=0), estimate)

    def rate_ratio(self, batch_size: int, reference: int) -> Bounds:
        """Return the images per second at *batch_size* over those at *reference*; the level of the times cancels."""
        estimate = batch_size / self.curve.seconds(batch_size) / (reference / self.curve.seconds(reference))
        if self._region is None:
            return Bounds(estimate=estimate)
        ratios = batch_size / reference * self._region.shape(reference) / self._region.shape(batch_size)
        return Bounds(
            estimate=estimate, low=min(float(ratios.min()), estimate), high=max(float(ratios.max()), estimate)
        )


def fit(timings: Sequence[Timing], *, confidence: float = 0.95) -> Scaling:
    """Return the curve through *timings*, cases of one group of at least two batch sizes.

    Known answer: calls of 0.3, 0.4, 0.6 and 1 s at 1, 2, 4 and 8 images are a = 0.2 s, c = 0.1 s, h = 2.

    Args:
        timings: in any order; batch counts may differ, since n calls take n times as long as one.
        confidence: of the two-sided intervals.

    Raises:
        ValueError: for one batch size only, or a timing that cannot be used.

    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; it lies between 0 and 1")
    sizes = tuple(sorted({timing.batch_size for timing in timings}))
    if len(sizes) < 2:
        raise ValueError("a line needs two batch sizes")
    spread = spread_of(timings)
    all_sizes = [timing.batch_size for timing in timings]
    data = _Data.of(all_sizes, spread)
    line = data.best()
    shape, parameters = line, 2
    if len(sizes) >= FEWEST_FOR_FLOOR:
        floor = data.best_floor(sizes)
        if _p_of_no_floor(line, floor, len(timings) - 3, spread.freedom) < _FLOOR_BELOW:
            shape, parameters = floor, 3
    left = len(timings) - parameters
    lack = None if left < 1 or not spread.freedom else _f_tail(shape.squares / left, left, spread.freedom)
    scale, freedom = 1.0, spread.freedom
    if left > 0 and (lack is None or lack < _REJECTED_BELOW):
        # The noise does not explain the residuals: what they say about the curve is all there is.
        scale, freedom = shape.squares / left, left
    region = None
    if freedom:
        threshold = scale * student_quantile(freedom, (1 + confidence) / 2) ** 2
        # Also where no test asked for a floor: one that is too low to be seen bends h all the same.
        region = data.region(
            shape, threshold, largest_end=float(sizes[-2]) if len(sizes) > 2 else 1.0, shared=spread.shared
        )
    fitted = _curve(shape)
    residuals = [math.exp(log) / fitted.seconds(size) - 1 for log, size in zip(spread.logs, all_sizes, strict=True)]
    return _scaling(shape, region, residuals, lack=lack, scope=spread.scope, sizes=sizes)


def fit_line(sizes: Sequence[int], seconds: Sequence[float]) -> Curve:
    """Return the line through calls of *sizes* images that took *seconds*, all of equal weight.

    Raises:
        ValueError: for fewer than two batch sizes, or values that cannot be used.

    """
    if len(set(sizes)) < 2:
        raise ValueError("a line needs two batch sizes")
    spread = spread_of([Timing(batch_size=size, runs=((value,),)) for size, value in zip(sizes, seconds, strict=True)])
    return _curve(_Data.of(sizes, spread).best())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The best curve of a kind."""

    share: float  # u = a / (a + c)
    end: float  # e, the batch size up to which the floor holds; 1: there is none
    level: float  # ln (a + c)
    squares: float  # weighted, of the residuals


@dataclass(frozen=True, slots=True, kw_only=True)
class _Region:
    """The shapes that the readings do not exclude, and how far the level of each may move."""

    share: Values
    end: Values
    level: Values
    reach: Values

    def shape(self, batch_size: float) -> Values:
        """Return the seconds of a call at each point, over the level."""
        return np.asarray(self.share + (1 - self.share) * np.maximum(batch_size, self.end))

    def times(self, factor: Values, estimate: float) -> Bounds:
        """Return the limits of *factor* times the level; the estimate is one of the points, up to rounding."""
        low, high = factor * np.exp(self.level - self.reach), factor * np.exp(self.level + self.reach)
        return Bounds(estimate=estimate, low=min(float(low.min()), estimate), high=max(float(high.max()), estimate))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """What was read, by size: a curve cannot tell cases of one size apart, whose counts differ, and there are many."""

    sizes: Values
    logs: Values  # weighted means of the cases
    weights: Values  # sums
    within: Values  # weighted squares of the cases about their mean, which no curve makes smaller

    @staticmethod
    def of(sizes: Sequence[int], spread: Spread) -> _Data:
        unique, at = np.unique(np.array(sizes, dtype=float), return_inverse=True)
        each, logs = np.maximum(np.array(spread.errors), _LEAST_ERROR) ** -2, np.array(spread.logs)

        def summed(values: Values) -> Values:
            return np.bincount(at, values).astype(np.float64)

        weights = summed(each)
        means = summed(each * logs) / weights
        return _Data(sizes=unique, logs=means, weights=weights, within=summed(each * (logs - means[at]) ** 2))

    def profile(self, share: Values, end: Values) -> tuple[Values, Values]:
        """Return level and squares of the residuals of each shape."""
        shapes = share[:, None] + (1 - share[:, None]) * np.maximum(self.sizes, end[:, None])
        gaps = self.logs - np.log(np.maximum(shapes, _TINY))
        level = gaps @ self.weights / self.weights.sum()
        return level, ((gaps - level[:, None]) ** 2) @ self.weights + self.within.sum()

    def best(self, *, end: float = 1.0) -> _Shape:
        """Return the shape with the smallest squares under a floor up to *end*: a coarse grid, then ever finer ones."""
        shares = _coarse(1.0)[0]
        found = self._best_of(shares, end)
        at = int(shares.searchsorted(found.share))
        step = float(np.diff(shares)[max(at - 1, 0) : at + 1].max())
        for _ in range(_ZOOMS):
            closer = self._best_of(np.clip(found.share + np.linspace(-step, step, 21), 0.0, 1.0), end)
            found = closer if closer.squares < found.squares else found
            step *= 0.2
        return found

    def _best_of(self, shares: Values, end: float) -> _Shape:
        level, squares = self.profile(shares, np.full_like(shares, end))
        at = int(squares.argmin())
        return _Shape(share=float(shares[at]), end=end, level=float(level[at]), squares=max(float(squares[at]), 0.0))

    def best_floor(self, sizes: Sequence[int]) -> _Shape:
        """Return the shape with a floor that has the smallest squares.

        Between two neighbouring *sizes* the smaller ones give the floor, and the larger ones the line, each for
        itself. Where the two meet elsewhere, the best floor of that stretch ends at one of its sizes.
        """
        found = [self.best(end=float(size)) for size in sizes[1:-1]]
        for below, above in itertools.pairwise(sizes[:-1]):
            over = self.sizes > below
            line = self._only(over).best()
            flat, weights = self.logs[~over], self.weights[~over]
            floor = float(flat @ weights / weights.sum())
            end = (math.exp(floor - line.level) - line.share) / (1 - line.share) if line.share < 1 else math.inf
            if below <= end <= above:
                squares = line.squares + float((flat - floor) ** 2 @ weights + self.within[~over].sum())
                found.append(_Shape(share=line.share, end=end, level=line.level, squares=squares))
        return min(found, key=lambda shape: shape.squares)

    def _only(self, chosen: Any) -> _Data:
        return _Data(
            sizes=self.sizes[chosen],
            logs=self.logs[chosen],
            weights=self.weights[chosen],
            within=self.within[chosen],
        )

    def region(self, best: _Shape, threshold: float, *, largest_end: float, shared: float) -> _Region:
        """Return the shapes whose squares exceed the smallest by at most *threshold*: a grid in the box around them."""
        shares, ends = _coarse(largest_end)
        for number in range(_PASSES):
            share, end = (
                axis.ravel() for axis in np.meshgrid(np.append(shares, best.share), np.append(ends, best.end))
            )
            level, squares = self.profile(share, end)
            inside = squares - best.squares <= threshold
            inside |= (share == best.share) & (end == best.end)  # also where rounding makes another one better
            if number < _PASSES - 1:
                shares = np.linspace(*_around(shares, share[inside]), _FINE if len(ends) == 1 else _FINE // 3)
                ends = ends if len(ends) == 1 else np.linspace(*_around(ends, end[inside]), _FINE // 4)
        left = np.maximum(threshold - (squares[inside] - best.squares), 0.0)
        return _Region(
            share=share[inside],
            end=end[inside],
            level=level[inside],
            reach=np.sqrt(left / self.weights.sum() + threshold * shared**2),
        )


def _coarse(largest_end: float) -> tuple[Values, Values]:
    shares = np.array([h / (1 + h) if math.isfinite(h) else 1.0 for h in _COARSE_H])
    return shares, np.array([1.0]) if largest_end <= 1 else np.geomspace(1.0, largest_end, 41)


def _around(axis: Values, inside: Values) -> tuple[float, float]:
    """Return the first values of *axis* beyond those inside, or its ends."""
    low, high = float(inside.min()), float(inside.max())
    below, above = axis[axis < low], axis[axis > high]
    return float(below.max()) if below.size else low, float(above.min()) if above.size else high


def _p_of_no_floor(line: _Shape, floor: _Shape, left: int, freedom: float) -> float:
    """Return p of "there is no floor" against the noise, or against what the floor leaves where that is more."""
    gain = line.squares - floor.squares
    if floor.end <= 1 or gain <= 0:
        return 1.0
    tails = [_f_tail(gain, 1, freedom)] if freedom else []
    if (
        left > 0
        and floor.squares > 0
        and (not freedom or _f_tail(floor.squares / left, left, freedom) < _REJECTED_BELOW)
    ):
        tails.append(_f_tail(gain / (floor.squares / left), 1, left))
    return max(tails, default=1.0)


def _f_tail(ratio: float, above: float, below: float) -> float:
    from scipy.special import fdtrc  # scipy.stats.f.sf; here: the import costs more than the fit

    return float(fdtrc(above, below, ratio))


def _curve(shape: _Shape) -> Curve:
    level = math.exp(shape.level)
    call_s, image_s = level * shape.share, level * (1 - shape.share)
    return Curve(call_s=call_s, image_s=image_s, floor_s=call_s + image_s * shape.end if shape.end > 1 else None)


def _scaling(
    shape: _Shape,
    region: _Region | None,
    residuals: Sequence[float],
    *,
    lack: float | None,
    scope: Scope,
    sizes: tuple[int, ...],
) -> Scaling:
    curve = _curve(shape)
    if region is None:
        call_s, image_s, floor_s = (Bounds(estimate=value) for value in (curve.call_s, curve.image_s, curve.floor_s))
        half = Bounds(estimate=curve.half_saturation)
    else:
        call_s = region.times(region.share, curve.call_s)
        image_s = region.times(1 - region.share, curve.image_s)
        floor_s = region.times(region.shape(1.0), curve.floor_s or 0.0)
        half = _half(region, curve.half_saturation)
    return Scaling(
        curve=curve,
        call_s=call_s,
        image_s=image_s,
        half_saturation=half,
        floor_s=None if curve.floor_s is None else floor_s,
        residuals=tuple(residuals),
        lack_of_fit=lack,
        scope=scope,
        sizes=sizes,
        _region=region,
    )


def _half(region: _Region, estimate: float | None) -> Bounds:
    low, high = float(region.share.min()), float(region.share.max())
    return Bounds(
        estimate=estimate,
        low=low / (1 - low) if low < 1 else None,
        high=high / (1 - high) if high < 1 else None,
    )
