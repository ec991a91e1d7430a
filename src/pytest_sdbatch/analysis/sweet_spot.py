"""Which measured split is fastest, and the smallest batch size that comes close to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one measured case of a group contributes to the answer."""

    batch_size: int  # images per call
    batch_count: int  # calls one after another
    seconds_per_image: float  # > 0

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


def best(points: Iterable[Point]) -> Point:
    """Return the point with the most images per second; of equal ones that with the smallest batch size, then count.

    Raises:
        ValueError: for no points.

    """
    return min(points, key=lambda point: (point.seconds_per_image, point.batch_size, point.batch_count))


def sweet_spot(points: Iterable[Point], *, within: float = 0.05) -> Point:
    """Return the fastest point of the smallest batch size that is within a share of the best.

    Only measured points are ever named: nothing is read off a curve.

    Args:
        points: the measured cases of one group, any order.
        within: how many fewer images per second are accepted, as a share of the best; 0 <= within < 1.

    Raises:
        ValueError: for no points, or *within* out of range.

    """
    if not 0 <= within < 1:
        raise ValueError(f"within is {within!r}; it is at least 0 and below 1")
    measured = tuple(points)
    # Compared in time: rounding in 1 / seconds must not put the best itself out of its own reach.
    longest = best(measured).seconds_per_image / (1 - within)
    close = [point for point in measured if point.seconds_per_image <= longest]
    smallest = min(point.batch_size for point in close)
    return best(point for point in close if point.batch_size == smallest)
