"""Where the rounds of one process lie, and how sure that is: a trimmed mean of logs with Yuen's standard error."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch.errors import TooFewSamples

FEWEST_FOR_LOCATION = 3
FEWEST_FOR_ERROR = 5
_CUT = 0.2
_RESTLESS = 0.10  # half-width as a share, above which the rounds of a case are not to be relied on


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and its confidence limits, all in the unit of the readings."""

    estimate: float
    low: float
    high: float

    @property
    def half_width_ratio(self) -> float:
        """The half-width as a share of the estimate: upwards, the longer side of an interval made in logs."""
        return self.high / self.estimate - 1

    @property
    def restless(self) -> bool:
        """Whether the readings differ so much that none should rely on them, nor compare with them later."""
        return self.half_width_ratio > _RESTLESS


def trimmed_location(log_values: Sequence[float], *, cut: float = _CUT) -> float:
    """Return the mean of *log_values* without the lowest and highest fifth.

    Args:
        log_values: natural logs of n readings in one unit, n >= 3, any order.
        cut: share removed at each end, at least one value; 0 <= cut < 0.5.

    Raises:
        TooFewSamples: for n < 3.
        ValueError: for a value that is not finite, or a *cut* out of range.

    Source:
        Yuen (1974); ``scipy.stats.trim_mean``.

    """
    ordered, trimmed = _ordered(log_values, cut=cut, fewest=FEWEST_FOR_LOCATION)
    return _mean(ordered[trimmed : len(ordered) - trimmed])


def log_location(seconds: Sequence[float]) -> float:
    """Return :func:`trimmed_location` of the logs of *seconds*, to the last bit.

    Logs are in the order of their values, so that only what is kept has to have one.

    Args:
        seconds: n readings above 0, n >= 3, any order.

    Raises:
        TooFewSamples: for n < 3.
        ValueError: for a value that is not finite, or not above 0.

    """
    ordered, trimmed = _ordered(seconds, cut=_CUT, fewest=FEWEST_FOR_LOCATION)
    if ordered[0] <= 0:
        raise ValueError("a value is not above 0")
    return _mean(list(map(math.log, ordered[trimmed : len(ordered) - trimmed])))


def yuen_standard_error(log_values: Sequence[float], *, cut: float = _CUT) -> float:
    """Return the standard error of :func:`trimmed_location`, from the winsorized variance.

    Args:
        log_values: natural logs of n readings in one unit, n >= 5, any order.
        cut: as for :func:`trimmed_location`.

    Raises:
        TooFewSamples: for n < 5, or a larger *cut* that leaves fewer than 2.
        ValueError: for a value that is not finite, or a *cut* out of range.

    Source:
        Yuen (1974): sqrt((n - 1) s_w^2 / (h (h - 1))), h = n - 2 g, g values cut at each end.

    """
    ordered, trimmed = _ordered(log_values, cut=cut, fewest=FEWEST_FOR_ERROR)
    count, kept = len(ordered), len(ordered) - 2 * trimmed
    if kept < 2:
        raise TooFewSamples(f"{kept} of {count} values left after the cut where at least 2 are needed")
    lowest, highest = ordered[trimmed], ordered[count - trimmed - 1]
    winsorized = [min(max(value, lowest), highest) for value in ordered]
    centre = _mean(winsorized)
    squares = math.fsum((value - centre) ** 2 for value in winsorized)  # (n - 1) s_w^2
    return math.sqrt(squares / (kept * (kept - 1)))


def half_width(log_values: Sequence[float], *, confidence: float = 0.95, cut: float = _CUT) -> float:
    """Return half the width of the confidence interval of :func:`trimmed_location`, in logs.

    A small half-width h reads as a share: the readings' location is known to within 100 h %.

    Args:
        log_values: natural logs of n readings in one unit, n >= 5, any order.
        confidence: of the two-sided interval, 0 < confidence < 1.
        cut: as for :func:`trimmed_location`.

    Raises:
        TooFewSamples: for n < 5.
        ValueError: for a value that is not finite, or *confidence* or *cut* out of range.

    Source:
        Yuen (1974): Student's t with h - 1 degrees of freedom.

    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence!r}; it lies between 0 and 1")
    error = yuen_standard_error(log_values, cut=cut)
    from scipy.special import stdtrit  # here: the import costs more than the rest of the plugin

    return float(stdtrit(yuen_freedom(len(log_values), cut=cut), (1 + confidence) / 2)) * error


def yuen_freedom(count: int, *, cut: float = _CUT) -> int:
    """Return the degrees of freedom of :func:`yuen_standard_error` of *count* values, 5 or more."""
    return count - 2 * _trimmed_count(count, cut=cut) - 1


def interval(seconds: Sequence[float], *, confidence: float = 0.95) -> Interval | None:
    """Return location and confidence limits of *seconds*, in seconds; None for fewer than 5.

    Rounds of one process say nothing about other processes: show it headed "within this run".

    Raises:
        ValueError: for a value that is not finite or not above 0.

    """
    logs = _logs(seconds)
    if len(logs) < FEWEST_FOR_ERROR:
        return None
    centre, half = trimmed_location(logs), half_width(logs, confidence=confidence)
    return Interval(estimate=math.exp(centre), low=math.exp(centre - half), high=math.exp(centre + half))


def location_s(seconds: Sequence[float]) -> float:
    """Return the one number that stands for *seconds*: the trimmed mean of logs, in seconds; the median of 1 or 2.

    Raises:
        TooFewSamples: for no value.
        ValueError: for a value that is not finite or not above 0.

    """
    count = len(seconds)
    if count == 0:
        raise TooFewSamples("a location needs at least 1 value")
    if count < FEWEST_FOR_LOCATION:
        _logs(seconds)  # refuses what is none
        return statistics.median(seconds)
    return math.exp(log_location(seconds))


def _logs(seconds: Sequence[float]) -> list[float]:
    wrong = next((value for value in seconds if not (math.isfinite(value) and value > 0)), None)
    if wrong is not None:
        raise ValueError(f"{wrong!r} is no duration: seconds are finite and above 0")
    return [math.log(value) for value in seconds]


def _ordered(values: Sequence[float], *, cut: float, fewest: int) -> tuple[list[float], int]:
    """Return *values* in order and how many to cut at each end."""
    if len(values) < fewest:
        raise TooFewSamples(f"{len(values)} values where at least {fewest} are needed")
    if not all(map(math.isfinite, values)):
        raise ValueError("a value is not finite")
    return sorted(values), _trimmed_count(len(values), cut=cut)


def _trimmed_count(count: int, *, cut: float) -> int:
    if not 0 <= cut < 0.5:
        raise ValueError(f"cut is {cut!r}; it is at least 0 and below 0.5")
    return max(1, math.floor(cut * count))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)  # fsum: the same for every order of the rounds
