"""Where the cases of a sweep lie and how sure that is: from the rounds of one process, or from several processes."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from pytest_sdbatch.analysis.location import (
    FEWEST_FOR_ERROR,
    FEWEST_FOR_LOCATION,
    location_s,
    yuen_standard_error,
)

# Of Yuen's n - 2g - 1 degrees of freedom a variance has about so many: winsorized readings hang together. Where the
# error stands under its own location the two make up for it; pooled over cases they do not. (Normal rounds, 5 to 30.)
_YUEN_FREEDOM = 0.8
# Rounds of one case are few: its own variance counts for its degrees of freedom, that of all cases for so many.
_SHARED_FREEDOM = 20
_MEDIAN_OF_FEW = 1.45  # variance of the middle one of 3 or 4 normal readings over that of their mean (1.35 to 1.2)


class Scope(StrEnum):
    """What an interval covers, in the words that head it."""

    WITHIN_RUN = "within this run"  # another process may lie elsewhere
    BETWEEN_RUNS = "between runs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What was timed of one case: seconds of each round, by run."""

    batch_size: int  # images per call
    batch_count: int = 1  # calls of a round
    runs: tuple[tuple[float, ...], ...]  # seconds of a round, all > 0; one tuple a process


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Locations of cases in ln s of a call, with their standard errors.

    ``freedom`` is 0 where nothing is known of the errors: then they are equal, and only their ratios mean anything.
    """

    logs: tuple[float, ...]
    errors: tuple[float, ...]
    freedom: float  # degrees of freedom of the errors
    shared: float = 0.0  # standard error of the level that all cases of a process share
    scope: Scope


def spread_of(timings: Sequence[Timing]) -> Spread:
    """Return location and standard error of each of *timings*, in their order.

    The runs of one case are averaged; where a case has several, what differs between them is the error, and the rounds
    of one process say no more. Variances are pooled over the cases, since times differ by factors and noise hardly.

    Known answer: rounds of 1 s throughout lie at ln 1 = 0 with an error of 0; 2 calls a round lie at ln 0.5.

    Raises:
        ValueError: for no timing, sizes below 1, a case without rounds, seconds that are not finite and above 0.

    """
    if not timings:
        raise ValueError("no timing: there is nothing to locate")
    for timing in timings:
        if timing.batch_size < 1 or timing.batch_count < 1:
            raise ValueError(f"batch size {timing.batch_size} x count {timing.batch_count}: both are 1 or more")
        if not timing.runs or not all(timing.runs):
            raise ValueError(f"batch size {timing.batch_size}: a run without rounds has no location")
    located = [[math.log(location_s(run) / timing.batch_count) for run in timing.runs] for timing in timings]
    if any(len(runs) > 1 for runs in located):
        return _between(located)
    return _within(timings, [runs[0] for runs in located])


def _within(timings: Sequence[Timing], logs: Sequence[float]) -> Spread:
    """Return the spread of one process: variances of a single round, shrunk towards that of all cases."""
    rounds = [timing.runs[0] for timing in timings]
    own = [_variance_of_a_round(seconds) for seconds in rounds]
    freedom = sum(degrees for _, degrees in own)
    if not freedom:
        return Spread(logs=tuple(logs), errors=(1.0,) * len(logs), freedom=0, scope=Scope.WITHIN_RUN)
    pooled = math.fsum(variance * degrees for variance, degrees in own) / freedom
    errors = [
        math.sqrt((variance * degrees + pooled * _SHARED_FREEDOM) / (degrees + _SHARED_FREEDOM) / len(seconds))
        for (variance, degrees), seconds in zip(own, rounds, strict=True)
    ]
    return Spread(logs=tuple(logs), errors=tuple(errors), freedom=freedom, scope=Scope.WITHIN_RUN)


def _variance_of_a_round(seconds: Sequence[float]) -> tuple[float, float]:
    """Return n times the squared error of the location of n rounds, and its degrees of freedom; 0 for fewer than 3."""
    count, logs = len(seconds), [math.log(value) for value in seconds]
    if count >= FEWEST_FOR_ERROR:
        freedom = _YUEN_FREEDOM * (count - 2 * max(1, count // 5) - 1)
        return count * yuen_standard_error(logs) ** 2, freedom
    if count >= FEWEST_FOR_LOCATION:
        return _MEDIAN_OF_FEW * statistics.variance(logs), float(count - 1)
    return 0.0, 0.0


def _between(located: Sequence[Sequence[float]]) -> Spread:
    """Return the spread of several processes, without what all cases of a process share where that can be told."""
    logs = [math.fsum(runs) / len(runs) for runs in located]
    runs = len(located[0])
    if all(len(values) == runs for values in located) and len(located) > 1:
        levels = [math.fsum(values[run] for values in located) / len(located) for run in range(runs)]
        level = math.fsum(levels) / runs
        freedom = (len(located) - 1) * (runs - 1)
        squares = math.fsum(
            (value - log - levels[run] + level) ** 2
            for values, log in zip(located, logs, strict=True)
            for run, value in enumerate(values)
        )
        variance = squares / freedom
        shared = max(0.0, statistics.variance(levels) - variance / len(located))
        return Spread(
            logs=tuple(logs),
            errors=(math.sqrt(variance / runs),) * len(logs),
            freedom=freedom,
            shared=math.sqrt(shared / runs),
            scope=Scope.BETWEEN_RUNS,
        )
    freedom = sum(len(values) - 1 for values in located)
    squares = math.fsum((value - log) ** 2 for values, log in zip(located, logs, strict=True) for value in values)
    return Spread(
        logs=tuple(logs),
        errors=tuple(math.sqrt(squares / freedom / len(values)) for values in located),
        freedom=freedom,
        scope=Scope.BETWEEN_RUNS,
    )
