"""When to stop: the rounds of a case, and its warm-up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, FEWEST_FOR_LOCATION, half_width
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.options import Options
from pytest_sdbatch.records import StopReason

CONFIDENCE = 0.99  # of the precision rule; stopping on a 95 % interval leaves it 87 to 93 % coverage
STEADY_RATIO = 1.05  # of the last two warm-up calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What ends the rounds of a case, and its warm-up."""

    rounds: int | None = None  # exactly this many, instead of the rules below
    min_rounds: int = 5
    max_rounds: int = 30
    max_seconds: float = 20.0  # of rounds, together; min_rounds wins
    precision: float = 0.01  # half-width of the 99 % interval, as a share of the location
    warmup_calls: int = 10
    warmup_seconds: float = 30.0

    @classmethod
    def from_options(cls, options: Options) -> Rules:
        """Return the rules that *options* ask for.

        Raises:
            OptionError: for a value that cannot be read, fewer than 3 rounds, or max_rounds below min_rounds.

        """
        rules = cls(
            rounds=options.count("rounds") if options.text("rounds") is not None else None,
            min_rounds=options.count("min_rounds"),
            max_rounds=options.count("max_rounds"),
            max_seconds=options.number("max_seconds"),
            precision=options.number("precision"),
            warmup_calls=options.count("warmup_calls"),
            warmup_seconds=options.number("warmup_seconds"),
        )
        for name, value in (("rounds", rules.rounds), ("min_rounds", rules.min_rounds)):
            if value is not None and value < FEWEST_FOR_LOCATION:
                raise OptionError(
                    f"{options.spelled(name)}={value}: fewer than {FEWEST_FOR_LOCATION} rounds",
                    why="a trimmed mean drops at least the fastest and the slowest",
                    fix=f"give {FEWEST_FOR_LOCATION} or more; {FEWEST_FOR_ERROR} or more for an interval",
                )
        if rules.max_rounds < rules.min_rounds:
            raise OptionError(
                f"{options.spelled('max_rounds')}={rules.max_rounds} is less than "
                f"{options.spelled('min_rounds')}={rules.min_rounds}",
                fix="raise the first or lower the second",
            )
        return rules


def should_stop(wall_seconds: Sequence[float], rules: Rules) -> StopReason | None:
    """Return the rule that ends a case after rounds of *wall_seconds*, or None for one more round.

    Args:
        wall_seconds: of the rounds so far, in order.
        rules: in force.

    """
    done = len(wall_seconds)
    if rules.rounds is not None:
        return StopReason.FIXED_ROUNDS if done >= rules.rounds else None
    if done < rules.min_rounds:
        return None
    if _is_precise(wall_seconds, rules.precision):
        return StopReason.PRECISION
    if done >= rules.max_rounds:
        return StopReason.MAX_ROUNDS
    return StopReason.MAX_SECONDS if math.fsum(wall_seconds) >= rules.max_seconds else None


def warmup_done(call_seconds: Sequence[float], rules: Rules) -> bool:
    """Return whether warm-up calls of *call_seconds* suffice: steady, or as many or as long as allowed. Never none."""
    if not call_seconds:
        return False
    if len(call_seconds) >= rules.warmup_calls or math.fsum(call_seconds) >= rules.warmup_seconds:
        return True
    last_two = sorted(call_seconds[-2:])
    return len(last_two) == 2 and last_two[1] <= STEADY_RATIO * last_two[0]


def _is_precise(wall_seconds: Sequence[float], precision: float) -> bool:
    # A round of 0 s happens where the clock is coarser than the work; it has no log and proves no precision.
    if len(wall_seconds) < FEWEST_FOR_ERROR or min(wall_seconds) <= 0:
        return False
    logs = [math.log(seconds) for seconds in wall_seconds]
    return half_width(logs, confidence=CONFIDENCE) <= math.log1p(precision)
