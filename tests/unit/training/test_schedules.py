"""What comes next by what was measured, and when a run ends."""

from __future__ import annotations

import math

import pytest

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.training.schedules import FIRST, Constant, Goal, Stage, Stop, next_look

GOAL = Goal(target=0.2, most_examples=5000)


def seen(*points: tuple[int, float]) -> list[Evaluation]:
    """Return evaluations of (examples, held-out loss)."""
    return [
        Evaluation(steps=examples // 8, examples=examples, seconds=0, wall_s=0, held_out_loss=loss, train_loss=loss)
        for examples, loss in points
    ]


def test_a_constant_goes_on_to_the_next_look() -> None:
    """Looks lie on one ladder for all sizes, so that runs are compared at equal examples."""
    schedule = Constant(batch_size=8, rate=1e-3, goal=GOAL)

    assert schedule.after(seen((0, 1.0))) == Stage(batch_size=8, batch_count=None, rate=1e-3, until_examples=FIRST)
    stage = schedule.after(seen((0, 1.0), (300, 0.5)))
    assert isinstance(stage, Stage)
    assert stage.until_examples == next_look(300) == 340
    last = schedule.after(seen((0, 1.0), (4999, 0.5)))
    assert isinstance(last, Stage)
    assert last.until_examples == 5000


@pytest.mark.parametrize(
    ("points", "end", "words"),
    [
        ([(0, 1.0), (300, 0.19)], End.REACHED, "0.2"),
        (
            [(0, 1.0), (300, 0.25), (5000, 0.3)],
            End.NOT_REACHED,
            "5,000 examples were used; the lowest held-out loss was 0.25",
        ),
        ([(0, 1.0), (304, 2.5)], End.DIVERGED, "2.5 at step 38, and 1 at the start; learning rate 0.001"),
        ([(0, 1.0), (304, math.nan)], End.DIVERGED, "step 38"),
    ],
)
def test_a_run_ends_for_a_reason(points: list[tuple[int, float]], end: End, words: str) -> None:
    """Reached, not reached with the best loss, or diverged with step and rate."""
    stop = Constant(batch_size=8, rate=1e-3, goal=GOAL).after(seen(*points))

    assert isinstance(stop, Stop)
    assert stop.end is end
    assert words in stop.reason


def test_a_run_without_a_target_ends_with_its_examples() -> None:
    """The first run of unknown data looks how far the loss falls."""
    stop = Constant(batch_size=8, rate=1e-3, goal=Goal(target=None, most_examples=100)).after(
        seen((0, 1.0), (104, 0.5))
    )

    assert isinstance(stop, Stop)
    assert stop.end is End.REACHED
