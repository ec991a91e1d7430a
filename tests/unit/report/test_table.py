"""Records to rows to cells: what each figure means, and what a reader is told about it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.analysis.contention import contended
from pytest_sdbatch.records import Compilation, Outcome, Reading, Record
from pytest_sdbatch.report.table import COLUMNS, cells, columns, numbered_notes, rows

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

MIB = 2**20


def test_seconds_per_call_is_the_trimmed_location_of_rounds_over_calls(sd15: Maker) -> None:
    """A round of two calls counts half its time per call, and one wild round does not show."""
    record = sd15.record(4, 2, rounds=sd15.rounds([1.0, 1.0, 1.0, 1.0, 9.0], batch_count=2))
    (row,) = rows([record])

    assert row.call_s == pytest.approx(1.0)
    assert row.images_per_s == pytest.approx(4.0)
    assert row.s_per_image == pytest.approx(0.25)
    assert row.rounds == 5


def test_the_interval_is_that_of_seconds_per_call(sd15: Maker) -> None:
    """Its limits enclose the estimate, in the same unit; the cell is the larger half in percent."""
    record = sd15.record(4, 2, rounds=sd15.rounds([0.98, 0.99, 1.0, 1.01, 1.02], batch_count=2))
    (row,) = rows([record])

    assert row.call_interval is not None
    assert row.call_interval.estimate == row.call_s
    assert row.call_interval.low < row.call_interval.estimate < row.call_interval.high
    shown = float(cells(row, {})["spread"].strip("±% "))
    assert shown == pytest.approx(100 * (row.call_interval.high / row.call_interval.estimate - 1), abs=0.05)


def test_rows_come_by_test_group_and_split(sd15: Maker) -> None:
    """Tests and groups keep the order of their first record, splits ascend, whatever order workers finished in."""
    sdxl = sd15.group(model="sdxl")
    records = [
        sd15.record(4, test="b"),
        sd15.record(1, test="a"),
        sdxl.record(1, test="b"),
        sd15.record(1, 2, test="b"),
        sd15.record(1, test="b"),
    ]

    assert [(row.test, row.case) for row in rows(records)] == [
        ("b", "sd15-random-bf16-512x512-s20-b1x1"),
        ("b", "sd15-random-bf16-512x512-s20-b1x2"),
        ("b", "sd15-random-bf16-512x512-s20-b4x1"),
        ("b", "sdxl-random-bf16-512x512-s20-b1x1"),
        ("a", "sd15-random-bf16-512x512-s20-b1x1"),
    ]


def test_against_one_compares_throughput_with_batch_size_1(sd15: Maker) -> None:
    """Eight images in 3.2 s against one in 0.8 s are twice the images per second."""
    one, eight = rows([sd15.record(1, call_s=0.8), sd15.record(8, call_s=3.2)])

    assert one.against_one_ratio == pytest.approx(1.0)
    assert eight.against_one_ratio == pytest.approx(2.0)


def test_against_one_prefers_the_same_batch_count(sd15: Maker) -> None:
    """A case of four calls is held against batch size 1 in four calls; without one, in the fewest calls."""
    table = rows(
        [
            sd15.record(1, 2, call_s=1.0),
            sd15.record(1, 4, call_s=2.0),
            sd15.record(8, 1, call_s=4.0),
            sd15.record(8, 4, call_s=4.0),
        ]
    )

    assert [row.against_one_ratio for row in table] == pytest.approx([1.0, 1.0, 2.0, 4.0])


@pytest.mark.parametrize("spoil", ["another test", "another group", "no batch size 1", "batch size 1 throttled"])
def test_against_one_is_unknown_without_a_sound_batch_size_1_of_the_same_group(spoil: str, sd15: Maker) -> None:
    """Nothing is compared across tests or groups, nor with a disturbed measurement."""
    records = {
        "another test": [sd15.record(1, test="other"), sd15.record(8)],
        "another group": [sd15.group(steps=4).record(1), sd15.record(8)],
        "no batch size 1": [sd15.record(2), sd15.record(8)],
        "batch size 1 throttled": [
            sd15.record(1, outcome=Outcome.THROTTLED, reason="thermal"),
            sd15.record(8),
        ],
    }[spoil]
    row = next(row for row in rows(records) if row.batch_size == 8)

    assert row.against_one_ratio is None
    assert cells(row, numbered_notes([row]))["against"] == "-"


def test_peak_memory_is_the_largest_peak_in_the_measure_of_the_device(sd15: Maker) -> None:
    """Of rounds that peaked at 3, 5 and 4 MiB the case needs 5; the other measures do not count."""
    rounds = [
        replace(made, peak_allocated_bytes=peak * MIB, host_peak_bytes=900 * MIB)
        for made, peak in zip(sd15.rounds([1.0] * 5), (3, 5, 4, 4, 4), strict=True)
    ]
    allocated, resident = (
        sd15.record(1, rounds=tuple(rounds), memory_source=source)
        for source in ("peak_allocated_bytes", "host_peak_bytes")
    )

    assert [row.peak_bytes for row in rows([allocated, resident])] == [5 * MIB, 900 * MIB]


@pytest.mark.parametrize("source", [None, "wall_s", "__class__", "peak_reserved_bytes"])
def test_unknown_memory_is_a_dash_with_a_note(source: str | None, sd15: Maker) -> None:
    """A measure that was not read, or that is no measure of memory, never shows as a number."""
    (row,) = rows([sd15.record(1, memory_source=source)])

    assert row.peak_bytes is None
    assert row.notes == ("peak memory is not known: it was not read",)


def test_stages_are_shares_of_the_wall_time(sd15: Maker) -> None:
    """Text encoders, denoiser and VAE in percent; what is left over is not shown."""
    (row,) = rows([sd15.record(4, 2)])

    assert row.stage_shares == pytest.approx(
        {"text_encoder": 0.02, "denoiser": 0.9, "scheduler": 0.01, "vae_decode": 0.06}
    )
    assert cells(row, {})["stages"] == "2/90/6"


def test_text_encoders_count_together_and_a_missing_stage_is_no_zero(sd15: Maker) -> None:
    """SDXL has two text encoders; with output latent no VAE ran, which is not the same as 0 %."""
    stages = {"text_encoder": 0.1, "text_encoder_2": 0.2, "denoiser": 0.7}
    rounds = tuple(replace(made, stage_s=stages) for made in sd15.rounds([1.0] * 5))
    (row,) = rows([sd15.record(1, rounds=rounds)])

    assert cells(row, {})["stages"] == "30/70/-"


def test_a_split_that_one_round_lacks_is_not_shown(sd15: Maker) -> None:
    """Shares of some of the rounds would be shares of something else."""
    rounds = list(sd15.rounds([1.0] * 5))
    rounds[2] = replace(rounds[2], stage_s=None)
    (row,) = rows([sd15.record(1, rounds=tuple(rounds))])

    assert row.stage_shares is None
    assert cells(row, {})["stages"] == "-"


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome.OOM,
        Outcome.OVER_LIMIT,
        Outcome.INVALID_OUTPUT,
        Outcome.CRASHED,
        Outcome.TIMEOUT,
        Outcome.SKIPPED,
    ],
)
def test_outcomes_without_figures_show_none(outcome: Outcome, sd15: Maker) -> None:
    """Rounds of a case that went wrong are no speed; the row says what happened, a note says why."""
    (row,) = rows([sd15.record(1, outcome=outcome, reason="so it was")])
    shown = cells(row, numbered_notes([row]))

    assert {shown[column.key] for column in COLUMNS} - {"b1x1", f"{outcome.value} (1)"} == {"-"}
    assert row.notes == ("so it was",)
    assert not row.counts


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.SPILLED])
def test_disturbed_cases_show_figures_that_answer_nothing(outcome: Outcome, sd15: Maker) -> None:
    """The numbers are there to be seen, flagged with the reason."""
    (row,) = rows([sd15.record(1, outcome=outcome, reason="thermal slowdown")])

    assert row.call_s == pytest.approx(1.0)
    assert row.outcome_text == outcome.value
    assert row.notes == ("thermal slowdown",)
    assert not row.counts


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"test_outcome": "failed"}, "the test failed after measuring, so this is no baseline"),
        ({"output_check": "unchecked: a dict"}, "output unchecked: a dict"),
        (
            {"tracer": "sys.monitoring (coverage)"},
            "sys.monitoring (coverage) was active; it was paused in timed rounds",
        ),
        ({"parallel": 2}, "2 processes shared the machine"),
        (
            {"compilation": Compilation(seconds=9.0, graphs=2, recompiles_in_rounds=1)},
            "recompiled 1 time inside timed rounds: the times include compiling",
        ),
        ({"outcome": Outcome.CRASHED}, "no reason was recorded"),
        ({"rounds": ()}, "no round was recorded"),
    ],
)
def test_what_a_reader_must_know_is_a_note(changes: dict[str, Any], note: str, sd15: Maker) -> None:
    """Each thing that makes a figure doubtful is said, and is the only thing said."""
    (row,) = rows([sd15.record(1, **changes)])

    assert row.notes == (note,)


def test_a_call_that_made_several_batches_is_told(sd15: Maker) -> None:
    """Its cold start is that of all of them, and no figure of one."""
    one, row = rows(
        [
            sd15.record(2, count, call_s=1.0, must_match={"count_inside": True}, cold_start_s=Reading(value=9.0))
            for count in (1, 4)
        ]
    )

    assert (one.notes, one.cold_start_s) == ((), 9.0)  # a single batch is a call like any other
    assert row.notes[0].startswith("one call made all batches of a round: per call is the share of one batch")
    assert (row.call_s, row.cold_start_s) == (1.0, None)


def test_a_sound_record_has_no_notes(sd15: Maker) -> None:
    """Notes are for what is out of the ordinary; a compiled case without recompiling is not."""
    record = sd15.record(1, compilation=Compilation(seconds=9.0, graphs=2, recompiles_in_rounds=0))
    (row,) = rows([record])

    assert row.notes == ()
    assert row.counts
    assert cells(row, {})["outcome"] == "ok"


def test_a_failed_test_shows_in_place_of_ok(sd15: Maker) -> None:
    """The measurement was sound but the test's own assertion was not met: not ok, and no answer."""
    (row,) = rows([sd15.record(1, test_outcome="failed")])

    assert cells(row, numbered_notes([row]))["outcome"] == "test failed (1)"
    assert not row.counts


def test_three_rounds_have_no_interval_and_say_so(sd15: Maker) -> None:
    """--sd-rounds=3 gives a number, and a dash with its reason where the interval would be."""
    (row,) = rows([sd15.record(1, rounds=sd15.rounds([1.0, 1.1, 1.2]))])

    assert row.call_s == pytest.approx(1.1)
    assert row.call_interval is None
    assert row.notes == ("fewer than 5 rounds give no interval",)


@pytest.mark.parametrize(
    "seconds", [[0.0] * 5, [1.0, 1.0, 1.0, 1.0, -1.0], [math.nan] * 5, [1e300, 1e-300, 1.0, 1e200, 1e-200]]
)
def test_times_that_cannot_be_are_a_note_not_a_crash(seconds: list[float], sd15: Maker) -> None:
    """A file from elsewhere or a clock that stands still must not cost the rest of the table."""
    good, bad = rows([sd15.record(1), sd15.record(2, rounds=sd15.rounds(seconds))])

    assert good.counts
    assert bad.call_s is None
    assert bad.notes[-1].startswith("times cannot be used")
    assert not bad.counts


def test_equal_notes_share_a_number(curve: list[Record]) -> None:
    """Ten sizes skipped for one reason need one line below the table."""
    table = rows(curve)
    notes = numbered_notes(table)

    assert list(notes.values()) == [1, 2]
    assert [cells(row, notes)["outcome"] for row in table[-3:]] == ["oom (1)", "skipped (2)", "skipped (2)"]


def test_every_column_has_a_cell(curve: list[Record]) -> None:
    """The columns and the cells are one list."""
    table = rows(curve)
    notes = numbered_notes(table)

    assert all(set(cells(row, notes)) == {column.key for column in COLUMNS} for row in table)


@pytest.mark.parametrize("make", [list, tuple, iter])
def test_no_records_are_no_rows(make: Callable[[list[Record]], Any]) -> None:
    """A run in which nothing was measured has an empty table."""
    assert rows(make([])) == ()


def test_rounds_that_differ_a_lot_are_marked(sd15: Maker) -> None:
    """A row whose own interval is wider than 10 % says that it is not to be relied on; a quiet one says nothing."""
    restless, quiet = rows(
        [
            sd15.record(1, rounds=sd15.rounds((1.0, 1.5, 0.7, 2.0, 1.1))),
            sd15.record(2, rounds=sd15.rounds((1.0, 1.01, 0.99, 1.0, 1.0))),
        ]
    )

    assert "Do not rely on this row" in restless.notes[0]
    assert quiet.notes == ()


def test_rows_beside_something_else_share_a_note(sd15: Maker) -> None:
    """How much it took is the record's; that it was there is why their rounds differ, and is said once."""
    beside = rows(
        [
            sd15.record(size, rounds=sd15.rounds((1.0, 1.5, 0.7, 2.0, 1.1)), contention=f"1.{size} of 2 cores free")
            for size in (1, 2)
        ]
    )

    assert len(numbered_notes(beside)) == 1
    assert beside[0].notes[0].startswith("something else used its cores")
    assert all(row.unreliable and row.counts for row in beside)


def test_a_row_over_a_limit_says_what_ran_beside_it(sd15: Maker) -> None:
    """Its figures are not shown, but they broke the limit."""
    (row,) = rows([sd15.record(1, outcome=Outcome.OVER_LIMIT, reason="too slow", contention="1.3 of 2 cores free")])

    assert row.notes[0] == "too slow"
    assert row.notes[1].startswith("something else used its cores")


def test_threads_without_a_core_each_blame_nobody(sd15: Maker) -> None:
    """They are the run's own: the note is what the record says."""
    said = contended(sd15.rounds((1.0, 1.1, 1.2)), threads=4, cores=2)
    (row,) = rows([sd15.record(1, contention=said)])

    assert "4 threads share 2 cores, and wait for each other. Do not rely on it" in row.notes


def test_videos_are_told_in_frames_per_second(sd15: Maker) -> None:
    """Two videos of 81 frames in 4 s are 40.5 frames/s; seconds are those of a video."""
    wan = sd15.group(model="wan21-1.3b", frames=81)
    (row,) = rows([wan.record(2, call_s=4.0)])

    assert cells(row, {})["rate"] == "40.5 frames/s"
    assert cells(row, {})["image"] == "2.00 s"
    headers = {column.key: column.header for column in columns([row])}
    assert (headers["rate"], headers["image"]) == ("throughput", "per video")


def test_a_table_with_images_keeps_its_columns(sd15: Maker) -> None:
    """The cells of videos among them carry their own unit, those of images that of the column."""
    wan = sd15.group(model="wan21-1.3b", frames=81)
    table = rows([sd15.record(2, call_s=4.0), wan.record(2, call_s=4.0)])

    assert columns(table) == columns(())
    assert set(columns(table)) < set(COLUMNS)
    assert [cells(row, {})["rate"] for row in table] == ["0.500", "40.5 frames/s"]


def test_splits_of_one_number_of_images_show_the_time_of_all(sd15: Maker) -> None:
    """That is what was asked: how long 16 images take in each split."""
    table = rows([sd15.record(1, 16, call_s=0.5), sd15.record(4, 4, call_s=1.5), sd15.record(16, 1, call_s=5.0)])

    assert [row.all_s for row in table] == pytest.approx([8.0, 6.0, 5.0])
    assert [column.header for column in columns(table) if column.key == "all"] == ["all 16\nimages"]
    assert cells(table[1], {})["all"] == "6.00 s"


def test_sizes_that_make_different_numbers_have_no_time_of_all(sd15: Maker) -> None:
    """Neither has one split alone, whose time stands there already."""
    for records in ([sd15.record(1), sd15.record(4)], [sd15.record(4, 4)]):
        table = rows(records)

        assert all(row.all_s is None for row in table)
        assert "all" not in [column.key for column in columns(table)]


def test_the_cold_start_is_shown_where_it_was_one(sd15: Maker) -> None:
    """A shape that ran before has none."""
    first = sd15.record(1, cold_start_s=Reading(value=2.5))
    again = sd15.record(1, 4, cold_start_s=Reading(reason="this shape ran in this process before"))

    assert [cells(row, {})["cold"] for row in rows([first, again])] == ["2.50 s", "-"]


def test_rows_of_two_runs_are_not_divided_by_each_other(sd15: Maker) -> None:
    """What was kept from an interrupted run says so, and is compared with its own batch size 1 alone."""
    kept = {record.key: "kept from the run of 17:30" for record in (sd15.record(1), sd15.record(2))}
    table = rows([sd15.record(1, call_s=1.0), sd15.record(2, call_s=1.0), sd15.record(4, call_s=1.0)], kept)

    assert [row.against_one_ratio for row in table] == [1.0, 2.0, None]
    assert [row.notes for row in table] == [("kept from the run of 17:30",), ("kept from the run of 17:30",), ()]


def test_the_numbers_of_notes_are_in_order(sd15: Maker) -> None:
    """Whichever note a row came upon first."""
    row = replace(rows([sd15.record(1)])[0], notes=("b", "a"))

    assert cells(row, {"a": 1, "b": 2})["outcome"] == "ok (1,2)"
