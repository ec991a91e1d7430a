"""How the times of a case scatter while nothing changes: within processes, between them, from one to the next."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, trimmed_location, yuen_freedom, yuen_standard_error
from pytest_sdbatch.errors import TooFewSamples

FEWEST_PROCESSES = 3
_TAIL = 0.05  # of each one-sided bound
_NORMAL_95 = 1.645
_ROUNDING = 1e-24  # a variance of logs that are equal but for their last bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The scatter of one case. All stdevs are of ln s, so that 0.01 is 1 %."""

    processes: int
    location: float  # mean over the processes, in ln s
    within: float  # stdev of the rounds of a process
    between: float  # stdev of processes without what their rounds explain; 0 where it cannot be told from that
    between_at_most: float  # upper 95 % bound of it
    run: float  # stdev of the location of a process: between, and what the rounds add
    pair: float  # stdev of the difference of neighbours: a drift that is slower than they are cancels
    autocorrelation: float  # of the locations of neighbours
    drifts: bool  # whether that is beyond chance, 5 % one-sided

    @property
    def known_within(self) -> float:
        """The factor that *pair* is known to within, 95 %: about 2 for 10 processes, 1.6 for 20.

        Source: chi-square with the degrees of freedom that match the variance of the mean square of differences.
        """
        from scipy.special import chdtri

        freedom = 2 * (self.processes - 1) ** 2 / (3 * self.processes - 4)
        return math.sqrt(freedom / float(chdtri(freedom, 0.975)))


def noise_of(processes: Sequence[Sequence[float]]) -> Noise:
    """Return the variance components of one case, by the method of moments.

    The variance of the locations holds the error that each has from its own rounds; the mean square of those errors
    is taken off. Rounds that follow each other are alike, which that error does not see: a little of *within* may
    stay in *between*, never the other way round.

    Known answer: three processes of five equal rounds each at ln s 0, 0.01 and 0.03 have no error within. Their stdev
    is 0.0153, all of it between; the differences of neighbours are 0.01 and 0.02, so that of a pair is 0.0158.

    Args:
        processes: seconds > 0 of the rounds of each process, in time order. One with fewer than 5 rounds, or with a
            round of 0 s, counts as a gap: what is on both sides of it are no neighbours.

    Raises:
        TooFewSamples: for fewer than 3 processes.

    Source:
        Searle, Casella and McCulloch, Variance Components (1992), 3.6, with the bounds of Williams (1962) and Tukey
        (1951); von Neumann (1941) for the differences of neighbours.

    """
    logs = {
        at: [math.log(value) for value in seconds]
        for at, seconds in enumerate(processes)
        if len(seconds) >= FEWEST_FOR_ERROR and min(seconds) > 0
    }
    count = len(logs)
    if count < FEWEST_PROCESSES:
        raise TooFewSamples(
            f"{count} processes have {FEWEST_FOR_ERROR} rounds or more of it, {FEWEST_PROCESSES} are needed"
        )
    located = {at: trimmed_location(values) for at, values in logs.items()}
    variance = statistics.variance(located.values())
    explained = math.fsum(yuen_standard_error(values) ** 2 for values in logs.values()) / count
    between, at_most = _between(variance, explained, count, sum(yuen_freedom(len(values)) for values in logs.values()))
    steps = [located[after] - located[at] for at, after in pairwise(located) if after == at + 1]
    pair = math.fsum(step**2 for step in steps) / len(steps) if steps else 2 * variance
    alike = 1 - pair / (2 * variance) if variance > _ROUNDING else 0.0
    return Noise(
        processes=count,
        location=math.fsum(located.values()) / count,
        within=_pooled_stdev(list(logs.values())),
        between=between,
        between_at_most=at_most,
        run=math.sqrt(variance),
        pair=math.sqrt(pair),
        autocorrelation=alike,
        drifts=bool(steps) and alike > _NORMAL_95 * math.sqrt((count - 2) / (count**2 - 1)),
    )


def _between(variance: float, explained: float, count: int, freedom: int) -> tuple[float, float]:
    """Return the stdev between processes, 0 where F does not tell it from the rounds', and its upper bound.

    Args:
        variance: of the locations.
        explained: of it, by the rounds.
        count: of processes.
        freedom: of *explained*.

    """
    from scipy.special import chdtri, fdtri  # here: importing the package stays light

    highest, lowest = (float(fdtri(count - 1, freedom, share)) for share in (1 - _TAIL, _TAIL))
    told = variance > highest * explained
    bound = (count - 1) * (variance - lowest * explained) / float(chdtri(count - 1, 1 - _TAIL))
    return math.sqrt(variance - explained) if told else 0.0, math.sqrt(max(0.0, bound))


def _pooled_stdev(samples: Sequence[Sequence[float]]) -> float:
    squares = math.fsum((len(values) - 1) * statistics.variance(values) for values in samples)
    return math.sqrt(squares / sum(len(values) - 1 for values in samples))
