"""From a moderate batch size and a low count both are raised while the loss falls, until there is a reason not to.

The critical batch size grows as the loss falls, so a batch that is right at the end is too large at the start. What is
watched after each epoch of size x count examples is the held-out loss, and how fast it falls for each example.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.training.schedules import Goal, Stage, Stop

RUNGS = (1.54, 1.28, 1.03)  # held-out losses at which both are raised, over the target: 0.30, 0.25 and 0.20 of 0.195
# At most so far back on the way, in logarithms: where little is to be learned the others would lie above the start.
_WAY_LEFT = (0.30, 0.17, 0.02)
FACTOR = 2
PATIENCE = 6  # epochs without a lower loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A schedule that raises size and count at falling losses.

    Args:
        batch_size: moderate, to begin with.
        batch_count: low, to begin with.
        rate_of: the learning rate of a batch size.
        goal: when the run ends.
        rungs: losses at which both are raised, falling.
        largest: batch size that is not exceeded.
        images: to train on; where size x count is all of them, the count is raised no more.

    """

    batch_size: int
    batch_count: int
    rate_of: Callable[[int], float]
    goal: Goal
    rungs: tuple[float, ...]
    largest: int
    images: int

    def after(self, evaluations: Sequence[Evaluation]) -> Stage | Stop:
        """Return the next epoch, or why there is none."""
        size, count, _ = self._at(evaluations)
        stop = self.goal.reached(evaluations, self.rate_of(size))
        if stop is not None:
            size, count, _ = self._at(evaluations[:-1])  # that were learned with: no epoch of a later rung was begun
            return Stop(end=stop.end, reason=f"{stop.reason}; size {size}, count {count} by then")
        best = min(range(len(evaluations)), key=lambda index: evaluations[index].held_out_loss)
        if len(evaluations) - 1 - best >= PATIENCE:
            return Stop(
                end=End.NOT_REACHED,
                reason=f"the held-out loss did not fall below {evaluations[best].held_out_loss:.3g} in {PATIENCE} "
                f"epochs at size {size}, count {count}: raising both brings no more",
            )
        examples = evaluations[-1].examples
        return Stage(
            batch_size=size,
            batch_count=count,
            rate=self.rate_of(size),
            until_examples=min(examples + size * count, self.goal.most_examples),
        )

    def why_not_higher(self, evaluations: Sequence[Evaluation]) -> str:
        """Return why size and count were raised no further."""
        size, count, raised = self._at(evaluations[:-1])
        if size >= self.largest:
            return f"size {size} was the largest allowed"
        if raised >= len(self.rungs):
            return f"the loss had passed the last rung, {self.rungs[-1]:.3g}, at size {size}, count {count}"
        if evaluations[-1].held_out_loss <= self.rungs[raised]:
            return f"the run ended before size {min(size * FACTOR, self.largest)} began"
        return f"the loss did not fall to {self.rungs[raised]:.3g}, where size {size * FACTOR} would have begun"

    def _at(self, evaluations: Sequence[Evaluation]) -> tuple[int, int, int]:
        """Return size, count and how often they were raised: once for each rung that an epoch ended below."""
        lowest = min((evaluation.held_out_loss for evaluation in evaluations), default=math.inf)
        raised = sum(lowest <= rung for rung in self.rungs)
        size, count = self.batch_size, self.batch_count
        for _ in range(raised):
            size = min(size * FACTOR, self.largest)
            count = min(count * FACTOR, max(1, self.images // size))
        return size, count, raised


def rungs_of(target: float, start: float) -> tuple[float, ...]:
    """Return the losses at which both are raised on the way from *start* down to *target*, none of them above *start*.

    Known answer: from 1.1 to 0.195 they are 0.30, 0.25 and 0.20.
    """
    way = max(start / target, 1.0)
    return tuple(target * min(share, way**left) for share, left in zip(RUNGS, _WAY_LEFT, strict=True))
