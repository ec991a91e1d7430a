"""The claims that are made about batch size and batch count in training, each with a verdict from a study's figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from pytest_sdbatch import units
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import Figures

TO_REACH = "a target that is reached: --target higher, or more examples: --most-examples"
SAME = math.log(1.05)  # a ratio that is surely nearer to 1 is no difference


class Standing(StrEnum):
    """What a study says of a claim."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    CANNOT_TELL = "cannot tell"


class Key(StrEnum):
    """Which claim it is, whatever its words are."""

    SIZE_UPDATES = "size-updates"
    EFFICIENCY = "efficiency"
    NOISE = "noise"
    SLOW_IN_EXAMPLES = "slow-in-examples"
    SLOW_IN_STEPS = "slow-in-steps"
    SLOW_IN_SECONDS = "slow-in-seconds"
    SIZE_STABILITY = "size-stability"
    GENERALIZATION = "generalization"
    SMALL_PATTERNS = "small-patterns"
    COUNT_UPDATES = "count-updates"
    COUNT_STABILITY = "count-stability"
    COUNT_ACCURACY = "count-accuracy"
    COUNT_TIME = "count-time"
    TWO_CHOICES = "two-choices"
    RAMP = "ramp"
    SWEET_SPOT = "sweet-spot"
    SMALL_DATA = "small-data"
    LARGE_DATA = "large-data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim, and what was measured of it."""

    key: Key
    heading: str
    claim: str
    standing: Standing
    sentence: str
    figures: tuple[str, ...]
    settles: str  # what would, or would make it surer


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A study, what follows from it, and the two sizes that stand for small and large."""

    study: Study
    figures: Figures

    @property
    def small(self) -> int:
        """The smallest size of the table."""
        return self.study.sizes[0]

    @property
    def large(self) -> int:
        """The largest size of the table."""
        return self.study.sizes[-1]

    @property
    def rates_are_fair(self) -> bool:
        """Whether each size was given a learning rate that was tuned for it: else nothing may be said of large ones."""
        return self.study.rates_fit

    def if_fair(self, standing: Standing) -> Standing:
        """Return *standing*, or that nobody can tell where rates were not tuned for each size."""
        return standing if self.rates_are_fair else Standing.CANNOT_TELL

    @property
    def seeds(self) -> str:
        """How many seeds there are, in words."""
        return units.count(len(self.study.seeds), "seed")


def standing_of(ratio: Bounds | None, *, claimed_above: bool) -> Standing:
    """Return what a *ratio* with its limits says of the claim that it is above 1, or below.

    Surely on the claimed side: supported. Surely on the other, or surely within 5 % of 1: not supported.
    """
    if ratio is None or not ratio.low or not ratio.high:
        return Standing.CANNOT_TELL
    low, high = math.log(ratio.low), math.log(ratio.high)
    if not claimed_above:
        low, high = -high, -low
    if low > 0:
        return Standing.SUPPORTED
    if high < 0 or max(abs(low), abs(high)) < SAME:
        return Standing.NOT_SUPPORTED
    return Standing.CANNOT_TELL


def times(ratio: Bounds | None) -> str:
    """Return a ratio with its limits: ``1.42 times [1.20, 1.70]``."""
    if ratio is None or ratio.estimate is None:
        return "not known"
    limits = "" if ratio.low is None or ratio.high is None else f" {limits_of(ratio)}"
    return f"{units.number(ratio.estimate)} times{limits}"


def amount(bounds: Bounds | None, noun: str = "") -> str:
    """Return a figure with its limits: ``9,600 [9,100, 10,200] examples``."""
    if bounds is None:
        return "not reached"
    tail = f" {noun}" if noun else ""
    if bounds.estimate is None:
        return f"at least {units.number(bounds.low)}{tail}" if bounds.low is not None else "not known"
    limits = "" if bounds.low is None and bounds.high is None else f" {limits_of(bounds)}"
    return f"{units.number(bounds.estimate)}{limits}{tail}"


def limits_of(bounds: Bounds) -> str:
    """Return the limits of a figure: ``[1.20, 1.70]``, from 0 or with ``no end`` where one is not there."""
    low = units.number(bounds.low or 0.0)
    high = "no end" if bounds.high is None else units.number(bounds.high)
    return f"[{low}, {high}]"
