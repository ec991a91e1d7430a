"""The loop: equal seeds, interruptions, and losses that are no numbers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.analysis.learning_runs import Clock
from pytest_sdbatch.training import loop, schedules
from pytest_sdbatch.training.loop import Learner, clock_of, train
from pytest_sdbatch.training.ramp import Ramp
from pytest_sdbatch.training.schedules import Constant, Goal, Stage
from pytest_sdbatch.training.task import DenoisingTask

GOAL = Goal(target=0.01, most_examples=64)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, in runs of a few steps."""
    monkeypatch.setattr(schedules, "FIRST", 16)


def losses(evaluations: list[Evaluation]) -> list[Evaluation]:
    """Return *evaluations* without what a clock said."""
    return [replace(evaluation, seconds=0.0, wall_s=0.0) for evaluation in evaluations]


def test_a_run_learns_and_says_what_it_took(task: DenoisingTask) -> None:
    """The loss falls, steps and examples are counted, and the seconds are those of the steps."""
    learner = Learner(task, seed=0)
    seen: list[int] = []
    stop = train(
        learner, Constant(batch_size=8, rate=4e-3, goal=GOAL), watch=lambda _, found: seen.append(found.examples)
    )

    first, last = learner.evaluations[0], learner.evaluations[-1]
    assert stop.end is End.NOT_REACHED
    assert (first.steps, last.steps, last.examples, last.batch_size) == (0, 8, 64, 8)
    assert last.held_out_loss < first.held_out_loss
    assert 0 == first.seconds < last.seconds
    assert seen == [found.examples for found in learner.evaluations]


@pytest.mark.parametrize(
    ("device", "threads", "clock"), [("cpu", 1, Clock.CPU), ("cpu", 2, Clock.WALL), ("cuda", 1, Clock.WALL)]
)
def test_the_clock_is_that_of_one_thread_or_of_the_wall(
    task: DenoisingTask, monkeypatch: pytest.MonkeyPatch, device: str, threads: int, clock: Clock
) -> None:
    """The process time of several threads is their sum, and a GPU has none."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)

    assert clock_of(torch.device(device)) is clock
    if device == "cpu":
        read = Learner(task, seed=0)._clock
        assert read is (time.process_time if clock is Clock.CPU else time.perf_counter)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(task: DenoisingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a kept state the same losses follow, to the last bit: size, count, order, noise and optimizer are in it."""
    monkeypatch.setattr(loop, "KEEP_EVERY_S", 0.0)
    schedule = Ramp(
        batch_size=4, batch_count=2, rate_of=lambda size: size / 1e3, goal=replace(GOAL, most_examples=80),
        rungs=(1.0, 0.9), largest=16, images=48,
    )  # fmt: skip
    whole = Learner(task, seed=3)
    train(whole, schedule)
    kept: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []

    def keep(tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        kept.append(({name: tensor.clone() for name, tensor in tensors.items()}, numbers))
        if len(kept) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Learner(task, seed=3), schedule, keep=keep)
    again = Learner(task, seed=0)
    again.restore(*kept[-1])
    train(again, schedule)

    assert losses(again.evaluations) == losses(whole.evaluations)
    assert len(whole.evaluations) > 3
    ours, theirs = again.network.state_dict(), whole.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_loss_that_is_no_number_ends_the_run_with_step_and_rate(task: DenoisingTask) -> None:
    """The step is the first one whose loss was none."""
    learner = Learner(task, seed=0)
    with torch.no_grad():
        learner.parameters[0].fill_(float("nan"))
    stop = learner.advance(Stage(batch_size=4, batch_count=None, rate=2e-3, until_examples=12))

    assert stop is not None
    assert stop.end is End.DIVERGED
    assert stop.reason == "the loss was no finite number at step 1; learning rate 0.002"


def test_a_rate_that_is_far_too_large_diverges(task: DenoisingTask) -> None:
    """A loss far above that at the start is no training, and the run ends without spending its examples."""
    learner = Learner(task, seed=0)
    stop = train(learner, Constant(batch_size=4, rate=50.0, goal=replace(GOAL, most_examples=10_000)))

    assert stop.end is End.DIVERGED
    assert "learning rate 50" in stop.reason
    assert learner.examples < 1000
    assert all(found.held_out_loss == found.held_out_loss for found in learner.evaluations), "no NaN is kept"
