"""Which batch size, count and learning rate come next, by what was measured so far. A schedule remembers nothing else.

So a run that goes on after an interruption takes the same way as one that was never interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_sdbatch.analysis.learning_curve import End, Evaluation

GROWTH = 1.15  # of the examples from one evaluation to the next
FIRST = 256  # examples before the first evaluation but that at the start
BLOWN_UP = 2.0  # times the loss at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """How to go on until the next evaluation."""

    batch_size: int
    batch_count: int | None  # batches of an epoch; None: all of the data
    rate: float
    until_examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """That there is nothing to go on for."""

    end: End
    reason: str


class Schedule(Protocol):
    """What a run follows."""

    def after(self, evaluations: Sequence[Evaluation]) -> Stage | Stop:
        """Return how to go on after *evaluations*; the first is that before any step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """When a run ends."""

    target: float | None  # held-out loss; None: only the examples end it
    most_examples: int

    def reached(self, evaluations: Sequence[Evaluation], rate: float) -> Stop | None:
        """Return that the run is at its end; None: it is not."""
        first, last = evaluations[0], evaluations[-1]
        if not math.isfinite(last.held_out_loss) or last.held_out_loss > BLOWN_UP * first.held_out_loss:
            return Stop(
                end=End.DIVERGED,
                reason=f"the held-out loss was {last.held_out_loss:.3g} at step {last.steps:,}, and "
                f"{first.held_out_loss:.3g} at the start; learning rate {rate:.3g}",
            )
        if self.target is not None and last.held_out_loss <= self.target:
            return Stop(end=End.REACHED, reason=f"the held-out loss was {self.target:.3g}")
        if last.examples >= self.most_examples:
            best = min(evaluation.held_out_loss for evaluation in evaluations)
            end = End.NOT_REACHED if self.target is not None else End.REACHED
            return Stop(
                end=end, reason=f"{last.examples:,} examples were used; the lowest held-out loss was {best:.3g}"
            )
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One batch size, count and rate from start to end."""

    batch_size: int
    rate: float
    goal: Goal
    batch_count: int | None = None

    def after(self, evaluations: Sequence[Evaluation]) -> Stage | Stop:
        """Return the same again, up to the next look."""
        stop = self.goal.reached(evaluations, self.rate)
        if stop is not None:
            return stop
        return Stage(
            batch_size=self.batch_size,
            batch_count=self.batch_count,
            rate=self.rate,
            until_examples=min(next_look(evaluations[-1].examples), self.goal.most_examples),
        )


def next_look(examples: int) -> int:
    """Return the examples at the evaluation that follows one at *examples*: a fixed ladder, whatever the batch size."""
    place = FIRST
    while place <= examples:
        place = math.ceil(place * GROWTH)
    return place
