"""How far a sweep on a cluster is, in words, and how long the rest may take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from pytest_sdbatch import units


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A group that is being measured."""

    title: str
    node: str
    weight: float
    seconds: float  # since it began


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What is known of all groups at a moment."""

    places: int
    ended: Sequence[tuple[float, float]] = field(default=())  # the weight of each group that ended, and its seconds
    running: Sequence[Running] = field(default=())
    waiting: Sequence[float] = field(default=())  # the weight of each group that waits for a place
    failures: int = 0  # groups that were lost, each time they were

    @property
    def left_s(self) -> float | None:
        """Seconds that the rest takes if it goes on as it went; None: no group has ended.

        Not less than the longest group takes, nor than all of them on all places.
        """
        weight = math.fsum(weight for weight, _ in self.ended)
        if not weight:
            return None
        pace = math.fsum(seconds for _, seconds in self.ended) / weight
        rest = [max(0.0, one.weight * pace - one.seconds) for one in self.running]
        rest += [weight * pace for weight in self.waiting]
        return max([*rest, math.fsum(rest) / max(1, self.places)], default=0.0)

    def __str__(self) -> str:
        """Return what runs where, what waits, what failed, and the time left."""
        parts = []
        if self.running:
            where = ", ".join(f"{one.title} on {one.node}" for one in self.running)
            parts.append(f"{len(self.running)} running: {where}")
        if self.waiting:
            parts.append(f"{len(self.waiting)} waiting")
        if self.failures:
            parts.append(units.count(self.failures, "failure"))
        if parts and self.left_s is not None and (self.running or self.waiting):
            parts.append(units.time_left(self.left_s))
        return "; ".join(parts)
