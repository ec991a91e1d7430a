"""What the evaluations along a training run say: when a target was reached, how fast the loss fell, what the gap is.

Between two evaluations the logarithm of the loss is taken to be a line; beyond the last one nothing is said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

_LAST = 0.6  # share of the examples that are the end of a run


class End(StrEnum):
    """How a training run ended."""

    REACHED = "reached"
    NOT_REACHED = "not-reached"  # the examples that it was given were used up
    DIVERGED = "diverged"  # the loss was no number, or rose far beyond its start


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was known of a network after so many steps. Losses are those of fixed triples, so that they can be paired.

    Seconds are those of the steps, by the clock that the study names; what evaluating takes is not in them.
    """

    steps: int
    examples: int
    seconds: float
    wall_s: float
    held_out_loss: float
    train_loss: float  # of images that were trained on, as many as were held out
    bands: tuple[float, ...] = ()  # held-out loss by quarter of the timesteps, little noise first
    rare_loss: float | None = None  # held-out loss of the class that was made rare; None: there is none
    batch_size: int | None = None  # of the steps before it; None: there was none
    batch_count: int | None = None  # batches of an epoch; None: all of the data


@dataclass(frozen=True, slots=True, kw_only=True)
class ToTarget:
    """What it took to reach a held-out loss; None throughout where it was not reached."""

    target: float
    best_loss: float  # the lowest that was seen, at an evaluation
    steps: float | None = None
    examples: float | None = None
    seconds: float | None = None

    @property
    def reached(self) -> bool:
        """Whether the target was reached."""
        return self.examples is not None


def to_target(evaluations: Sequence[Evaluation], target: float) -> ToTarget:
    """Return what it took until the held-out loss was *target* for the first time.

    Known answer: losses of 4 at 100 examples and 1 at 300 pass 2 at 200 examples, half-way in logarithms.

    Args:
        evaluations: of one run, in order of their steps; at least one.
        target: held-out loss, above 0.

    Raises:
        ValueError: for no evaluation, or a loss or target that is not finite and above 0.

    """
    losses = [evaluation.held_out_loss for evaluation in evaluations]
    if not losses:
        raise ValueError("no evaluation: nothing was measured")
    if not all(math.isfinite(loss) and loss > 0 for loss in (*losses, target)):
        raise ValueError("losses and their target are finite and above 0")
    best = min(losses)
    at = next((index for index, loss in enumerate(losses) if loss <= target), None)
    if at is None:
        return ToTarget(target=target, best_loss=best)
    after = evaluations[at]
    before, part = after, 0.0
    if at > 0:
        before = evaluations[at - 1]
        part = math.log(losses[at - 1] / target) / math.log(losses[at - 1] / losses[at])

    def between(read: Callable[[Evaluation], float]) -> float:
        return read(before) + part * (read(after) - read(before))

    return ToTarget(
        target=target,
        best_loss=best,
        steps=between(lambda evaluation: evaluation.steps),
        examples=between(lambda evaluation: evaluation.examples),
        seconds=between(lambda evaluation: evaluation.seconds),
    )


def gap_at(evaluations: Sequence[Evaluation], train_loss: float) -> float | None:
    """Return held-out minus train loss where the train loss was *train_loss* for the first time; None: it never was."""
    for before, after in itertools.pairwise(evaluations):
        if after.train_loss <= train_loss < before.train_loss:
            part = math.log(before.train_loss / train_loss) / math.log(before.train_loss / after.train_loss)
            return _gap(before) + part * (_gap(after) - _gap(before))
    return None


def loss_at(evaluations: Sequence[Evaluation], amount: float, read: Callable[[Evaluation], float]) -> float | None:
    """Return the held-out loss at so many steps, examples or seconds, whichever *read* takes; None: not seen there."""
    for before, after in itertools.pairwise(evaluations):
        low, high = read(before), read(after)
        if low <= amount <= high and high > low:
            part = (amount - low) / (high - low)
            return math.exp((1 - part) * math.log(before.held_out_loss) + part * math.log(after.held_out_loss))
    return None


def convergence_rate(evaluations: Sequence[Evaluation], read: Callable[[Evaluation], float]) -> float | None:
    """Return by how much the logarithm of the held-out loss fell per step, example or second; None: of no length."""
    first, last = evaluations[0], evaluations[-1]
    length = read(last) - read(first)
    return math.log(first.held_out_loss / last.held_out_loss) / length if length > 0 else None


def early_rate(evaluations: Sequence[Evaluation], examples: float, read: Callable[[Evaluation], float]) -> float | None:
    """Return by how much the logarithm of the held-out loss fell per step or second, over the first *examples*.

    Over the same span for all runs that are compared: to one target they all fall by as much, and the rate would say
    no more than how long that took. None: so many were not seen.
    """
    loss = loss_at(evaluations, examples, _examples)
    for before, after in itertools.pairwise(evaluations):
        if loss is not None and before.examples <= examples <= after.examples:
            part = (examples - before.examples) / (after.examples - before.examples)
            length = read(before) + part * (read(after) - read(before)) - read(evaluations[0])
            return math.log(evaluations[0].held_out_loss / loss) / length if length > 0 else None
    return None


def last_spread(evaluations: Sequence[Evaluation]) -> float | None:
    """Return the stdev of the ln held-out loss about its line in ln examples, over the last 60 % of the examples.

    None: fewer than four evaluations lie there.
    """
    start = evaluations[-1].examples * (1 - _LAST)
    last = [evaluation for evaluation in evaluations if evaluation.examples >= start]
    if len(last) < 4:
        return None
    places = [math.log(evaluation.examples) for evaluation in last]
    logs = [math.log(evaluation.held_out_loss) for evaluation in last]
    mean, centre = math.fsum(places) / len(last), math.fsum(logs) / len(last)
    squares = math.fsum((place - mean) ** 2 for place in places)
    slope = math.fsum((place - mean) * (log - centre) for place, log in zip(places, logs, strict=True)) / squares
    left = math.fsum((log - centre - slope * (place - mean)) ** 2 for place, log in zip(places, logs, strict=True))
    return math.sqrt(left / (len(last) - 2))


def _examples(evaluation: Evaluation) -> float:
    return float(evaluation.examples)


def _gap(evaluation: Evaluation) -> float:
    return evaluation.held_out_loss - evaluation.train_loss
