"""Raising size and count: at falling losses, as far as allowed, and never for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.training.ramp import PATIENCE, Ramp, rungs_of
from pytest_sdbatch.training.schedules import Goal, Stage, Stop


def ramp(*, largest: int = 128, images: int = 1438) -> Ramp:
    """Return a ramp from 16 x 8 to a loss of 0.1."""
    return Ramp(
        batch_size=16,
        batch_count=8,
        rate_of=lambda size: size / 1e4,
        goal=Goal(target=0.1, most_examples=50_000),
        rungs=(0.3, 0.25, 0.2),
        largest=largest,
        images=images,
    )


def seen(*losses: float) -> list[Evaluation]:
    """Return evaluations of these held-out losses, 100 examples apart."""
    return [
        Evaluation(steps=index, examples=100 * index, seconds=0, wall_s=0, held_out_loss=loss, train_loss=loss)
        for index, loss in enumerate(losses)
    ]


def stage(schedule: Ramp, *losses: float) -> Stage:
    """Return the stage after *losses*."""
    found = schedule.after(seen(*losses))
    assert isinstance(found, Stage)
    return found


@pytest.mark.parametrize(
    ("losses", "size", "count"),
    [((1.1,), 16, 8), ((1.1, 0.31), 16, 8), ((1.1, 0.3), 32, 16), ((1.1, 0.22), 64, 22), ((1.1, 0.12), 128, 11)],
)
def test_both_are_raised_at_each_rung(losses: tuple[float, ...], size: int, count: int) -> None:
    """The count grows as the size does, until an epoch is all of the data; the rate follows the size."""
    found = stage(ramp(), *losses)

    assert (found.batch_size, found.batch_count, found.rate) == (size, count, size / 1e4)
    assert found.until_examples == 100 * (len(losses) - 1) + size * count


def test_a_rung_that_was_passed_stays_passed() -> None:
    """A loss that jumps back does not lower the size."""
    assert stage(ramp(), 1.1, 0.29, 0.35).batch_size == 32


def test_the_largest_size_is_kept() -> None:
    """What does not fit is not tried."""
    assert stage(ramp(largest=48), 1.1, 0.12).batch_size == 48


def test_a_loss_that_stays_ends_the_ramp_with_the_reason() -> None:
    """Raising both brings no more."""
    stop = ramp().after(seen(1.1, 0.28, *[0.29] * PATIENCE))

    assert isinstance(stop, Stop)
    assert stop.end is End.NOT_REACHED
    assert f"did not fall below 0.28 in {PATIENCE} epochs at size 32, count 16" in stop.reason


def test_the_target_ends_the_ramp_and_says_where() -> None:
    """Size and count at the end are told, and why they were raised no further."""
    stop = ramp().after(seen(1.1, 0.15, 0.09))

    assert isinstance(stop, Stop)
    assert stop.end is End.REACHED
    assert stop.reason.endswith("size 128, count 11 by then")
    assert ramp().why_not_higher(seen(1.1, 0.15, 0.09)) == "size 128 was the largest allowed"
    assert "did not fall to 0.25, where size 64 would" in ramp().why_not_higher(seen(1.1, 0.28, 0.27))
    assert "passed the last rung, 0.2, at size 128" in ramp(largest=256).why_not_higher(seen(1.1, 0.15, 0.09))


def test_a_size_that_was_never_learned_with_is_not_told() -> None:
    """An epoch that ends below the target passes all rungs at once; nothing is begun behind it."""
    stop = ramp().after(seen(1.1, 0.09))

    assert isinstance(stop, Stop)
    assert stop.reason.endswith("size 16, count 8 by then")
    assert ramp().why_not_higher(seen(1.1, 0.09)) == "the run ended before size 32 began"


@given(st.lists(st.floats(0.11, 2.0), min_size=1, max_size=30))
def test_a_stage_always_goes_on_and_never_beyond_the_data(losses: list[float]) -> None:
    """Whatever the losses do, a stage has examples, and an epoch is no more than there is."""
    found = ramp(images=200).after(seen(*losses))

    if isinstance(found, Stage):
        assert found.until_examples > 100 * (len(losses) - 1)
        assert found.batch_size * (found.batch_count or 0) <= 200


def test_the_rungs_of_digits_are_those_that_were_measured() -> None:
    """0.30, 0.25 and 0.20 on the way to 0.195."""
    assert [round(rung, 2) for rung in rungs_of(0.195, 1.09)] == [0.3, 0.25, 0.2]


@given(st.floats(1e-3, 10), st.floats(1.001, 100))
def test_a_ramp_begins_where_it_says(target: float, way: float) -> None:
    """However little there is to be learned, no rung is passed before the first step, and they fall."""
    rungs = rungs_of(target, target * way)
    schedule = replace(ramp(), goal=Goal(target=target, most_examples=50_000), rungs=rungs)

    assert stage(schedule, target * way).batch_size == 16
    assert target * way > rungs[0] > rungs[1] > rungs[2] > target
