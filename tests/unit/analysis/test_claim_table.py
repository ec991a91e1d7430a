"""The table of claims: complete, in order, and never sure of what was not measured fairly."""

from __future__ import annotations

import dataclasses

import pytest
from studies import TARGET, made_noise, made_run, made_study

from pytest_sdbatch.analysis.claim_table import claim_table, measured_on
from pytest_sdbatch.analysis.claims import TO_REACH, Claim, Key, Standing
from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, Quality, RatePolicy, Study, TrainingRun, TunedRate
from pytest_sdbatch.analysis.noise_scale import NoiseScale, NoiseSplit
from pytest_sdbatch.analysis.recommendation import recommendation
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import figures_of
from pytest_sdbatch.records import Reading

ORDER = [  # as the claims are made, one after another
    ("Understanding batch size", "more often"),
    ("Understanding batch size", "efficiently"),
    ("Understanding batch size", "noisy"),
    ("Understanding batch size", "examples"),
    ("Understanding batch size", "steps"),
    ("Understanding batch size", "seconds"),
    ("Understanding batch size", "unstably"),
    ("Understanding batch size", "generalize"),
    ("Understanding batch size", "small patterns"),
    ("The impact of batch count", "more updates"),
    ("The impact of batch count", "how stable"),
    ("The impact of batch count", "accurate"),
    ("The impact of batch count", "longer"),
    ("The impact of batch count", "two things"),
    ("Finding the right balance", "raise both"),
    ("Finding the right balance", "validation accuracy"),
    ("Finding the right balance", "Small or highly varied"),
    ("Finding the right balance", "Large data"),
]


def table(study: Study) -> dict[str, Claim]:
    """Return the claims of *study* by the word that tells them."""
    claims = claim_table(study, figures_of(study))
    return {word: claim for (_, word), claim in zip(ORDER, claims, strict=True)}


def test_the_table_is_complete_and_in_order() -> None:
    """Every claim, with a verdict, a sentence, and what would settle it."""
    study = made_study()
    claims = claim_table(study, figures_of(study))

    assert [claim.key for claim in claims] == list(Key), "each once"
    assert [claim.heading for claim in claims] == [heading for heading, _ in ORDER]
    for (_, word), claim in zip(ORDER, claims, strict=True):
        assert word in claim.claim
        assert claim.sentence.endswith(".")
        assert claim.settles
        assert claim.figures


def test_known_runs_give_the_verdicts_that_they_were_made_for() -> None:
    """Small batches: more steps, fewer examples, more seconds than the best; large ones: more examples a second."""
    standings = {word: claim.standing for word, claim in table(made_study()).items()}

    assert standings["noisy"] is Standing.SUPPORTED
    assert standings["examples"] is Standing.NOT_SUPPORTED
    assert standings["steps"] is Standing.SUPPORTED
    assert standings["seconds"] is Standing.SUPPORTED
    assert standings["efficiently"] is Standing.SUPPORTED
    assert standings["generalize"] is Standing.NOT_SUPPORTED
    assert standings["more updates"] is Standing.SUPPORTED
    assert standings["accurate"] is Standing.SUPPORTED
    assert standings["two things"] is Standing.NOT_SUPPORTED
    assert standings["raise both"] is Standing.NOT_SUPPORTED
    assert standings["more often"] is Standing.SUPPORTED
    assert standings["how stable"] is Standing.NOT_SUPPORTED, "short epochs were made to jump as much"
    assert standings["validation accuracy"] is Standing.CANNOT_TELL, "all sizes were made to be as accurate"


@pytest.mark.parametrize("policy", [RatePolicy.FIXED, RatePolicy.SQRT, RatePolicy.LINEAR])
def test_untuned_rates_say_nothing_of_large_batches(policy: RatePolicy) -> None:
    """An untuned rate makes them look bad; the verdict is open, and names what would settle it."""
    claims = table(made_study(policy=policy))

    for word in ("examples", "steps", "seconds", "generalize", "small patterns", "raise both", "validation accuracy"):
        assert claims[word].standing is Standing.CANNOT_TELL, word
    assert "--tune" in claims["generalize"].settles
    assert claims["efficiently"].standing is Standing.SUPPORTED, "a rate changes no speed"


def test_a_ramp_is_said_to_beat_the_sizes_that_it_surely_beat() -> None:
    """Every one, or the best one where another is not told apart from it."""
    study = made_study(ramp=2500.0)
    rough = tuple(  # of a large batch the seeds scatter so much that its mean, twice as long, proves nothing
        made_run(256, run.seed, examples=5000.0 * 12**run.seed)
        if run.part is Part.TABLE and run.batch_size == 256
        else run
        for run in study.runs
    )

    assert "sooner than every constant size, 64 included" in table(study)["raise both"].sentence
    claim = table(dataclasses.replace(study, runs=rough))["raise both"]
    assert claim.standing is Standing.SUPPORTED
    assert claim.sentence == "The ramp reached the loss sooner than the best constant size, 64."


def test_a_study_of_nothing_but_a_table_has_every_row() -> None:
    """Runs that are missing are told as missing."""
    study = made_study()
    bare = dataclasses.replace(study, runs=study.of(Part.TABLE), noise=(), split=None)
    claims = table(bare)

    for word in ("noisy", "accurate", "longer", "two things", "raise both", "Small or highly varied"):
        assert claims[word].standing is Standing.CANNOT_TELL, word


def test_where_the_target_was_not_reached_no_seeds_are_asked_for() -> None:
    """They would not reach it either; that there is a ramp is known."""
    claims = table(dataclasses.replace(made_study(seeds=(0,)), target=0.01))

    assert claims["examples"].sentence.endswith("is not decided: too few of their runs reached the target.")
    assert claims["raise both"].sentence.startswith("No constant size reached the target in all its runs: ")
    assert {claims[word].settles for word in ("examples", "seconds", "raise both", "validation accuracy")} == {TO_REACH}
    assert "--seeds" in table(made_study(seeds=(0,)))["examples"].settles, "it was reached, by one seed"


def test_gradients_that_do_not_stand_out_are_lower_limits() -> None:
    """A noise scale without an estimate still says that small batches are noisy."""
    reading = made_noise()
    limit = NoiseScale(size=Bounds(estimate=None, low=400.0), batches=32, batch_size=8)
    study = dataclasses.replace(made_study(), noise=(dataclasses.replace(reading, plain=limit),) * 6)
    claim = table(study)["noisy"]

    assert claim.standing is Standing.SUPPORTED
    assert "at least 400" in claim.figures[0]


def test_a_batch_that_is_no_multiple_is_as_many_times_larger() -> None:
    """100 over 64 is 1.56 times, not once."""
    study = dataclasses.replace(made_study(sizes=(64, 100)), noise=(made_noise(400.0),) * 6)
    claim = table(study)["noisy"]

    assert claim.standing is Standing.SUPPORTED
    assert "in a batch of 100 it is 1.56 times smaller" in claim.sentence


def test_looks_that_told_nothing_are_not_listed() -> None:
    """As many are listed as are counted."""
    nothing = dataclasses.replace(made_noise(), plain=NoiseScale(size=Bounds(estimate=None), batches=32, batch_size=8))
    study = dataclasses.replace(made_study(), noise=(made_noise(), nothing, made_noise(examples=500)))
    figure = table(study)["noisy"].figures[0]

    assert figure.startswith("noise scale of 2 looks")
    assert figure.count("examples") == 2


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"device_kind": "cpu", "threads": 1}, True),
        ({"device_kind": "cpu", "threads": 8, "clock": "wall"}, False),
        ({"device_kind": "cuda"}, False),
    ],
)
def test_what_reading_noise_took_is_a_share_of_seconds_of_its_kind(
    facts: dict[str, str | int | float | None], told: bool
) -> None:
    """CPU seconds are no share of wall seconds."""
    figures = table(made_study(facts=facts))["noisy"].figures

    assert any("reading it took" in figure for figure in figures) is told


def test_divergence_is_counted_and_the_largest_stable_rate_told() -> None:
    """Instability has three faces: jumps, runs that end, and rates that cannot be used."""
    rates = tuple(
        TunedRate(batch_size=size, rate=1e-3, interior=True, tried=((1e-3, 100.0), (2e-3, None)), largest_stable=1e-3)
        for size in (16, 256)
    )
    study = made_study(tuned=True, rates=rates)
    first, *rest = study.runs
    study = dataclasses.replace(study, runs=(dataclasses.replace(first, end=End.DIVERGED), *rest))
    text = " ".join(table(study)["unstably"].figures)

    assert "16: 1 of 3 runs diverged" in text
    assert "did not diverge: 16: 0.001, 256: 0.001" in text


def test_parts_of_the_data_are_compared_where_they_were_learned() -> None:
    """The critical batch size of each stands beside that of all."""
    more = tuple(
        made_run(size, seed, part=Part.SUBSET, data=name, examples=2000 + 40 * size)
        for name in ("small", "one-class")
        for size in (16, 64, 256)
        for seed in (0, 1, 2)
    )
    text = " ".join(table(made_study(tuned=True, more=more))["Small or highly varied"].figures)

    assert "critical batch size of one class: 50" in text
    assert "critical batch size of all: 8" in text


def test_it_says_on_what_it_was_measured() -> None:
    """And that it shows how, not that it holds elsewhere."""
    text = measured_on(made_study())

    assert text.startswith("digits: 1,438 images of 8x8 to train on, 165 k parameters, A CPU, 1 thread")
    assert "not that it holds" in text
    assert made_study().target == TARGET


def with_accuracy(study: Study, by_size: dict[int, float]) -> Study:
    """Return *study* with networks whose images are as good as that, seeds hardly apart."""
    runs = tuple(
        dataclasses.replace(
            run,
            quality=Quality(
                accuracy=Reading(value=by_size[run.batch_size] + 0.001 * run.seed), frechet=Reading(value=1.0), images=9
            ),
        )
        for run in study.runs
    )
    return dataclasses.replace(study, runs=runs)


@pytest.mark.parametrize(
    ("accuracies", "standing", "said"),
    [
        ({16: 0.5, 64: 0.7, 256: 0.6}, Standing.SUPPORTED, "name one size, 64"),
        ({16: 0.5, 64: 0.6, 256: 0.8}, Standing.NOT_SUPPORTED, "64 reached the loss soonest, and 256 gave the better"),
    ],
)
def test_what_is_watched_names_one_size_or_several(accuracies: dict[int, float], standing: Standing, said: str) -> None:
    """Loss and convergence rate say 64; the images may say otherwise."""
    claim = table(with_accuracy(made_study(), accuracies))["validation accuracy"]

    assert claim.standing is standing
    assert said in claim.sentence


def test_a_rate_of_convergence_is_no_other_word_for_the_time_to_the_loss() -> None:
    """It is taken over one span of examples: a size that falls fast at first may be late at the target."""
    study = made_study()
    late = tuple(  # fast for most of its way, and slow at its end
        dataclasses.replace(
            run,
            evaluations=(
                run.evaluations[0],
                *(dataclasses.replace(e, held_out_loss=0.5 * e.held_out_loss + 0.1) for e in run.evaluations[1:-1]),
                dataclasses.replace(run.evaluations[-1], seconds=20 * run.evaluations[-1].seconds),
            ),
        )
        if run.part is Part.TABLE and run.batch_size == 256
        else run
        for run in study.runs
    )
    claim = table(dataclasses.replace(study, runs=late))["validation accuracy"]

    assert "soonest at the target: best at 64; convergence rate: best at 256" in claim.figures[0]
    assert "over the first 6,368 examples" in claim.figures[1]


def test_one_figure_alone_agrees_with_nothing() -> None:
    """Where neither a rate nor an accuracy is known no size is named by all."""
    study = made_study()
    first = dataclasses.replace(study.runs[0].evaluations[0], held_out_loss=0.19)  # it fell at no size
    runs = tuple(
        dataclasses.replace(run, quality=None, evaluations=(first, *run.evaluations[1:])) for run in study.runs
    )
    claim = table(dataclasses.replace(study, runs=runs))["validation accuracy"]

    assert claim.standing is Standing.CANNOT_TELL
    assert "convergence rate: not known; validation accuracy: not known" in claim.figures[0]


def test_a_size_of_which_nothing_was_timed_has_its_row() -> None:
    """All its runs diverged within their first steps: no rate is made up, and nothing fails."""
    study = made_study()
    runs = tuple(
        dataclasses.replace(run, end=End.DIVERGED, reason="no number", evaluations=run.evaluations[:1], quality=None)
        if run.part is Part.TABLE
        else run
        for run in study.runs
    )
    study = dataclasses.replace(study, runs=runs)
    claims = table(study)

    assert figures_of(study).rows[0].examples_per_s is None
    assert claims["efficiently"].standing is Standing.CANNOT_TELL
    assert "not known" in claims["efficiently"].figures[0]
    assert "none" in recommendation(study, figures_of(study), tuple(claims.values())).sentence


def test_one_seed_tells_no_spread() -> None:
    """A figure of 0 would be made up."""
    text = " ".join(table(made_study(seeds=(0,)))["unstably"].figures)

    assert "differ by an amount that one seed does not tell" in text
    assert "0 %" not in text


def test_images_are_not_said_to_be_of_a_target_that_was_missed() -> None:
    """They were made when the runs had ended."""
    study = made_study()
    reached, missed = table(study)["generalize"], table(dataclasses.replace(study, target=0.01))["generalize"]

    assert any("generated images at the target: " in figure for figure in reached.figures)
    assert not any("at the target" in figure for figure in missed.figures)
    assert any("generated images when runs had ended: " in figure for figure in missed.figures)


def test_a_share_lies_between_nothing_and_all() -> None:
    """An estimate of what is small comes out below 0 as often as not."""
    small, large = Bounds(estimate=-0.19, low=-0.7, high=0.38), Bounds(estimate=1.1, low=0.6, high=1.6)
    split = NoiseSplit(image=small, timestep=small, noise=large)
    text = " ".join(table(dataclasses.replace(made_study(), split=split))["noisy"].figures)

    assert "drawn noise 100 % [60, 100], timestep 0 % [0, 38], image 0 % [0, 38]" in text


def diverged(run: TrainingRun) -> TrainingRun:
    """Return *run* as if its first steps had been its last: what is known is a network that has learned nothing."""
    return dataclasses.replace(run, end=End.DIVERGED, reason="no number", evaluations=run.evaluations[:1], quality=None)


@pytest.mark.parametrize("part", [Part.COUNT, Part.TABLE])
def test_a_run_that_diverged_makes_no_count_as_good_as_another(part: Part) -> None:
    """Untrained networks are all alike: the others are compared, and where none is left nothing is said."""
    study = made_study()
    seeds: tuple[tuple[int, Standing, str], ...] = (
        (1, Standing.SUPPORTED, "times ["),
        (3, Standing.CANNOT_TELL, "not known"),
    )
    for count, standing, said in seeds:
        runs = tuple(
            diverged(run) if run.part is part and run.batch_size == 64 and run.seed < count else run
            for run in study.runs
        )
        claims = table(dataclasses.replace(study, runs=runs))

        assert claims["accurate"].standing is standing
        assert all(said in figure and " 1.00 times" not in figure for figure in claims["accurate"].figures[:1])
        assert (claims["two things"].standing is Standing.CANNOT_TELL) == (count == 3)
