"""Learning rates: those that were recorded, those that follow from one by a rule, and the search for the best.

A rate that suits one batch size does not suit another: compared at one rate, large batches look as if they converged
badly. So each table says by which rule its rates came.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.learning_runs import RatePolicy, TunedRate
from pytest_sdbatch.errors import OptionError

# Examples to a held-out loss of 0.195 by learning rate, for each batch size: digits, AdamW, seed 1000, one thread of a
# CPU, torch 2.13. On both sides of the best one a factor of 2 is worse.
TRIED: Mapping[int, Mapping[float, int]] = {
    16: {2e-3: 6_004, 4e-3: 5_504, 8e-3: 5_538},
    64: {4e-3: 9_240, 8e-3: 8_362, 16e-3: 14_766},
    256: {4e-3: 24_680, 8e-3: 24_173, 16e-3: 40_073},
}
RECORDED: Mapping[int, float] = {size: min(found, key=found.__getitem__) for size, found in TRIED.items()}
REFERENCE_SIZE = 64  # of the rate from which the others follow
FACTOR = 2.0
_MOST_TRIES = 9
_MOST_ABOVE = 3  # further ones, to find what diverges


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one learning rate."""

    examples: float | None  # to the target; None: it was not reached
    best_loss: float | None  # None: it diverged


def rate_of(policy: RatePolicy, batch_size: int, *, reference: float | None = None) -> float:
    """Return the learning rate of *batch_size* by *policy*.

    Known answer: by the root of the size, 1e-3 at 64 is 2e-3 at 256.

    Args:
        policy: the rule; ``tuned`` are the recorded rates of digits, between two sizes on a line in logarithms.
        batch_size: 1 or more.
        reference: the rate at batch size 64; None: the recorded one.

    Raises:
        OptionError: for a reference that no rate is made from.

    """
    if policy is RatePolicy.TUNED:
        if reference is not None:
            raise OptionError("a tuned rate follows from no other", fix="leave --rate out, or name --rates=sqrt")
        return _recorded(batch_size)
    base = RECORDED[REFERENCE_SIZE] if reference is None else reference
    exponent = {RatePolicy.FIXED: 0.0, RatePolicy.SQRT: 0.5, RatePolicy.LINEAR: 1.0}[policy]
    return base * math.pow(batch_size / REFERENCE_SIZE, exponent)


def are_recorded(sizes: Sequence[int]) -> bool:
    """Return whether all *sizes* lie among those whose rates were recorded, not beyond."""
    return min(RECORDED) <= min(sizes) and max(sizes) <= max(RECORDED)


def tune(batch_size: int, trial: Callable[[float], Trial], *, start: float) -> TunedRate:
    """Return the rate that needs the fewest examples, between two rates that need more, and the least that diverges.

    Args:
        batch_size: whose rate is searched for.
        trial: makes a run at a rate.
        start: of the search, in steps of a factor of 2.

    """
    tried: dict[int, Trial] = {0: trial(start)}

    def look(step: int) -> None:
        if step not in tried:
            tried[step] = trial(start * FACTOR**step)

    while len(tried) < _MOST_TRIES:
        best = min(tried, key=lambda step: _order(tried[step]))
        missing = [step for step in (best + 1, best - 1) if step not in tried]
        if not missing:
            break
        look(missing[0])
    best = min(tried, key=lambda step: _order(tried[step]))
    top = max(tried)
    while tried[top].best_loss is not None and top < best + 1 + _MOST_ABOVE:
        top += 1
        look(top)
    best = min(tried, key=lambda step: _order(tried[step]))  # one of those above may be better still
    diverged = [step for step, found in tried.items() if found.best_loss is None]
    stable = [step for step, found in tried.items() if found.best_loss is not None]
    return TunedRate(
        batch_size=batch_size,
        rate=start * FACTOR**best,
        interior=best - 1 in tried and best + 1 in tried and tried[best].examples is not None,
        tried=tuple((start * FACTOR**step, tried[step].examples) for step in sorted(tried)),
        largest_stable=start * FACTOR ** max(stable) if diverged and stable else None,
    )


def _order(found: Trial) -> tuple[float, float]:
    """Return what is smallest for the best: examples, or the loss where the target was not reached."""
    return (
        math.inf if found.examples is None else found.examples,
        math.inf if found.best_loss is None else found.best_loss,
    )


def _recorded(batch_size: int) -> float:
    sizes = sorted(RECORDED)
    if batch_size <= sizes[0]:
        return RECORDED[sizes[0]] * math.sqrt(batch_size / sizes[0])
    for low, high in itertools.pairwise(sizes):
        if batch_size <= high:
            part = math.log(batch_size / low) / math.log(high / low)
            return math.exp((1 - part) * math.log(RECORDED[low]) + part * math.log(RECORDED[high]))
    return RECORDED[sizes[-1]]
