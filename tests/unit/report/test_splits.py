"""The splits of N images: their table and the sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.analysis.sweet_spot import choose
from pytest_sdbatch.records import Outcome, Reading, Record
from pytest_sdbatch.report.answer import answer_sentences, plan_table
from pytest_sdbatch.report.measured import of_records
from pytest_sdbatch.report.splits import Question, plan_of
from pytest_sdbatch.report.table import rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30
GROUP = "sd15-random-bf16-512x512-s20"
SIXTEEN = Question(images=16)


def record(maker: Maker, size: int, count: int, *, call_s: float, peak_gib: float = 4.0, cold_s: float = 0.0) -> Record:
    """Return a sound record with a peak and a cold start of so much more than a call."""
    return maker.record(
        size,
        count,
        rounds=maker.rounds([call_s] * 5, count, peak_bytes=round(peak_gib * GIB)),
        cold_start_s=Reading(value=call_s + cold_s),
        load_s=Reading(value=2.0),
    )


@pytest.fixture
def splits(sd15: Maker) -> list[Record]:
    """Return the splits of 16 images; a call takes 0.1 s and an image 0.2 s, and 16 together are slower."""
    return [
        record(sd15, 1, 16, call_s=0.3, peak_gib=4.25, cold_s=1.0),
        record(sd15, 2, 8, call_s=0.5, peak_gib=4.5, cold_s=1.0),
        record(sd15, 4, 4, call_s=0.9, peak_gib=5.0, cold_s=1.0),
        record(sd15, 8, 2, call_s=1.7, peak_gib=6.0, cold_s=1.0),
        record(sd15, 16, 1, call_s=3.6, peak_gib=8.0, cold_s=1.0),
    ]


def table(records: list[Record], question: Question) -> list[list[str]]:
    """Return the words of each line of the table, after its header."""
    lines = plan_table(records, question, width=120, color=False).splitlines()
    rule = next(number for number, line in enumerate(lines) if line.startswith("─"))
    return [line.split() for line in lines[rule + 1 :]]


def test_an_application_that_counts_itself_gives_no_image_before_the_last(splits: list[Record]) -> None:
    """All come when its one call returns, so that the first is there when all are."""
    inside = [replace(one, must_match={"count_inside": True}) for one in splits]

    assert answer_sentences(inside, SIXTEEN)[0].endswith("; first image after 3.40 s")
    assert {row[1:3] == row[3:5] for row in table(inside, SIXTEEN) if "x" in row[0]} == {True}


def test_the_sentence_says_split_time_gain_memory_and_first_image(splits: list[Record]) -> None:
    """4x4 is within 5 % of 8x2, and what it gains is said against both ends."""
    question = replace(SIXTEEN, within=0.06)

    assert answer_sentences(splits, question) == [
        f"{GROUP}: 16 images: 4x4, 3.60 s, 33 % faster than 1x16, 5.9 % slower than 8x2, 3.00 GiB less than 16x1;"
        " first image after 900 ms"
    ]


def test_several_times_as_long_is_said_so(sd15: Maker) -> None:
    """Nobody has to turn a share above 100 percent over in the mind, in either direction."""
    made = [record(sd15, 1, 16, call_s=1.0), record(sd15, 4, 4, call_s=2.0), record(sd15, 16, 1, call_s=2.5)]
    first, soon = (replace(SIXTEEN, objective=aim) for aim in (Objective.THROUGHPUT, Objective.FIRST_IMAGE))

    assert "16x1, 2.50 s, 6.4 times as fast as 1x16" in answer_sentences(made, first)[0]
    assert "1x16, 16.0 s, takes 6.4 times as long as 16x1" in answer_sentences(made, soon)[0]


def test_a_price_shares_the_cold_start_among_the_images(splits: list[Record]) -> None:
    """2 s of loading, 1 s more for the first call and 3.4 s, at 3.60 an hour for 16 images: 40 cents for 1000."""
    (sentence,) = answer_sentences(splits, replace(SIXTEEN, price_per_s=0.001))

    assert "16 images: 8x2, 3.40 s" in sentence
    assert sentence.endswith("; $0.400 per 1000 images, incl. loading")


def test_a_cold_start_comes_before_the_first_image(splits: list[Record]) -> None:
    """Loading and the first call of its shape; beside them 4x4 is within 5 % of 8x2."""
    (sentence,) = answer_sentences(splits, replace(SIXTEEN, cold=True))

    assert "4x4, 6.60 s, 18 % faster than 1x16, 3.1 % slower than 8x2" in sentence
    assert "first image after 3.90 s" in sentence


def test_the_first_call_of_the_process_is_no_matter_of_the_split(sd15: Maker) -> None:
    """1x16 ran first and took 5 s longer for it; from a cold start each split would."""
    colds = {1: 5.0, 4: 0.0, 16: 0.1}
    records = [record(sd15, size, 16 // size, call_s=0.1 + 0.2 * size, cold_s=cold) for size, cold in colds.items()]

    firsts = {row[0]: row[3:5] for row in table(records, replace(SIXTEEN, cold=True))}

    assert firsts["1x16"] == ["7.30", "s"]
    assert firsts["4x4"] == ["7.90", "s"]


def test_what_costs_least_includes_the_start(sd15: Maker) -> None:
    """Compiling for 8 takes 60 s longer than for 4, which 16 images do not earn."""
    compiled = sd15.group(variant="compile")
    records = [record(compiled, 4, 4, call_s=0.9, cold_s=30.4), record(compiled, 8, 2, call_s=1.6, cold_s=90)]

    assert "16 images: 8x2" in answer_sentences(records, SIXTEEN)[0]
    (sentence,) = answer_sentences(records, replace(SIXTEEN, objective=Objective.COST, price_per_s=0.001))
    assert "16 images, for cost: 4x4, 3.60 s" in sentence
    assert sentence.endswith("; $2.25 per 1000 images, incl. loading")


def test_the_table_has_every_split(splits: list[Record]) -> None:
    """Measured ones with their figures, one of them recommended, and one that takes longer than it in more memory."""
    assert table(splits, SIXTEEN)[:-1] == [
        ["16", "images,", GROUP],
        ["1x16", "4.80", "s", "300", "ms", "4.25", "GiB", "measured"],
        ["2x8", "4.00", "s", "500", "ms", "4.50", "GiB", "measured"],
        ["4x4", "3.60", "s", "900", "ms", "5.00", "GiB", "measured"],
        ["8x2", "3.40", "s", "1.70", "s", "6.00", "GiB", "measured,", "recommended"],
        ["16x1", "3.60", "s", "3.60", "s", "8.00", "GiB", "measured,", "beaten"],
    ]


def test_sizes_that_were_not_measured_are_predicted_and_marked(sd15: Maker) -> None:
    """10 images with 1, 2, 5 and 10 measured: 4+4+2 and 8+2 come from the curve, and are never recommended."""
    sizes = ((1, 10), (2, 5), (5, 2), (10, 1))
    records = [record(sd15, size, count, call_s=0.1 + 0.2 * size, peak_gib=4 + size / 4) for size, count in sizes]

    rows = table(records, Question(images=10))

    assert ["4+4+2", "2.30", "s", "900", "ms", "5.00", "GiB", "predicted"] in rows
    assert ["8+2", "2.20", "s", "1.70", "s", "6.00", "GiB", "predicted"] in rows
    assert [row[0] for row in rows if row[-1] == "recommended"] == ["5x2"]


def test_what_is_predicted_from_a_row_that_is_not_to_be_relied_on_is_doubtful(sd15: Maker) -> None:
    """Wherever its size lies on the curve; a measured split only where its own row is."""
    sizes = ((1, 10), (2, 5), (5, 2), (10, 1))
    records = [record(sd15, size, count, call_s=0.1 + 0.2 * size, peak_gib=4 + size / 4) for size, count in sizes]
    records[3] = replace(records[3], contention="1 thread had 0.4 of 1 core free: something else was running")

    hows = {row[0]: " ".join(row[7:]) for row in table(records, Question(images=10))}

    assert hows["4+4+2"] == hows["8+2"] == "predicted, doubtful"
    assert hows["10x1"].endswith("doubtful")
    assert hows["2x5"] == "measured"


def test_a_predicted_peak_is_never_below_that_of_the_stages(sd15: Maker) -> None:
    """The VAE overtakes at 4: between 1 and 4 the line of the larger sizes would say too little."""
    peaks = {1: 4.0, 4: 4.5, 8: 6.5, 16: 10.5}
    records = [record(sd15, size, 16 // size, call_s=0.1 + 0.2 * size, peak_gib=peak) for size, peak in peaks.items()]

    (row,) = (row for row in table(records, Question(images=16)) if row[-1] == "predicted")

    assert row[0] == "2x8"
    assert row[5:7] == ["4.17", "GiB"]


@pytest.mark.parametrize("within", [0.0, 0.05, 0.3])
def test_the_sweet_spot_of_splits_is_that_of_a_sweep(within: float, sd15: Maker) -> None:
    """One definition: the size that a sweep calls its sweet spot is the one that the splits of 16 images recommend."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        half = float(random.uniform(0, 12))
        records = [
            sd15.record(size, 16 // size, rounds=sd15.rounds(((half + size) * noise).tolist(), 16 // size))
            for size, noise in zip((1, 2, 4, 8, 16), np.exp(0.03 * random.standard_normal((5, 6))), strict=True)
        ]
        measured = of_records(records)
        members = rows(measured.records.values())

        chosen = plan_of(members, measured, Question(images=16, within=within)).chosen

        assert chosen is not None
        assert chosen.batch_size == choose(measured.points(members), within=within).spot.batch_size


def test_a_remainder_that_was_measured_makes_a_measured_split(sd15: Maker) -> None:
    """10 images at 4, where the grid has 2 as well; 8+2 stays a prediction."""
    records = [record(sd15, 2, 5, call_s=0.5), record(sd15, 4, 2, call_s=0.7)]

    rows = table(records, Question(images=10))

    assert ["4+4+2", "1.90", "s", "700", "ms", "4.00", "GiB", "measured,", "recommended"] in rows


def test_a_compiled_remainder_is_padded(sd15: Maker) -> None:
    """Compiling for 2 images would take 30 s."""
    compiled = sd15.group(variant="compile")
    records = [record(compiled, 2, 5, call_s=0.5, cold_s=30.0), record(compiled, 4, 2, call_s=0.7, cold_s=30.0)]

    (sentence,) = answer_sentences(records, Question(images=10))

    assert "10 images: 4+4+4 (2 too many), 2.10 s" in sentence


def test_a_curve_that_does_not_hold_predicts_nothing(sd15: Maker) -> None:
    """A time that is off by 40 % says that others may be as well."""
    records = [record(sd15, 1, 10, call_s=1.0), record(sd15, 5, 2, call_s=1.0), record(sd15, 10, 1, call_s=6.0)]

    assert "predicted" not in {row[-1] for row in table(records, Question(images=10))}


def test_a_split_whose_last_call_is_not_known_says_how_to_have_it(sd15: Maker) -> None:
    """10 images at 4 leave 2, which did not run and cannot be read off two times that are far from a line."""
    records = [record(sd15, 1, 10, call_s=1.0), record(sd15, 3, 3, call_s=1.0), record(sd15, 4, 2, call_s=6.0)]

    lines = plan_table(records, Question(images=10), width=150, color=False).splitlines()

    assert [line.split()[0] for line in lines if line.startswith("  ")][1:] == ["1x10", "3+3+3+1"]
    assert lines[-1] == (
        "4 at a time is no split here: a last call of 2 was not measured, and the times lie on no curve that would "
        "tell; to have it, add 2 to the batch sizes"
    )


def test_each_objective_names_its_split(splits: list[Record]) -> None:
    """The smallest batch takes least memory and answers first; nothing is known of energy."""
    said = {
        objective: answer_sentences(splits, replace(SIXTEEN, objective=objective))[0].partition(": ")[2]
        for objective in (Objective.MEMORY, Objective.FIRST_IMAGE, Objective.ENERGY)
    }

    assert said[Objective.MEMORY].startswith("16 images, for memory: 1x16, 4.80 s, 41 % slower than 8x2")
    assert said[Objective.FIRST_IMAGE].startswith("16 images, for first-image: 1x16")
    assert said[Objective.ENERGY] == (
        "16 images: no split can be recommended: none that was measured has a figure of energy"
    )


def test_tiny_models_have_splits_and_no_recommendation(sd15: Maker) -> None:
    """Their table shows what the tool can say."""
    tiny = sd15.group(model="tiny-sd")
    records = [record(tiny, 1, 4, call_s=0.3), record(tiny, 2, 2, call_s=0.5), record(tiny, 4, 1, call_s=0.9)]

    assert all(row[-1] == "measured" for row in table(records, Question(images=4))[1:])
    assert answer_sentences(records, Question(images=4)) == [
        "tiny-sd is for trying the tool; use --sd-models=sd15 for an answer"
    ]


def test_what_was_not_sound_is_no_split(splits: list[Record], sd15: Maker) -> None:
    """A size that ran out of memory is neither measured nor read off the curve."""
    records = [*splits[:-1], sd15.ended(16, Outcome.OOM, "memory")]

    assert [row[0] for row in table(records, SIXTEEN)[1:]] == ["1x16", "2x8", "4x4", "8x2"]
    assert table(records, SIXTEEN)[-1][-1] == "recommended"


def test_one_split_that_fits_is_an_answer(sd15: Maker) -> None:
    """16 images were asked for, and there is one way to make them: nothing that it could be recommended over."""
    records = [record(sd15, 1, 16, call_s=0.3), sd15.ended(2, Outcome.OOM, "memory")]

    assert table(records, SIXTEEN)[-1][-1] == "measured"
    assert answer_sentences(records, SIXTEEN) == [
        f"{GROUP}: 16 images: 1x16, 4.80 s; first image after 300 ms; 1 is the largest measured that fits"
    ]


def test_videos_are_called_videos(sd15: Maker) -> None:
    """A video counts as one image."""
    wan = sd15.group(model="wan21-1.3b", frames=10)
    records = [record(wan, 1, 4, call_s=0.3), record(wan, 4, 1, call_s=0.9)]

    (sentence,) = answer_sentences(records, Question(images=4))

    assert "4 videos: 4x1, 900 ms" in sentence
    assert "first video after 900 ms" in sentence


def test_a_sweep_has_no_table_of_splits(curve: list[Record]) -> None:
    """Nobody asked for a number of images."""
    assert plan_table(curve, Question(), width=120, color=False) == ""


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.INVALID_OUTPUT, Outcome.OVER_LIMIT])
def test_a_size_that_was_tried_in_vain_is_not_predicted(outcome: Outcome, splits: list[Record], sd15: Maker) -> None:
    """The curve would give 2x8 a time, but 2 at a time do not work, or keep no limit."""
    records = [sd15.ended(2, outcome, "why") if one.case.batch_size == 2 else one for one in splits]

    assert [words[0] for words in table(records, SIXTEEN) if "x" in words[0]] == ["1x16", "4x4", "8x2", "16x1"]


def test_a_size_that_was_skipped_may_be_predicted(splits: list[Record], sd15: Maker) -> None:
    """Nobody knows that it would not work."""
    records = [sd15.ended(2, Outcome.SKIPPED, "why") if one.case.batch_size == 2 else one for one in splits]

    assert any(words[0] == "2x8" and words[-1] == "predicted" for words in table(records, SIXTEEN))


def test_where_each_split_has_a_call_that_did_not_run_it_is_said(sd15: Maker) -> None:
    """It is no matter of the objective: 3 images from a sweep of 4 and 8."""
    records = [sd15.record(size, call_s=1 + 0.1 * size) for size in (4, 8)]

    (sentence,) = answer_sentences(records, Question(images=3))

    assert sentence.endswith("3 images: no split can be recommended: each has a call that was not measured")


def test_splits_of_videos_are_headed_so(sd15: Maker) -> None:
    """What comes first is a video."""
    wan = sd15.group(model="wan21-1.3b", frames=10)
    records = [wan.record(size, call_s=1 + 0.1 * size) for size in (1, 2)]

    shown = plan_table(records, Question(images=2), width=120, color=False)

    assert "video" in shown.split("─")[0]
    assert "image" not in shown
