"""Which measured split is fastest, the smallest batch size that comes close to it, and what less of it costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.scaling import Scaling
    from pytest_sdbatch.analysis.spread import Timing

_GRACE = 0.03  # of the best: a size may turn out to be so much slower than what was accepted
_FEWEST_SIZES = 3  # a line through two is the measurements themselves
_ONE_SIDED_95 = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one measured case of a group contributes to the answer."""

    batch_size: int  # images per call
    batch_count: int  # calls one after another
    seconds_per_image: float  # > 0
    timing: Timing | None = None  # the rounds behind it; None: not known

    @property
    def images_per_s(self) -> float:
        """Throughput."""
        return 1 / self.seconds_per_image

    @property
    def seconds_per_call(self) -> float:
        """How long one call takes: what one waits for the first images."""
        return self.seconds_per_image * self.batch_size

    @property
    def split(self) -> str:
        """Batch size x batch count, as in ``4x8``."""
        return f"{self.batch_size}x{self.batch_count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a smaller batch costs and gains against the best."""

    more_per_image: float  # of its time and cost, as a share: 0.06
    times_sooner: float  # a call of it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer of a sweep."""

    best: Point  # the highest confirmed images/s
    spot: Point  # the sweet spot
    scaling: Scaling | None  # the curve that decided; None: there are too few sizes, or no rounds to fit
    untested: int | None = None  # a larger size that the curve says would be faster by more than is accepted

    @property
    def on_curve(self) -> bool:
        """Whether the fitted curve decided; else it was rejected or is not there, and the measured points did."""
        return self.scaling is not None and not self.scaling.rejected


def best(points: Iterable[Point]) -> Point:
    """Return the point with the most images per second; of equal ones that with the smallest batch size, then count.

    Raises:
        ValueError: for no points.

    """
    return min(points, key=lambda point: (point.seconds_per_image, point.batch_size, point.batch_count))


def sweet_spot(points: Iterable[Point], *, within: float = 0.05) -> Point:
    """Return the fastest point of the smallest batch size that is within a share of the best, as measured.

    Only measured points are ever named: nothing is read off a curve.

    Args:
        points: the measured cases of one group, any order.
        within: how many fewer images per second are accepted, as a share of the best; 0 <= within < 1.

    Raises:
        ValueError: for no points, or *within* out of range.

    """
    _check(within)
    measured = tuple(points)
    # Compared in time: rounding in 1 / seconds must not put the best itself out of its own reach.
    longest = best(measured).seconds_per_image / (1 - within)
    return _smallest(point for point in measured if point.seconds_per_image <= longest)


def choose(points: Iterable[Point], *, within: float = 0.05, others: Iterable[Point] = ()) -> Choice:
    """Return the best point and the sweet spot, decided on the fitted curve and confirmed by what was measured.

    On the curve a size is close enough where its images per second are within the share of the highest, their lower
    limit at most three points below that, and its own measurement as well. Where the times do not lie on a curve, the
    smallest size is taken that was measured within the share or not significantly worse than the best.

    Known answer: calls of 0.3, 0.4, 0.6, 1.0 and 1.8 s at 1 to 16 images are h = 2 and 8.89 images/s at 16; size 8
    makes 10 % fewer, so that 16 is the sweet spot, and 4 with ``within=0.25``.

    Args:
        points: the cases that fit and keep the limits, any order.
        within: how many fewer images per second are accepted, as a share of the best; 0 <= within < 1.
        others: sound cases that keep no limit: they help to fit the curve, and are never named.

    Raises:
        ValueError: for no points, or *within* out of range.

    """
    _check(within)
    named = tuple(points)
    fastest = best(named)
    scaling = _fit((*named, *others))
    if scaling is None:
        return Choice(best=fastest, spot=sweet_spot(named, within=within), scaling=None)
    if scaling.rejected:
        spot = _spot_as_measured(named, fastest, within=within)
    else:
        spot = _spot_on_curve(named, fastest, scaling, within=within)
    return Choice(best=fastest, spot=spot, scaling=scaling, untested=_untested(scaling, within=within))


def price_of(less: Point, fastest: Point) -> Price:
    """Return what *less* costs and gains against *fastest*.

    Known answer: 1.06 s an image instead of 1 s cost 6 % more, and calls of 4 instead of 16 answer 3.8 times sooner.
    """
    return Price(
        more_per_image=less.seconds_per_image / fastest.seconds_per_image - 1,
        times_sooner=fastest.seconds_per_call / less.seconds_per_call,
    )


def _check(within: float) -> None:
    if not 0 <= within < 1:
        raise ValueError(f"within is {within!r}; it is at least 0 and below 1")


def _smallest(points: Iterable[Point]) -> Point:
    close = tuple(points)
    size = min(point.batch_size for point in close)
    return best(point for point in close if point.batch_size == size)


def _fit(points: Sequence[Point]) -> Scaling | None:
    timings = [point.timing for point in points if point.timing is not None]
    if len(timings) < len(points) or len({point.batch_size for point in points}) < _FEWEST_SIZES:
        return None
    from pytest_sdbatch.analysis.scaling import fit  # here: importing this module stays light

    return fit(timings)


def _spot_on_curve(points: Sequence[Point], fastest: Point, scaling: Scaling, *, within: float) -> Point:
    top = max({point.batch_size for point in points}, key=lambda size: (size / scaling.curve.seconds(size), -size))
    longest = fastest.seconds_per_image / (1 - within - _GRACE)

    def is_close(point: Point) -> bool:
        ratio = scaling.rate_ratio(point.batch_size, top)
        if (ratio.estimate or 0.0) < 1 - within or (ratio.low is not None and ratio.low < 1 - within - _GRACE):
            return False
        return point.seconds_per_image <= longest

    return _smallest(
        (fastest, *(point for point in points if point.batch_size < fastest.batch_size and is_close(point)))
    )


def _spot_as_measured(points: Sequence[Point], fastest: Point, *, within: float) -> Point:
    from pytest_sdbatch.analysis.estimate import student_quantile
    from pytest_sdbatch.analysis.spread import spread_of

    spread = spread_of([point.timing for point in points if point.timing is not None])
    if not spread.freedom:
        return sweet_spot(points, within=within)
    reach = student_quantile(spread.freedom, _ONE_SIDED_95)
    errors = dict(zip(map(id, points), spread.errors, strict=True))

    def is_close(point: Point) -> bool:
        slower = math.log(point.seconds_per_image / fastest.seconds_per_image)
        chance = reach * math.hypot(errors[id(point)], errors[id(fastest)])
        return slower <= max(-math.log(1 - within), chance)

    return _smallest(point for point in points if point is fastest or is_close(point))


def _untested(scaling: Scaling, *, within: float) -> int | None:
    """Return twice the largest size where the curve, if it holds there, is faster by more than the share."""
    largest = scaling.sizes[-1]
    if scaling.rejected:
        return None
    gain = scaling.rate_ratio(largest, 2 * largest).estimate or 1.0
    return 2 * largest if gain < 1 - within else None
