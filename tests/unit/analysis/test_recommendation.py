"""The recommendation: measured, with its reasons, and no surer than the runs."""

from __future__ import annotations

import dataclasses
import re

import pytest
from studies import made_study

from pytest_sdbatch.analysis.claim_table import claim_table
from pytest_sdbatch.analysis.claims import TO_REACH, Key, Standing
from pytest_sdbatch.analysis.learning_runs import Part, Study
from pytest_sdbatch.analysis.recommendation import recommendation
from pytest_sdbatch.analysis.study_figures import figures_of


def test_a_ramp_that_is_sooner_than_every_constant_is_recommended() -> None:
    """It is held against the fastest constant size, paired by seed."""
    study = made_study(ramp=2500.0)
    claims = claim_table(study, figures_of(study))
    advice = recommendation(study, figures_of(study), claims)

    assert next(claim for claim in claims if claim.key is Key.RAMP).standing is Standing.SUPPORTED
    assert any("ramp is sooner still" in reason for reason in advice.reasons)


def test_a_claim_is_known_by_its_key() -> None:
    """In other words it is the same one: the recommendation does not read them, and machines need not."""
    study = made_study(ramp=2500.0)
    figures = figures_of(study)
    reworded = tuple(dataclasses.replace(claim, claim="Said otherwise.") for claim in claim_table(study, figures))

    assert any("ramp is sooner still" in reason for reason in recommendation(study, figures, reworded).reasons)
    assert recommendation(study, figures, ()).reasons, "without any it is by the figures alone"


def test_the_recommendation_is_a_size_that_was_measured() -> None:
    """With its count, its rate and its reasons."""
    study = made_study()
    advice = recommendation(study, figures_of(study), claim_table(study, figures_of(study)))

    assert advice.sentence == "train digits at batch size 64, count 23, learning rate 0.001"
    assert "tuned elsewhere" in advice.reasons[-1]


def slower(study: Study, size: int, *factors: float) -> Study:
    """Return *study* with the runs of *size* that many times as long, by seed."""
    runs = tuple(
        dataclasses.replace(
            run,
            evaluations=tuple(
                dataclasses.replace(one, seconds=one.seconds * factors[run.seed]) for one in run.evaluations
            ),
        )
        if run.part is Part.TABLE and run.batch_size == size
        else run
        for run in study.runs
    )
    return dataclasses.replace(study, runs=runs)


def test_a_size_that_is_not_told_apart_from_the_fastest_is_named_beside_it() -> None:
    """With how much longer it took, which seeds do not settle: whoever wants the other one loses nothing known."""
    study = slower(made_study(), 256, 0.3, 1.0, 0.9)
    figures = figures_of(study)
    advice = recommendation(study, figures, ())

    assert advice.sentence.endswith("; these runs do not tell it from 256")
    no_proof = r"at 256 it took [\d.]+ times \[.*\] as long, which is no proof"
    assert any(re.match(no_proof, reason) for reason in advice.reasons)
    assert not any("at 16 " in one for one in advice.reasons), "it is surely slower"


def test_one_seed_tells_no_size_from_another() -> None:
    """There are no limits to tell by."""
    study = made_study(seeds=(0,))

    assert recommendation(study, figures_of(study), ()).sentence.endswith("do not tell it from 16, 256")


@pytest.mark.parametrize(("sizes", "beyond"), [((16, 64), False), ((64, 256), True), ((128, 256), True)])
def test_a_size_at_the_end_is_looked_beyond_where_the_lines_do_not_place_the_best(
    sizes: tuple[int, ...], beyond: bool
) -> None:
    """They put it at 57: between 16 and 64 it lies inside, where 64 is the best of those measured all the same."""
    study = made_study(sizes=sizes)
    figures = figures_of(study)
    reasons = recommendation(study, figures, claim_table(study, figures)).reasons

    assert any("look beyond it" in reason for reason in reasons) is beyond


def test_nothing_is_recommended_where_nothing_reached_the_target() -> None:
    """The best loss is told, and a target that can be reached."""
    study = dataclasses.replace(made_study(), target=0.01)
    figures = figures_of(study)
    claims = claim_table(study, figures)
    advice = recommendation(study, figures, claims)

    assert advice.sentence.startswith("none")
    assert "--target=0.205" in advice.reasons[0]
    assert {claim.standing for claim in claims if "converge slowly" in claim.claim} == {Standing.CANNOT_TELL}
    assert {claim.settles for claim in claims if "converge slowly" in claim.claim} == {TO_REACH}
    assert "lowest loss 0.195" in next(claim for claim in claims if "(in steps)" in claim.claim).figures[1]


def test_a_target_that_was_nearly_reached_is_told_from_the_lowest_loss() -> None:
    """In more digits than losses have elsewhere: else both would read the same."""
    study = dataclasses.replace(made_study(), target=0.19497)
    figures = figures_of(study)

    assert "loss was 0.19498, and the target 0.19497: " in recommendation(study, figures, ()).reasons[0]
