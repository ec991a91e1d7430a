"""What follows from the runs of a study: rows, laws, and contrasts over seeds."""

from __future__ import annotations

import dataclasses

import pytest
from scipy.stats import t as student
from studies import FEWEST, STEPS, TARGET, made_noise, made_run, made_study

from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import (
    contrast,
    difference,
    figures_of,
    law_of,
    over_seeds,
    ratio_of,
    took,
)


def test_the_laws_are_those_that_the_runs_were_made_from() -> None:
    """E_min, S_min, h and the best size come back."""
    figures = figures_of(made_study())

    assert figures.law is not None
    assert figures.scaling is not None
    assert figures.best is not None
    assert figures.law.critical_batch.estimate == pytest.approx(FEWEST / STEPS, rel=0.02)
    assert figures.scaling.half_saturation.estimate == pytest.approx(39.5, rel=0.02)
    assert figures.best.size.estimate == pytest.approx((39.5 * FEWEST / STEPS) ** 0.5, rel=0.02)
    assert figures.fastest is not None
    assert figures.fastest.batch_size == 64


def test_a_row_tells_what_its_runs_took() -> None:
    """Means over seeds with limits, the count of an epoch, and what a network made of them generates."""
    row = figures_of(made_study()).rows[1]

    assert (row.batch_size, row.batch_count, row.runs, row.reached, row.diverged) == (64, 23, 3, 3, 0)
    assert row.examples is not None
    assert row.examples.estimate == pytest.approx(FEWEST + 64 * STEPS, rel=0.02)
    assert (row.examples.low or 0) < FEWEST + 64 * STEPS < (row.examples.high or 0)
    assert row.examples_per_s == pytest.approx(64 / (9.8e-3 + 64 * 0.248e-3), rel=0.01)
    assert row.accuracy.value == pytest.approx(0.901)


def test_runs_that_did_not_reach_the_target_make_up_no_number() -> None:
    """A size without one has no steps, and is no answer."""
    study = dataclasses.replace(made_study(), target=0.01)
    figures = figures_of(study)

    assert figures.law is None
    assert figures.no_law == "0 batch sizes reached the target, and a line takes 2"
    assert all(row.steps is None and row.reached == 0 for row in figures.rows)
    assert figures.fastest is None
    assert figures.rows[0].best_loss == pytest.approx(TARGET, rel=0.01)


def test_a_run_that_diverged_counts_as_such_and_for_nothing_else() -> None:
    """Even if its loss had passed the target on the way."""
    study = made_study()
    first, *rest = study.runs
    diverged = dataclasses.replace(first, end=End.DIVERGED)
    figures = figures_of(dataclasses.replace(study, runs=(diverged, *rest)))

    assert (figures.rows[0].diverged, figures.rows[0].reached) == (1, 2)
    assert not took(diverged, TARGET).reached
    assert figures.fastest is not None


def test_limits_over_seeds_are_student_s() -> None:
    """Of logarithms; one seed has none."""
    found = over_seeds([1.0, 2.0, 4.0])

    assert found is not None
    assert found.estimate == pytest.approx(2)
    assert found.high == pytest.approx(2 * 2 ** (student.ppf(0.975, 2) / 3**0.5))
    alone = over_seeds([1.0])
    assert alone == Bounds(estimate=1.0)
    assert over_seeds([]) is None


def test_contrasts_are_paired_by_seed() -> None:
    """What both seeds share cancels; a seed that only one side has does not count."""
    small, large = [made_run(16, seed) for seed in (0, 1, 2)], [made_run(256, seed) for seed in (2, 1, 0, 7)]

    ratio = contrast(large, small, lambda run: took(run, TARGET).examples)
    apart = difference(large, small, lambda run: took(run, TARGET).examples)
    assert ratio is not None
    assert apart is not None
    assert ratio.estimate == pytest.approx((FEWEST + 256 * STEPS) / (FEWEST + 16 * STEPS), rel=0.02)
    assert (ratio.high or 9) / (ratio.low or 1) < 1.1, "seeds are 6 % apart, but in the same direction"
    assert apart.estimate == pytest.approx(240 * STEPS, rel=0.02)
    assert contrast(small, [], lambda run: 1.0) is None


def test_a_part_of_the_data_has_its_own_law() -> None:
    """Runs on subsets stay out of the table."""
    more = tuple(
        made_run(size, seed, part=Part.SUBSET, data="small", examples=1000 + 50 * size)
        for size in (16, 64)
        for seed in (0, 1)
    )
    study = made_study(more=more)
    law, _ = law_of(study.of(Part.SUBSET, data="small"), TARGET)

    assert law is not None
    assert law.critical_batch.estimate == pytest.approx(20, rel=0.05)
    assert figures_of(study).rows == figures_of(made_study()).rows


def test_noise_scales_are_compared_with_their_limits() -> None:
    """Equal ones are 1 apart; one without an estimate is not compared."""
    sixty, thirty = (made_noise(scale).plain.size for scale in (60.0, 30.0))
    ratio = ratio_of(sixty, thirty)

    assert ratio is not None
    assert ratio.estimate == pytest.approx(2)
    assert (ratio.low or 0) < 2 * 0.7 < 2 * 1.5 < (ratio.high or 0)
    assert ratio_of(Bounds(estimate=None, low=3.0), thirty) is None
