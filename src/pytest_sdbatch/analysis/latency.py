"""How long one waits for a call: the middle of its rounds, the longest of them, and quantiles where they tell one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch.errors import TooFewSamples

_ROUNDING = 1e-9  # 0.95 / 0.05 is 18.999999999999982


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds of a call, as the rounds of batch count 1 took them."""

    median_s: float
    highest_s: float
    rounds: int


def latency_of(seconds: Sequence[float]) -> Latency:
    """Return the latency of rounds of one call that took *seconds*.

    Raises:
        TooFewSamples: for no round.

    """
    if not seconds:
        raise TooFewSamples("a latency needs at least 1 round")
    return Latency(median_s=statistics.median(seconds), highest_s=max(seconds), rounds=len(seconds))


def quantile_s(seconds: Sequence[float], share: float) -> float:
    """Return the seconds within which *share* of all calls end, estimated from rounds that took *seconds*.

    Known answer: of 1, 2, ..., 19 s, 95 % end within 19 s; 18 rounds do not tell, since one call in twenty may well
    take longer than all of them.

    Args:
        seconds: of n rounds, any order.
        share: above 0 and below 1.

    Raises:
        TooFewSamples: where place (n + 1) share of the ordered rounds lies beyond the last or before the first.
        ValueError: for a *share* out of range.

    Source:
        Hyndman and Fan (1996), definition 6; ``statistics.quantiles``, which extrapolates where this refuses.

    """
    if not 0 < share < 1:
        raise ValueError(f"share is {share!r}; it lies between 0 and 1")
    fewest = fewest_for_quantile(share)
    if len(seconds) < fewest:
        raise TooFewSamples(f"{len(seconds)} rounds where the {share:.0%} quantile needs {fewest}")
    ordered, place = sorted(seconds), (len(seconds) + 1) * share
    whole = min(math.floor(place + _ROUNDING), len(ordered))
    part = max(place - whole, 0.0)
    above = ordered[min(whole, len(ordered) - 1)]
    return ordered[whole - 1] + part * (above - ordered[whole - 1])


def fewest_for_quantile(share: float) -> int:
    """Return how many rounds tell the quantile of *share*: 19 for 95 %, 99 for 99 %."""
    return math.ceil(max(share, 1 - share) / min(share, 1 - share) - _ROUNDING)
