"""Which cases look slower or faster at first sight: they are tested, on pairs of their own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import Estimate

SCREENING_PAIRS = 2
_MOST_FREEDOM = 3  # the cases of a process share half of its luck: many cases say little more than three
_ERRORS = 2.5


def screening_estimates(differences: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
    """Return an estimate of each case from two pairs, with the spread pooled over all cases.

    Two values of a case say next to nothing about their spread; those of all cases together do. A case with one
    value has a mean without error; a case with none is left out.

    Args:
        differences: by case id, the ln-ratios of its screening pairs, at most 2.

    """
    whole = [values for values in differences.values() if len(values) == SCREENING_PAIRS]
    freedom = min(len(whole), _MOST_FREEDOM)
    spread = math.sqrt(math.fsum((one - other) ** 2 / 2 for one, other in whole) / len(whole)) if whole else 0.0
    found = {}
    for case, values in differences.items():
        if len(values) == SCREENING_PAIRS:
            found[case] = Estimate(
                mean=math.fsum(values) / SCREENING_PAIRS,
                error=spread / math.sqrt(SCREENING_PAIRS),
                spread=spread,
                freedom=freedom,
                pairs=SCREENING_PAIRS,
            )
        elif values:
            found[case] = Estimate(mean=values[0], freedom=0, pairs=1)
    return found


class Spread(NamedTuple):
    """How far pairs are apart, and how well that is known."""

    stdev: float  # of a pair's ln-ratio
    freedom: int  # degrees of it; 0: it is not known


def no_surer(stdev: float, freedom: int, screened: Spread) -> float:
    """Return *stdev*, of a pair of one case with so many degrees of *freedom*, or that which it and the screening have.

    Where each process takes one of two speeds four differences are the same now and then, and would be beyond doubt.
    Pooled, and not the larger of the two: the two screening pairs of an only case are far apart now and then as well.
    """
    squares = screened.freedom * screened.stdev**2 + freedom * stdev**2
    return max(stdev, math.sqrt(squares / (screened.freedom + freedom)))


def pooled_spread(estimates: Iterable[Estimate]) -> Spread:
    """Return the spread by the screening pairs of all cases."""
    whole = [estimate.spread for estimate in estimates if estimate.pairs == SCREENING_PAIRS]
    return Spread(stdev=max(whole, default=0.0), freedom=len(whole))


def suspects(estimates: Mapping[str, Estimate], config: Config) -> tuple[str, ...]:
    """Return the cases that look slower: mean >= min(ln 1.015, max(2.5 errors, ln(1 + tolerance))).

    The error is pooled over the cases. What exceeds 1.5 % is a suspect however noisy the machine is.
    """
    error = _pooled_error(estimates.values())
    return tuple(case for case, found in estimates.items() if found.mean >= suspect_from(error, case, config))


def look_faster(estimates: Mapping[str, Estimate], config: Config) -> tuple[str, ...]:
    """Return the cases that look faster: mean < -max(2.5 errors, ln(1 + tolerance)), the error pooled likewise."""
    error = _pooled_error(estimates.values())
    return tuple(case for case, found in estimates.items() if found.mean < -_clear(error, case, config))


def suspect_from(error: float, case: str, config: Config) -> float:
    """Return the mean ln-ratio from which *case* is a suspect; *error* is that of a mean, pooled over the cases."""
    return min(math.log1p(config.screen_effect), _clear(error, case, config))


def _clear(error: float, case: str, config: Config) -> float:
    return max(_ERRORS * error, math.log1p(config.tolerance_of(case)))


def _pooled_error(estimates: Iterable[Estimate]) -> float:
    squares = [estimate.error**2 for estimate in estimates if estimate.freedom > 0]
    return math.sqrt(math.fsum(squares) / len(squares)) if squares else 0.0
