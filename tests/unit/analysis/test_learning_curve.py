"""What evaluations along a run say, and what they do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.learning_curve import (
    Evaluation,
    convergence_rate,
    early_rate,
    gap_at,
    last_spread,
    loss_at,
    to_target,
)


def run(*losses: float, every: int = 100, gap: float = 0.0) -> list[Evaluation]:
    """Return evaluations of one run, *every* so many examples, at batch size 10 and 1 ms a step."""
    return [
        Evaluation(
            steps=index * every // 10,
            examples=index * every,
            seconds=index * every / 1e4,
            wall_s=index * every / 5e3,
            held_out_loss=loss,
            train_loss=loss - gap * index,
        )
        for index, loss in enumerate(losses)
    ]


def test_the_target_lies_between_two_evaluations() -> None:
    """4 and 1 pass 2 half-way in logarithms, in steps, examples and seconds alike."""
    found = to_target(run(8.0, 4.0, 1.0), 2.0)

    assert (found.steps, found.examples) == pytest.approx((15.0, 150.0))
    assert found.seconds == pytest.approx(0.015)
    assert found.best_loss == 1.0


def test_a_target_that_is_not_reached_has_no_numbers() -> None:
    """The best loss is told, and no time is made up."""
    found = to_target(run(8.0, 4.0, 3.0, 3.5), 2.0)

    assert not found.reached
    assert found.best_loss == 3.0
    assert (found.steps, found.examples, found.seconds) == (None,) * 3


def test_a_target_that_is_reached_at_the_start_took_nothing() -> None:
    """A network that needs no training."""
    assert to_target(run(1.0, 0.5), 2.0).examples == 0


@given(st.lists(st.floats(0.01, 10), min_size=2, max_size=12), st.floats(0.01, 10))
def test_what_it_took_lies_within_the_run(losses: list[float], target: float) -> None:
    """The first crossing, never outside of the evaluations around it."""
    found = to_target(run(*losses), target)

    if found.examples is None:
        assert min(losses) > target
    else:
        at = math.ceil(found.examples / 100 - 1e-9)
        assert losses[at] <= target
        assert all(loss > target for loss in losses[:at])


@pytest.mark.parametrize("losses", [(), (math.nan,), (1.0, 0.0), (1.0, math.inf)])
def test_losses_that_are_none_are_refused(losses: tuple[float, ...]) -> None:
    """A diverged run has an outcome, not a time."""
    with pytest.raises(ValueError, match=r"loss|evaluation"):
        to_target(run(*losses), 0.5)


def test_the_gap_is_taken_at_equal_train_loss() -> None:
    """Held-out minus train loss where the train loss passes a level; None where it never does."""
    evaluations = run(4.0, 3.0, 2.0, gap=0.5)  # train losses of 4, 2.5 and 1

    assert gap_at(evaluations, 2.5) == pytest.approx(0.5)
    assert gap_at(evaluations, 0.5) is None


def test_the_loss_at_a_step_count_is_read_between_evaluations() -> None:
    """Equal steps, examples or seconds are compared, whichever was asked for."""
    evaluations = run(4.0, 1.0)

    assert loss_at(evaluations, 50, lambda evaluation: evaluation.examples) == pytest.approx(2.0)
    assert loss_at(evaluations, 0.01, lambda evaluation: evaluation.seconds) == pytest.approx(1.0)
    assert loss_at(evaluations, 101, lambda evaluation: evaluation.examples) is None


def test_the_rate_of_convergence_is_the_fall_of_the_logarithm() -> None:
    """From 4 to 1 in 200 examples: ln 4 over 200 an example."""
    evaluations = run(4.0, 3.0, 1.0)

    assert convergence_rate(evaluations, lambda evaluation: evaluation.examples) == pytest.approx(math.log(4) / 200)
    assert convergence_rate(evaluations[:1], lambda evaluation: evaluation.examples) is None


def test_the_last_spread_leaves_the_fall_out() -> None:
    """A loss that falls smoothly has none; what it jumps by is found."""
    random = np.random.default_rng(1)
    smooth = [max(index, 1) ** -0.5 for index in range(400)]
    jumping = [loss * math.exp(0.05 * random.standard_normal()) for loss in smooth]

    assert last_spread(run(*smooth)) == pytest.approx(0, abs=1e-9)
    assert last_spread(run(*jumping)) == pytest.approx(0.05, rel=0.2)
    assert last_spread(run(*smooth[:5])) is None


def test_a_rate_over_a_span_is_that_of_its_beginning() -> None:
    """Losses of 8 and 4 a hundred examples on fall by ln 2 in those seconds, whatever came later; beyond is unknown."""
    evaluations = run(8.0, 4.0, 3.9, 1.0)
    first, second = evaluations[:2]
    fall = math.log(2) / (second.seconds - first.seconds)

    assert early_rate(evaluations, second.examples, lambda found: found.seconds) == pytest.approx(fall)
    half = (first.examples + second.examples) / 2
    assert early_rate(evaluations, half, lambda found: found.seconds) == pytest.approx(fall)
    assert early_rate(evaluations, evaluations[-1].examples + 1, lambda found: found.seconds) is None
    assert early_rate(evaluations, 0, lambda found: found.seconds) is None, "of no length"
