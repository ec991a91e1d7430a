"""The sentence: which split is fastest, and what less costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.records import NO_PIPELINE, Outcome, Reading, Record
from pytest_sdbatch.report.answer import answer_sentences
from pytest_sdbatch.report.measured import of_records
from pytest_sdbatch.report.splits import Question
from pytest_sdbatch.report.table import rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GROUP = "sd15-random-bf16-512x512-s20"


def sweep(maker: Maker, **images_per_s: float) -> list[Record]:
    """Return sound records of batch count 1: ``sweep(maker, b1=0.5, b4=0.9)``."""
    return [maker.record(int(name[1:]), call_s=int(name[1:]) / rate) for name, rate in images_per_s.items()]


def test_the_best_split_the_sweet_spot_and_the_price_of_less(curve: list[Record]) -> None:
    """One sentence names the fastest split, what lies beyond it, the smaller size close to it, and its gain."""
    assert answer_sentences(curve) == [
        f"{GROUP}: fastest is batch size 8 at 2.31 images/s (batch size 16 ran out of memory);"
        " batch size 4 is within 5 % (2.24 images/s), costs 3.2 % more per image and answers 1.9 times sooner"
        "; the times lie on no line, so that only measured ones were compared"
        "; 8 is the largest measured that fits"
    ]


def test_the_largest_size_being_best_is_no_proof_that_it_is_the_best(sd15: Maker) -> None:
    """Where no larger size was tried, the sentence says so; where one was slower, there is nothing to say."""
    (open_end,) = answer_sentences(sweep(sd15, b1=1.0, b4=2.0))
    (peaked,) = answer_sentences(sweep(sd15, b1=1.0, b4=2.0, b8=1.9))

    assert "fastest is batch size 4 at 2.00 images/s (larger sizes were not tried);" in open_end
    assert "fastest is batch size 4 at 2.00 images/s; " in peaked


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.OOM, "(batch size 8 ran out of memory)"),
        (Outcome.TIMEOUT, "(batch size 8 ended as timeout)"),
        (Outcome.SPILLED, "(batch size 8 ended as spilled)"),
        (Outcome.OK, "(batch size 8 was measured in a test that skipped)"),
    ],
)
def test_what_ended_the_ladder_is_said(outcome: Outcome, words: str, sd15: Maker) -> None:
    """The sizes after it were skipped because of it, which is not news."""
    records = [
        *sweep(sd15, b1=1.0, b4=2.0),
        sd15.ended(8, outcome, "why"),
        sd15.ended(16, Outcome.SKIPPED, "because of 8"),
    ]

    assert words in answer_sentences(records)[0]


def test_without_a_smaller_size_in_reach_the_next_one_has_its_price(sd15: Maker) -> None:
    """Users who must answer sooner learn what it costs."""
    (sentence,) = answer_sentences(sweep(sd15, b1=1.0, b2=1.5, b4=2.0, b8=1.0))

    assert sentence == (
        f"{GROUP}: fastest is batch size 4 at 2.00 images/s; no smaller size is within 5 %:"
        " batch size 2 makes 25 % fewer images/s and answers 1.5 times sooner"
        "; the times lie on no line, so that only measured ones were compared"
    )


@pytest.mark.parametrize(
    ("seconds", "noise", "words"),
    [
        (
            {1: 1.0, 2: 1.3, 4: 2.5},
            0.15,
            "no smaller size is surely within 5 %: batch size 2 makes 3.8 % fewer images/s (up to 27 % by the curve of"
            " all sizes) and answers 1.9 times sooner",
        ),
        (
            {1: 1.02, 2: 2.05, 4: 4.05, 8: 7.75},
            0.02,
            "batch size 1 is within 5 % by the curve of all sizes (0.980 images/s), costs 5.3 % more per image",
        ),
    ],
)
def test_what_the_curve_decides_is_not_told_as_measured(
    seconds: dict[int, float], noise: float, words: str, sd15: Maker
) -> None:
    """The figures of two sizes say one thing and all sizes together another: then it is said which."""
    scatter = [1 + noise * part for part in (-2, -1, 0, 0, 1, 2)]
    records = [
        sd15.record(size, rounds=sd15.rounds([value * part for part in scatter])) for size, value in seconds.items()
    ]

    assert words in answer_sentences(records)[0]


def test_batching_that_gains_nothing_is_said(sd15: Maker) -> None:
    """Where batch size 1 is the fastest there is nothing smaller to name."""
    (sentence,) = answer_sentences(sweep(sd15, b1=1.0, b4=0.9))

    assert sentence == f"{GROUP}: fastest is batch size 1 at 1.00 images/s; larger batch sizes are no faster"


def test_the_share_is_the_users(curve: list[Record]) -> None:
    """With 2 % accepted batch size 4 is out of reach; with 30 % batch size 1 is in it."""
    assert "no smaller size is within 2 %" in answer_sentences(curve, Question(within=0.02))[0]
    assert "batch size 1 is within 31 %" in answer_sentences(curve, Question(within=0.31))[0]


def test_cases_that_split_one_number_of_images_are_answered_as_splits(sd15: Maker) -> None:
    """Whether a marker, a file or the command line asked for 16 images."""
    records = [
        sd15.record(1, 16, call_s=1.0),
        sd15.record(4, 4, call_s=2.0),
        sd15.record(16, 1, call_s=16 / 1.9),
    ]

    assert answer_sentences(records) == [
        f"{GROUP}: 16 images: 4x4, 8.00 s, 2.0 times as fast as 1x16; first image after 2.00 s"
    ]


def test_batch_counts_are_named_where_there_are_several(sd15: Maker) -> None:
    """The fastest is a case, not a size."""
    records = [sd15.record(1, 4, call_s=1.0), sd15.record(4, 2, call_s=2.0), sd15.record(4, 4, call_s=2.1)]

    assert "fastest is batch size 4 x count 2 at 2.00 images/s" in answer_sentences(records)[0]


def test_a_sweep_whose_curve_still_rises_says_what_is_not_tested(sd15: Maker) -> None:
    """Calls of 1 s and 0.1 s an image: batch size 16 would gain a quarter over 8."""
    records = [sd15.record(size, call_s=1 + 0.1 * size) for size in (1, 2, 4, 8)]

    (sentence,) = answer_sentences(records)

    assert "(at least: larger sizes should be faster yet, 16 is not tested)" in sentence
    assert "on no line" not in sentence


def test_a_floor_is_told_as_what_it_means(sd15: Maker) -> None:
    """Up to 3 images a call takes the same 0.71 s: the device waits for the CPU."""
    records = [sd15.record(size, call_s=max(0.71, 0.1 + 0.2 * size)) for size in (1, 2, 4, 8, 16)]

    (sentence,) = answer_sentences(records)

    assert sentence.endswith("; up to batch size 3 a larger batch is free: a call takes no longer")


def test_a_price_is_told_for_1000_images(sd15: Maker) -> None:
    """An image in half a second at 3.60 an hour."""
    records = [sd15.record(size, call_s=0.5 * size) for size in (1, 2, 4)]

    assert answer_sentences(records, Question(price_per_s=0.001))[0].endswith("; $0.500 per 1000 images")


def test_the_cost_of_a_sweep_says_that_no_cold_start_is_in_it(sd15: Maker) -> None:
    """Nobody said how many images would share it; with a number of images they do, and nothing is to be said."""
    records = [sd15.record(size, call_s=0.5 * size, cold_start_s=Reading(value=9.0)) for size in (1, 2, 4)]
    asked = Question(price_per_s=0.001, objective=Objective.COST)

    said = "$0.500 per 1000 images; without the cold start, which --sd-images=N shares among so many"
    assert answer_sentences(records, asked)[0].endswith(said)
    assert "cold start" not in answer_sentences(records, replace(asked, images=8))[0]


def test_latency_is_that_of_finished_images(sd15: Maker) -> None:
    """Tensors are not what a user waits for, which is said unless the case made PIL images."""
    asked = Question(objective=Objective.LATENCY)

    assert answer_sentences(sweep(sd15, b1=1.0, b4=2.0), asked)[0].endswith("-o sd_output_type=pil")
    assert "sd_output_type" not in answer_sentences(sweep(sd15.group(output_type="pil"), b1=1.0, b4=2.0), asked)[0]
    functions = [replace(one, stages=NO_PIPELINE) for one in sweep(sd15.group(model=None), b1=1.0, b4=2.0)]
    assert "sd_output_type" not in answer_sentences(functions, asked)[0]


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        (Objective.MEMORY, "least memory has batch size 4, 4.00 GiB at the peak and 2.00 images/s; no other is faster"),
        (
            Objective.LATENCY,
            "least latency has batch size 1, 1.00 s a call (median; at most 1.00 s in 5 rounds, too few for a 95 %"
            " quantile) and 1.00 images/s; fastest is batch size 4, 2.00 s a call and 2.00 images/s",
        ),
        (Objective.ENERGY, "no answer, because the energy of no row is known"),
        (Objective.COST, "fastest is batch size 4 at 2.00 images/s"),
    ],
)
def test_the_objective_decides_what_is_named(objective: Objective, words: str, sd15: Maker) -> None:
    """And the fastest stands beside it, as the price of it."""
    records = sweep(sd15, b1=1.0, b4=2.0)

    assert words in answer_sentences(records, Question(objective=objective))[0]


@pytest.mark.parametrize(
    ("rounds", "told"),
    [
        (5, "1.00 s a call (median; at most 1.20 s in 5 rounds, too few for a 95 % quantile) and 1.00 images/s"),
        (25, "1.00 s a call (median; at most 1.20 s in 25 rounds, 95 % within 1.14 s) and 1.00 images/s"),
    ],
)
def test_latency_is_told_by_its_median_and_the_longest_round(rounds: int, told: str, sd15: Maker) -> None:
    """And by a quantile where so many rounds tell it."""
    scattered = sd15.rounds([1.0] * (rounds - 1) + [1.2])
    records = [sd15.record(1, rounds=scattered), sd15.record(4, call_s=2.0)]

    (sentence,) = answer_sentences(records, Question(objective=Objective.LATENCY))

    assert f"least latency has batch size 1, {told}; fastest is batch size 4, 2.00 s a call and" in sentence


def test_latency_is_that_of_one_call(sd15: Maker) -> None:
    """Calls of a longer round overlap on a GPU, so that none of them was timed."""
    records = [sd15.record(1, 4, call_s=1.0), sd15.record(4, 1, call_s=2.0), sd15.record(8, 4, call_s=2.0)]
    asked = Question(objective=Objective.LATENCY)

    assert "least latency has batch size 4, 2.00 s" in answer_sentences(records, asked)[0]
    assert "no answer, because no row has batch count 1" in answer_sentences([records[0], records[2]], asked)[0]


def test_what_keeps_no_limit_still_tells_of_the_curve(sd15: Maker) -> None:
    """Two sizes keep the limit and are no curve; with the one that does not, 2 is as good as 4 is on it."""
    kept = [sd15.record(size, call_s=1 + 0.1 * size) for size in (1, 2)]
    over = sd15.record(4, call_s=1.4, outcome=Outcome.OVER_LIMIT, reason="1.40 s per call, at most 1.30 s")

    (sentence,) = answer_sentences([*kept, over])
    measured = of_records([*kept, over])

    assert len(measured.points_over_limit(rows(measured.records.values()))) == 1
    assert "fastest is batch size 2 at 1.67 images/s (batch size 4 ended as over-limit)" in sentence
    assert "batch size 4 is" not in sentence


def test_tiny_models_carry_no_recommendation(sd15: Maker) -> None:
    """They show that the tool works; one line says how to get an answer, however many groups there are."""
    tiny = sd15.group(model="tiny-sd")
    records = [*sweep(tiny, b1=1.0, b8=2.0), *sweep(tiny.group(steps=4), b1=1.0, b8=2.0)]

    assert answer_sentences(records) == ["tiny-sd is for trying the tool; use --sd-models=sd15 for an answer"]


def test_a_pipeline_of_the_users_own_gets_a_sentence(sd15: Maker) -> None:
    """Without a model in the id the sentence begins with the test that made it."""
    (sentence,) = answer_sentences(sweep(sd15.group(model=None), b1=1.0, b4=2.0))

    assert sentence.startswith("test_text_to_image bf16-512x512-s20: fastest is batch size 4")


def test_each_test_and_group_has_its_sentence(sd15: Maker) -> None:
    """Two tests over one grid are two curves; tests that share a name are told apart by their file."""
    one = sweep(sd15, b1=1.0, b4=2.0)
    others = [replace(record, test="other.py::test_app") for record in one]
    namesake = [replace(record, test="namesake.py::test_app") for record in one]

    beginnings = [s.partition(" fastest")[0] for s in answer_sentences([*one, *others])]
    assert beginnings == [f"test_text_to_image {GROUP}:", f"test_app {GROUP}:"]
    beginnings = [s.partition(" fastest")[0] for s in answer_sentences([*others, *namesake])]
    assert beginnings == [f"other.py::test_app {GROUP}:", f"namesake.py::test_app {GROUP}:"]


def test_one_batch_size_answers_nothing(sd15: Maker) -> None:
    """A group with a single measured size has no split to choose, even with two batch counts."""
    records = [sd15.record(4, 1), sd15.record(4, 2), sd15.ended(8, Outcome.OOM, "memory")]

    assert answer_sentences(records) == []


@pytest.mark.parametrize(
    "spoil",
    [{"test_outcome": "failed"}, {"outcome": Outcome.THROTTLED, "reason": "heat"}, {"outcome": Outcome.INVALID_OUTPUT}],
)
def test_only_sound_records_of_passed_tests_count(spoil: dict[str, object], sd15: Maker) -> None:
    """A size that was fast for a bad reason is not recommended."""
    records = sweep(sd15, b1=1.0, b4=2.0, b8=9.0)
    records[-1] = replace(records[-1], **spoil)  # type: ignore[arg-type]

    assert "fastest is batch size 4" in answer_sentences(records)[0]


def test_names_of_tests_cannot_speak_to_the_terminal(sd15: Maker) -> None:
    """The sentence is printed as it is, so it holds no control characters."""
    records = [
        replace(record, test="t.py::test_\x1b[31m\u202e") for record in sweep(sd15.group(model=None), b1=1.0, b4=2.0)
    ]

    assert answer_sentences(records)[0].isprintable()


def test_videos_are_answered_in_frames_per_second(sd15: Maker) -> None:
    """Both figures of the sentence have the unit, and so has what a smaller size loses."""
    wan = sd15.group(model="wan21-1.3b", frames=10)
    spot = answer_sentences([wan.record(1, call_s=1.0), wan.record(2, call_s=1.96)])
    loss = answer_sentences([wan.record(1, call_s=1.0), wan.record(2, call_s=1.0)])

    assert "10.2 frames/s" in spot[0]
    assert "(10.0 frames/s)" in spot[0]
    assert "50 % fewer frames/s" in loss[0]
    assert "images/s" not in spot[0] + loss[0]


def test_an_answer_from_rows_beside_something_else_is_not_to_be_relied_on(sd15: Maker) -> None:
    """As it is of rows whose rounds differ a lot."""
    quiet = sweep(sd15, b1=1.0, b4=2.0)
    beside = [quiet[0], replace(quiet[1], contention="2 threads had 1.3 of 2 cores free")]
    all_beside = [replace(one, contention="2 threads had 1.3 of 2 cores free") for one in quiet]

    assert "relied on" not in answer_sentences(quiet)[0]
    assert answer_sentences(beside)[0].endswith(
        "; some of its rows are not to be relied on: measure again on a quiet machine"
    )
    assert "; none of its rows is to be relied on: " in answer_sentences(all_beside)[0]


def test_the_first_of_videos_is_a_video(sd15: Maker) -> None:
    """As the table calls it."""
    wan = sd15.group(model="wan21-1.3b", frames=10)
    records = [wan.record(1, call_s=1.0), wan.record(2, call_s=1.5)]

    (sentence,) = answer_sentences(records, Question(objective=Objective.FIRST_IMAGE))

    assert "the first video comes soonest with batch size 1" in sentence


def test_an_application_that_makes_all_batches_is_not_told_what_to_return(sd15: Maker) -> None:
    """A web UI sends pictures; the output type of the case is not for it."""
    records = [replace(one, must_match={"count_inside": True}) for one in sweep(sd15.group(model=None), b1=1.0, b4=2.0)]

    (sentence,) = answer_sentences(records, Question(objective=Objective.LATENCY))

    assert "least latency has batch size 1" in sentence
    assert "sd_output_type" not in sentence
