"""How large a batch fits, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import reported

from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.records import Outcome, Record
from pytest_sdbatch.report.answer import answer_sentences
from pytest_sdbatch.report.capacity import capacity, fits_within, predicted

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB, MIB = 2**30, 2**20


def measured(maker: Maker, sizes: Sequence[int], *, limit_gib: float, wobble: float = 0.0) -> list[Record]:
    """Return records of a pipeline of 4 GiB that takes 1 GiB an image, every other one *wobble* GiB more."""
    return [
        maker.record(
            size,
            rounds=maker.rounds([1.0 * size] * 5, peak_bytes=round((4 + size + wobble * (index % 2)) * GIB)),
            memory_round=maker.memory_round(limit_bytes=round(limit_gib * GIB), unreleasable_bytes=0),
        )
        for index, size in enumerate(sizes)
    ]


def growing(maker: Maker, image_mib: float, *, limit_gib: float) -> list[Record]:
    """Return records of a pipeline of 4 GiB that takes *image_mib* an image, measured up to 16."""
    return [
        maker.record(
            size,
            rounds=maker.rounds([1.0 * size] * 5, peak_bytes=round((4096 + size * image_mib) * MIB)),
            memory_round=maker.memory_round(limit_bytes=round(limit_gib * GIB), unreleasable_bytes=0),
        )
        for size in (1, 2, 4, 8, 16)
    ]


def test_beyond_the_largest_measured_size_one_is_predicted_with_its_interval(sd15: Maker) -> None:
    """The interval is that of the lines."""
    records = measured(sd15, (1, 2, 4, 8, 16), limit_gib=45.5, wobble=0.1)

    assert capacity(records) == "at least 16 fit, about 41 (40 or more) would in the 45.5 GiB there were"


def test_the_answer_of_a_sweep_ends_with_it(sd15: Maker) -> None:
    """Where memory is known, and not where it is not."""
    (known,) = answer_sentences(measured(sd15, (1, 4, 8), limit_gib=20.2))
    (unknown,) = answer_sentences([sd15.record(size, call_s=size) for size in (1, 4, 8)])

    assert known.endswith("; at least 8 fit, about 16 would in the 20.2 GiB there were")
    assert "fit" not in unknown


@pytest.mark.parametrize(("outcome", "limit"), [(Outcome.OOM, 13.5), (Outcome.SKIPPED, 13.5)])
def test_the_largest_that_fits_is_named_where_a_larger_one_does_not(
    sd15: Maker, outcome: Outcome, limit: float
) -> None:
    """Because it ran out of memory, or because it is predicted to: only what ran is called the largest."""
    records = [*measured(sd15, (1, 2, 4, 8), limit_gib=limit), sd15.ended(16, outcome, "why")]

    assert capacity(records).startswith("8 is the largest measured that fits, about ")


def test_a_prediction_that_did_not_come_true_is_named_as_one(sd15: Maker) -> None:
    """Who reads that 16 ran out of memory is not told that 36 would fit."""
    records = [*measured(sd15, (1, 2, 4, 8), limit_gib=40.0), sd15.ended(16, Outcome.OOM, "why")]

    assert capacity(records) == (
        "8 is the largest measured that fits; 16 did not, though about 36 (35 or more) were predicted to"
        " in the 40.0 GiB there were"
    )


def test_a_size_that_was_skipped_for_another_reason_is_no_end(sd15: Maker) -> None:
    """A limit on latency says nothing of memory."""
    records = [*measured(sd15, (1, 2, 4, 8), limit_gib=44.5), sd15.ended(16, Outcome.SKIPPED, "latency")]

    assert capacity(records).startswith("at least 8 fit, about 40")


def test_the_stage_that_runs_out_first_is_named(sd15: Maker) -> None:
    """The VAE overtakes at 3 images, so that it and not the denoiser ends the ladder."""
    records = [
        replace(
            one,
            memory_round=replace(
                one.memory_round,
                stage_peak_bytes={
                    "denoiser": (3 + one.case.batch_size) * GIB,
                    "vae_decode": 2 * one.case.batch_size * GIB,
                },
            ),
        )
        for one in measured(sd15, (1, 2, 4), limit_gib=20.5)
        if one.memory_round is not None
    ]

    assert capacity(records) == "at least 4 fit, about 10 would in the 20.5 GiB there were, vae_decode runs out first"


@pytest.mark.parametrize(
    ("image_mib", "limit_gib", "said"),
    [
        (1.5, 16.5, "at least 16 fit, more than 128 would in the 16.5 GiB there were"),
        (0.01, 16.5, "at least 16 fit; memory does not measurably grow with the batch up to 16: no limit in sight"),
        (40.0, 8.7, "at least 16 fit, about 120 (110 or more) would in the 8.70 GiB there were"),
    ],
    ids=["far away", "flat", "near"],
)
def test_nothing_is_predicted_beyond_what_was_shown_to_hold(
    sd15: Maker, image_mib: float, limit_gib: float, said: str
) -> None:
    """No farther than 8 times what ran, with two digits; memory that scatters more than it grows has no end."""
    records = growing(sd15, image_mib, limit_gib=limit_gib)

    assert capacity(records) == said


@pytest.mark.parametrize(
    ("image_mib", "said"),
    [
        (1.5, "with 24.0 GiB: more than 128 of {} fit, a prediction"),
        (0.01, "with 24.0 GiB: memory of {} does not measurably grow with the batch up to 16: no limit in sight"),
    ],
)
def test_memory_that_was_asked_for_has_the_same_bounds(sd15: Maker, image_mib: float, said: str) -> None:
    """Nobody is told of 1679969 images for another card; where even one does not fit that is told first."""
    records = growing(sd15, image_mib, limit_gib=16.5)

    assert fits_within(records, 24 * GIB) == [said.format(records[0].case.group_id)]
    assert "not one image" in fits_within(records, GIB)[0]


@pytest.mark.parametrize(
    ("low", "estimate", "high", "said"),
    [
        (36, 41, 44, "about 41 (36 to 44)"),
        (90, 104, None, "about 100 (90 or more)"),
        (115, 126, 140, "about 130 (110 or more)"),
        (115, 140, 190, "110 or more"),
        (129, 140, 190, "more than 128"),
        (9, 140, None, ""),
        (None, None, None, "more than 128"),
    ],
)
def test_an_interval_ends_where_it_was_shown_to_hold(
    low: int | None, estimate: int | None, high: int | None, said: str
) -> None:
    """An estimate beyond that is told by its lower end, if that says more than what ran."""
    assert predicted(Largest(estimate=estimate, low=low, high=high), 16) == said


def test_what_fits_of_a_tiny_model_is_told_as_of_any(sd15: Maker) -> None:
    """Memory is measured, and no recommendation: the sentence stands on the screen as on the page."""
    said = answer_sentences(growing(sd15.group(model="tiny-sd"), 1.5, limit_gib=16.5))

    assert said[0].endswith(": at least 16 fit, more than 128 would in the 16.5 GiB there were")
    assert "for trying the tool" in said[-1]


def test_memory_that_does_not_grow_evenly_yet_asks_for_one_more_size(sd15: Maker) -> None:
    """The slope from 1 to 2 is another than from 2 to 4: nothing is predicted, unless a limit is too near to try.

    Of a model that is for trying the tool nobody needs to know.
    """
    bent = {1: 5, 2: 6, 4: 10}  # GiB

    def records(limit_gib: float, maker: Maker = sd15) -> list[Record]:
        found = measured(maker, (1, 2, 4), limit_gib=limit_gib)
        return [replace(one, rounds=sd15.rounds([1.0], peak_bytes=bent[one.case.batch_size] * GIB)) for one in found]

    assert capacity(records(80)) == (
        "at least 4 fit; measure 8 as well to learn where memory ends: so far it does not grow evenly"
    )
    assert capacity(records(17)) == ""
    assert capacity(records(80, sd15.group(model="tiny-sd"))) == ""
    assert capacity(records(80)[:2]) == ""


def test_where_nothing_larger_would_fit_there_is_nothing_to_add(sd15: Maker) -> None:
    """The largest measured size is the end."""
    records = measured(sd15, (1, 2, 4, 8), limit_gib=12.9)

    assert capacity(records) == ""
    assert capacity([*records, sd15.ended(16, Outcome.OOM, "why")]) == "8 is the largest measured that fits"


def test_where_nothing_ran_there_is_no_answer(sd15: Maker) -> None:
    """Not one size."""
    assert capacity([sd15.ended(1, Outcome.OOM, "why")]) == ""


def test_a_limit_that_was_never_there_is_predicted_for() -> None:
    """Another card, in numbers: with an interval where two slopes agree, and a prediction all the same."""
    sizes = [reported.record(size) for size in (1, 2, 4, 8, 16)]

    said = "with 24.0 GiB: about 24 (22 or more) of sd15-random-bf16-512x512-s20 fit, a prediction"
    assert fits_within(sizes, 24 * 2**30) == [said]
    assert "not one image" in fits_within(sizes, 2**30)[0]
    assert "needs a batch size more" in fits_within(sizes[:2], 24 * 2**30)[0]
    assert "needs three batch sizes that ended well" in fits_within(sizes[:1], 24 * 2**30)[0]
    unknown = [replace(one, memory_round=None, memory_source=None) for one in sizes]
    assert fits_within(unknown, 24 * 2**30)[0].endswith("because its memory is not known")


def test_no_fewer_than_ran_are_predicted_to_fit_surely() -> None:
    """Where `auto` ends, what the margin leaves is often below the last size that ran."""
    sizes = []
    for size in (1, 2, 4, 8, 16):
        made = reported.memory_round(size, 1.0, limit_gib=17.8)
        kept = replace(made, unreleasable_bytes=int(0.15 * (2.4 + 0.9 * size) * GIB))
        sizes.append(reported.record(size, memory_round=kept))

    assert capacity(sizes) == (
        "at least 16 fit, about 17 (16 or more) would in the 17.8 GiB there were, vae_decode runs out first"
    )


@pytest.mark.parametrize(
    ("largest", "said"),
    [
        (Largest(estimate=500), "perhaps more than 128"),
        (Largest(estimate=500, low=200), "more than 128"),
        (Largest(estimate=500, low=60), "60 or more"),
        (Largest(estimate=None), "more than 128"),
        (Largest(estimate=40), "about 40"),
        (Largest(estimate=40, low=0), "about 40"),
    ],
)
def test_a_margin_that_is_not_known_makes_nothing_surer(largest: Largest, said: str) -> None:
    """Far away the likeliest figure alone is no more than likely."""
    assert predicted(largest, 16) == said
