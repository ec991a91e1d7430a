"""Differences between the sides of a comparison in logs, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, log_location
from pytest_sdbatch.errors import TooFewSamples

Run: TypeAlias = Mapping[str, Sequence[float]]  # case id -> seconds of the rounds of one process, all > 0
Locations: TypeAlias = Mapping[str, float]  # case id -> location of a run's rounds, in ln s

FEWEST_PAIRS = 4  # no test of a case stands on fewer
POWER = 0.8  # the share of slow jobs in which the minimum detectable effect is found
_TWO_SIDED_95 = 0.975
_LARGEST_LOG = 700.0  # a float ends at e^709


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean ln-ratio candidate/base and its standard error."""

    mean: float
    error: float = 0.0  # standard error of the mean
    spread: float = 0.0  # stdev of one pair's ln-ratio
    freedom: int  # degrees of freedom of error and spread; 0: both are unknown
    pairs: int

    @property
    def upper(self) -> float:
        """The upper limit of the two-sided 95 % interval; only where the error is known."""
        return self.mean + student_quantile(self.freedom, _TWO_SIDED_95) * self.error

    @property
    def lower(self) -> float:
        """The lower limit of the two-sided 95 % interval; only where the error is known."""
        return self.mean - student_quantile(self.freedom, _TWO_SIDED_95) * self.error


def locations(run: Run) -> Locations:
    """Return the location of each case's rounds in a run, in ln s.

    Raises:
        TooFewSamples: for a case of fewer than 5 rounds.
        ValueError: for seconds that are not finite or not above 0.

    """
    return {case: _location(case, seconds) for case, seconds in run.items()}


def _location(case: str, seconds: Sequence[float]) -> float:
    if len(seconds) < FEWEST_FOR_ERROR:
        raise TooFewSamples(f"{case}: {len(seconds)} rounds where at least {FEWEST_FOR_ERROR} are needed")
    try:
        return log_location(seconds)
    except (TypeError, OverflowError, ValueError):  # no number, one of hundreds of digits, or none of a time
        raise ValueError(f"{case}: seconds are finite and above 0: {list(seconds)!r}") from None


def estimate_of(values: Sequence[float]) -> Estimate:
    """Return mean and spread of *values*, one ln-ratio a pair; n >= 1 of them, in any order."""
    pairs = len(values)
    mean = math.fsum(values) / pairs
    if pairs == 1:
        return Estimate(mean=mean, freedom=0, pairs=1)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (pairs - 1))
    return Estimate(mean=mean, error=spread / math.sqrt(pairs), spread=spread, freedom=pairs - 1, pairs=pairs)


def p_value(estimate: Estimate, *, against: float = 0.0) -> float:
    """Return the one-sided p of "the ln-ratio is at most *against*": ``t.sf`` of Student's statistic.

    Without any spread there is no doubt left: 0 above *against*, else 1.
    """
    apart = estimate.mean - against
    if estimate.error == 0:
        return 0.0 if apart > 0 else 1.0
    from scipy.special import stdtr  # here: importing the package stays light

    return float(stdtr(estimate.freedom, -apart / estimate.error))


def detection_reach(freedom: int, *, tail: float) -> float:
    """Return how many standard errors a slowdown must measure, to be found in 80 % of jobs by a test at *tail*."""
    return student_quantile(freedom, 1 - tail) + student_quantile(freedom, POWER)


def minimum_detectable_effect(error: float, freedom: int, *, tail: float, against: float = 0.0) -> float:
    """Return the smallest slowdown, as a share, that a test finds in 80 % of jobs.

    Args:
        error: standard error of the mean ln-ratio.
        freedom: its degrees of freedom, at least 1.
        tail: the share of clean jobs in which the test may reject; for Holm's procedure that of its strictest step.
        against: the ln-ratio that the test is against.

    """
    return relative(against + detection_reach(freedom, tail=tail) * error)


def relative(log_ratio: float) -> float:
    """Return a ln-ratio as a relative change: ln 1.05 is 0.05. Never infinite."""
    return math.expm1(min(log_ratio, _LARGEST_LOG))


@lru_cache(maxsize=1024)
def student_quantile(freedom: float, probability: float) -> float:
    """Return the quantile of Student's t distribution."""
    from scipy.special import stdtrit  # scipy.stats.t.ppf, 100 times as fast

    return float(stdtrit(freedom, probability))
