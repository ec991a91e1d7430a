"""What a gate holds a job to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS

TOLERANCE = 0.01
MEMORY_TOLERANCE = 0.005
DRIFT = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The rules of :func:`~pytest_sdbatch.analysis.decide`. Effects are relative: 0.05 is 5 % slower.

    Raises:
        ValueError: for a value out of range.

    """

    alpha: float = 0.008  # clean jobs called regressed; room under the promised 1 %
    false_discoveries: float = 0.025  # of what is called improved; of clean jobs so many have such a case
    look_shares: tuple[tuple[int, float], ...] = ((4, 0.3), (8, 0.7))  # pairs by then, share of alpha spent there
    screen_effect: float = 0.015  # what looks this much slower is always tested
    tolerance: float | Mapping[str, float] = TOLERANCE  # the smallest slowdown called regressed; or by case id
    memory_tolerance: float | Mapping[str, float] = MEMORY_TOLERANCE  # of peak memory, which repeats to the byte
    margin: float = 0.05  # the slowdown that "unchanged" excludes; never below the tolerance
    drift: float = DRIFT  # what a machine may have moved since a stored baseline
    design: Mapping[str, tuple[str, int, int]] | None = None  # case id: (group, batch size, batch count)

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("false_discoveries", self.false_discoveries)):
            if not 0 < value < 1:
                raise ValueError(f"{name} is {value!r}; it lies between 0 and 1")
        effects = {"screen_effect": self.screen_effect, "margin": self.margin, "drift": self.drift}
        for word, given in (("tolerance", self.tolerance), ("memory tolerance", self.memory_tolerance)):
            by_case = given if isinstance(given, Mapping) else {"": given}
            effects.update({f"{word} {case}".rstrip(): value for case, value in by_case.items()})
        for name, value in effects.items():
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value!r}; it is 0 or more: 0.05 for 5 %")
        looks, shares = [pairs for pairs, _ in self.look_shares], [share for _, share in self.look_shares]
        if not looks or looks[0] < FEWEST_PAIRS or any(later <= sooner for sooner, later in pairwise(looks)):
            raise ValueError(f"looks at {looks} pairs; they start at {FEWEST_PAIRS} or more and grow")
        if not (all(share > 0 for share in shares) and math.fsum(shares) <= 1 + 1e-12):
            raise ValueError(f"look shares are {shares}; they are above 0 and sum to at most 1")
        for case, (_, batch_size, batch_count) in (self.design or {}).items():
            if batch_size < 1 or batch_count < 1:
                raise ValueError(f"design of {case}: {batch_size}x{batch_count} makes no image")

    @property
    def final_alpha(self) -> float:
        """What the last look may spend."""
        return self.alpha * self.look_shares[-1][1]

    def shared(self, metrics: int) -> Config:
        """Return the rules of each of *metrics* that are decided together: they share the chance of a false alarm."""
        return replace(self, alpha=self.alpha / metrics, false_discoveries=self.false_discoveries / metrics)

    def tolerance_of(self, case: str) -> float:
        """Return the smallest slowdown of *case* that may be called regressed."""
        return self.tolerance.get(case, TOLERANCE) if isinstance(self.tolerance, Mapping) else self.tolerance

    def memory_tolerance_of(self, case: str) -> float:
        """Return the share by which the peak memory of *case* may grow."""
        given = self.memory_tolerance
        return given.get(case, MEMORY_TOLERANCE) if isinstance(given, Mapping) else given

    def margin_of(self, case: str) -> float:
        """Return the slowdown of *case* that "unchanged" excludes."""
        return max(self.margin, self.tolerance_of(case))
