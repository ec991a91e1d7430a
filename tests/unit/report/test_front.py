"""What is worth choosing from, over latency, throughput, memory, energy and cost at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.splits import Call, plan_splits
from pytest_sdbatch.records import Outcome, Record
from pytest_sdbatch.report import answer
from pytest_sdbatch.report.answer import answer_sentences, plan_table
from pytest_sdbatch.report.front import Front, front_of_rows, front_of_splits
from pytest_sdbatch.report.measured import of_records
from pytest_sdbatch.report.splits import Question
from pytest_sdbatch.report.table import rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30
SCATTER = (0.98, 0.99, 1.0, 1.01, 1.02)


def record(maker: Maker, size: int, *, call_s: float, peak_gib: float = 4.0, joules: float | None = None) -> Record:
    """Return a sound record whose rounds differ by some percent."""
    rounds = maker.rounds([call_s * part for part in SCATTER], peak_bytes=round(peak_gib * GIB))
    energy = [None if joules is None else joules * size * part for part in SCATTER]
    return maker.record(
        size, rounds=tuple(replace(one, energy_joules=each) for one, each in zip(rounds, energy, strict=True))
    )


def front(records: list[Record], price_per_s: float | None = None) -> Front[str]:
    """Return the front of records of one work; ids are cut to what differs."""
    measured = of_records(records)
    return front_of_rows(rows(measured.records.values()), measured, price_per_s=price_per_s)


def test_a_size_that_is_beaten_in_everything_goes(sd15: Maker) -> None:
    """16 makes fewer images/s than 8, later, in more memory; 1 and 8 each have something for them."""
    records = [
        record(sd15, 1, call_s=0.5, peak_gib=4),
        record(sd15, 8, call_s=2.0, peak_gib=6),
        record(sd15, 16, call_s=6.0, peak_gib=9),
    ]

    found = front(records)

    assert [case.rpartition("-")[2] for case in found.best] == ["b1x1", "b8x1"]
    assert [case.rpartition("-")[2] for case in found.beaten] == ["b16x1"]


def test_of_one_variant_the_answer_has_said_it(sd15: Maker) -> None:
    """A size that is beaten is larger and slower than the best, which is named."""
    records = [record(sd15, size, call_s=seconds) for size, seconds in ((1, 0.5), (8, 2.0), (16, 6.0))]

    assert not any("worth choosing" in sentence for sentence in answer_sentences(records))


def test_what_differs_by_less_than_the_noise_beats_nobody(sd15: Maker) -> None:
    """1 % slower in rounds that differ by 2 %, and half a MiB more."""
    eager, other = sd15, sd15.group(variant="channels-last")

    assert front([record(eager, 1, call_s=1.0), record(other, 1, call_s=1.01, peak_gib=4.0005)]).beaten == ()
    assert len(front([record(eager, 1, call_s=1.0), record(other, 1, call_s=1.2)]).beaten) == 1


def test_one_round_tells_no_noise_and_beats_nobody(sd15: Maker) -> None:
    """Of a single reading nothing is sure."""
    single = [replace(record(sd15, size, call_s=size * size), rounds=sd15.rounds([size**2])) for size in (1, 4)]

    assert front(single).beaten == ()


def test_energy_counts_where_every_row_has_it(sd15: Maker) -> None:
    """What takes less of it is worth choosing though it is slower; a figure that one row lacks is compared of none."""
    slow = sd15.group(variant="vae-tiling")
    both = [record(sd15, 1, call_s=1.0, joules=90.0), record(slow, 1, call_s=1.5, joules=60.0)]
    one = [record(sd15, 1, call_s=1.0, joules=90.0), record(slow, 1, call_s=1.5)]

    assert front(both).beaten == ()
    assert front(both).figures == ("time per call", "time per image", "peak memory", "energy")
    assert len(front(one).beaten) == 1
    assert front(one, price_per_s=0.001).figures == ("time per call", "time per image", "peak memory", "cost")


def test_what_is_worth_choosing_from_is_told_over_variants(sd15: Maker) -> None:
    """Slicing saves memory at 8, is no use at 1, and tiling has no use at all."""
    sliced, tiled = sd15.group(variant="vae-slicing"), sd15.group(variant="vae-tiling")
    records = [
        record(sd15, 1, call_s=0.5, peak_gib=4),
        record(sd15, 8, call_s=2.0, peak_gib=8),
        record(sliced, 1, call_s=0.6, peak_gib=4),
        record(sliced, 8, call_s=2.2, peak_gib=5),
        record(tiled, 1, call_s=0.9, peak_gib=4),
        record(tiled, 8, call_s=3.0, peak_gib=5),
    ]

    sentences = answer_sentences(records)

    assert len(sentences) == 4
    assert sentences[-1] == (
        "sd15-random 512x512-s20, worth choosing from by time per call, time per image and peak memory:"
        " bf16 eager b1x1, b8x1; bf16 vae-slicing b8x1"
    )


def test_works_that_are_not_the_same_are_not_weighed_against_each_other(sd15: Maker) -> None:
    """An image of 20 steps is none of 4, and each test is a program of its own."""
    slow = [record(sd15, 1, call_s=5.0), record(sd15, 8, call_s=20.0)]
    fast = [record(sd15.group(steps=4), 1, call_s=1.0), record(sd15.group(steps=4), 8, call_s=4.0)]
    other = [replace(one, test="other.py::test_app") for one in fast]

    for records in ([*slow, *fast], [*slow, *other]):
        assert not any("worth choosing" in sentence for sentence in answer_sentences(records))


def test_tiny_models_and_what_does_not_answer_are_left_out(sd15: Maker) -> None:
    """Nothing is concluded from them."""
    tiny = sd15.group(model="tiny-sd")
    records = [record(tiny, 1, call_s=1.0), record(tiny.group(variant="vae-tiling"), 1, call_s=2.0)]
    failed = replace(record(sd15, 1, call_s=0.1), outcome=Outcome.INVALID_OUTPUT)

    assert len(answer_sentences([*records, record(tiny, 2, call_s=1.0)])) == 1
    assert front([failed, record(sd15, 2, call_s=2.0)]).best == (record(sd15, 2, call_s=1.0).case.id,)
    assert front([]) == Front(figures=front([failed]).figures, best=(), beaten=())


def test_a_split_that_is_beaten_is_marked(sd15: Maker) -> None:
    """16x1 takes longer than 8x2, answers later, and needs more memory."""
    records = [record(sd15, size, call_s=0.1 + 0.2 * size, peak_gib=4 + size / 8) for size in (1, 2, 4, 8)]
    records.append(record(sd15, 16, call_s=4.5, peak_gib=7))

    lines = plan_table(records, Question(images=16), width=120, color=False).splitlines()

    assert [line.split()[0] for line in lines if line.endswith("beaten")] == ["16x1"]
    assert lines[-1] == "beaten: another split is no worse in any figure, and better in one beyond the noise"


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(0, 0.2), st.floats(1e9, 1e11)), min_size=1, max_size=6))
def test_a_split_is_beaten_by_one_that_is_not(figures: list[tuple[float, float, float]]) -> None:
    """What goes has one that stays instead, and the fastest stays."""
    calls = {
        2**number: Call(
            seconds=seconds, low_s=seconds * (1 - part), high_s=seconds * (1 + part), peak_bytes=peak, measured=True
        )
        for number, (seconds, part, peak) in enumerate(figures)
    }
    splits = plan_splits(32, calls)

    found = front_of_splits(splits, splits)

    assert set(found.best) | set(found.beaten) == set(splits)
    assert min(split.low_s or 0.0 for split in splits) == min(split.low_s or 0.0 for split in found.best)
    for split in found.beaten:
        assert any((other.high_s or 0) <= (split.high_s or 0) for other in found.best)


@pytest.mark.parametrize("cold", [False, True])
def test_a_split_whose_remainder_is_not_known_is_neither(cold: bool, sd15: Maker) -> None:
    """Predicted splits are shown and not judged."""
    records = [record(sd15, size, call_s=0.1 + 0.2 * size, peak_gib=4 + size / 8) for size in (1, 5, 10)]

    lines = plan_table(records, Question(images=10, cold=cold), width=120, color=False).splitlines()

    assert not any("predicted, " in line for line in lines)


def test_of_very_many_choices_no_list_is_told(sd15: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would be compared with each, and nobody reads it: ten thousand took minutes."""
    tiled = sd15.group(variant="vae-tiling")
    records = [record(sd15, 1, call_s=0.5), record(sd15, 8, call_s=2.0), record(tiled, 1, call_s=0.9)]
    assert "worth choosing from" in answer_sentences(records)[-1]

    monkeypatch.setattr(answer, "_MOST_CHOICES", 2)

    assert "worth choosing from" not in " ".join(answer_sentences(records))
