"""The times of one case, of one run or of several: rounds of many processes must not pass for those of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.estimate import estimate_of
from pytest_sdbatch.analysis.location import Interval, interval, location_s
from pytest_sdbatch.analysis.spread import Scope
from pytest_sdbatch.records import Record, Round

BETWEEN_RUNS = Scope.BETWEEN_RUNS.replace(" ", "\n")  # heads the interval where a row is of several


class RoundsOfRuns(tuple[Round, ...]):
    """The rounds of several runs, one run after the other."""

    runs: tuple[tuple[Round, ...], ...]

    def __new__(cls, runs: Iterable[Sequence[Round]]) -> RoundsOfRuns:
        """Put *runs* together."""
        apart = tuple(map(tuple, runs))
        made = super().__new__(cls, (reading for run in apart for reading in run))
        made.runs = apart
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """What a row tells of the time of a call, in seconds."""

    call_s: float
    interval: Interval | None  # 95 %: within the run, or between runs where there are several
    restless: bool  # whether the rounds of a run differ too much
    runs: int


def runs_of(rounds: Sequence[Round]) -> Sequence[Sequence[Round]]:
    """Return *rounds* by the run they are of."""
    return rounds.runs if isinstance(rounds, RoundsOfRuns) else (rounds,)


def times_of(record: Record) -> Times:
    """Return the times of *record*, which has rounds.

    Raises:
        ValueError: for a round that took no time.
        OverflowError: for one that took more than can be told.

    """
    runs = [[reading.wall_s / record.case.calls for reading in run] for run in runs_of(record.rounds)]
    own = [interval(run) for run in runs]
    return Times(
        call_s=location_s([seconds for run in runs for seconds in run]),
        interval=own[0] if len(own) == 1 else _between(runs),
        restless=any(one is not None and one.restless for one in own),
        runs=len(runs),
    )


def _between(runs: Sequence[Sequence[float]]) -> Interval:
    """Return the interval by how *runs* differ: however many rounds one has, it is one reading of another process."""
    found = estimate_of([math.log(location_s(run)) for run in runs])
    return Interval(estimate=math.exp(found.mean), low=math.exp(found.lower), high=math.exp(found.upper))
