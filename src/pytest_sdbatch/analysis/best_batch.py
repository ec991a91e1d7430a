"""Seconds to a loss by batch size, T(B) = S(B) t(B): where they are fewest, and how far one may stray from there.

With t(B) = a + c B and S(B) = S_min + E_min / B, they are (S_min a + E_min c) + S_min c B + E_min a / B: lowest at
B* = sqrt(h B_crit), h = a / c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pytest_sdbatch.analysis.convergence import Law
from pytest_sdbatch.analysis.scaling import Bounds, Curve, Scaling

SLACK = 0.10  # of the fewest seconds: what nobody notices


@dataclass(frozen=True, slots=True, kw_only=True)
class BestBatch:
    """The batch sizes at which the target is reached soonest."""

    size: Bounds  # B*; an estimate of None: the larger the better
    seconds: float | None  # at B*; None where that is infinite
    low: float  # from here on the time is within SLACK of the fewest
    high: float | None  # up to here; None: there is no end


def seconds_to_target(law: Law, curve: Curve, batch_size: float) -> float | None:
    """Return the seconds to the target at *batch_size*, measured or not; None: the lines give no time there."""
    steps = law.steps(batch_size).estimate
    return None if steps is None or steps <= 0 else steps * curve.seconds(batch_size)


def time_to_target(law: Law, scaling: Scaling, batch_size: int) -> Bounds | None:
    """Return the seconds to the target at *batch_size* with their limits; None: the lines give no time there.

    The limits of steps and of seconds a step are joined as those of independent errors, in logarithms.
    """
    steps, step_s = law.steps(batch_size), scaling.seconds(batch_size)
    estimate = seconds_to_target(law, scaling.curve, batch_size)
    if estimate is None or not steps.estimate or not step_s.estimate:
        return None
    low = _apart((steps.estimate, steps.low), (step_s.estimate, step_s.low))
    high = _apart((steps.estimate, steps.high), (step_s.estimate, step_s.high))
    return Bounds(
        estimate=estimate,
        low=None if low is None else estimate * math.exp(-low),
        high=None if high is None else estimate * math.exp(high),
    )


def best_batch(law: Law, curve: Curve, half_saturation: Bounds, *, slack: float = SLACK) -> BestBatch | None:
    """Return the best batch size of a law and a line of seconds; None: the law gives none.

    Known answer: B_crit = 82 and h = 40 give 57 (sqrt of 3280).

    Args:
        law: of examples.
        curve: seconds of a step; its floor, if there is one, is left out.
        half_saturation: h with its limits.
        slack: the share of time by which the ends of the range may be slower.

    """
    examples, steps = law.line
    call_s, each_s = curve.call_s, curve.image_s
    if examples <= 0 or each_s <= 0:
        return None
    if steps <= 0:  # a larger batch costs no more examples as far as was measured
        return BestBatch(size=Bounds(estimate=None), seconds=None, low=float(max(law.sizes)), high=None)
    best = math.sqrt(examples * call_s / (steps * each_s))
    fewest_s = (math.sqrt(steps * call_s) + math.sqrt(examples * each_s)) ** 2
    # S c B^2 + (S a + E c - (1 + slack) T*) B + E a <= 0
    square, lone, rest = steps * each_s, steps * call_s + examples * each_s - (1 + slack) * fewest_s, examples * call_s
    root = math.sqrt(max(lone * lone - 4 * square * rest, 0.0))
    return BestBatch(
        size=_bounds(best, law.critical_batch, half_saturation),
        seconds=fewest_s,
        low=max((-lone - root) / (2 * square), 1.0),
        high=max((-lone + root) / (2 * square), 1.0),
    )


def _bounds(best: float, critical: Bounds, half: Bounds) -> Bounds:
    """Return the limits of sqrt(h B_crit): each side's distances in logs, joined as those of independent errors."""
    low = _apart((critical.estimate, critical.low), (half.estimate, half.low))
    high = _apart((critical.estimate, critical.high), (half.estimate, half.high))
    return Bounds(
        estimate=best,
        low=None if low is None else best * math.exp(-low / 2),
        high=None if high is None else best * math.exp(high / 2),
    )


def _apart(*pairs: tuple[float | None, float | None]) -> float | None:
    """Return how far a limit of a product lies from it, in logarithms; None: a factor has no such limit."""
    apart = []
    for estimate, limit in pairs:
        if not estimate or not limit or limit < 0:
            return None
        apart.append(math.log(limit / estimate))
    return math.hypot(*apart)
