"""What the device told, in the table: columns where there are figures, notes where something was amiss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.records import MemoryRound, Outcome, Reading, Record, Round
from pytest_sdbatch.report.table import cells, columns, rows
from pytest_sdbatch.report.terminal import render_table

if TYPE_CHECKING:
    from tests.unit.report.conftest import Maker

GIB = 2**30
OPTIONAL = {"device", "energy", "clock", "heat", "cap"}
UNKNOWN = Reading(reason="not looked at")
MEMORY = MemoryRound(
    scope="device",
    before_context=UNKNOWN,
    context=UNKNOWN,
    before_load=UNKNOWN,
    loaded=UNKNOWN,
    peak=Reading(value=5 * GIB),
    after=UNKNOWN,
)


def told(record: Record, **fields: Any) -> Record:
    """Return *record* with *fields* in each of its rounds."""
    return replace(record, rounds=tuple(replace(one, **fields) for one in record.rounds))


def keys(*records: Record) -> set[str]:
    """Return the optional columns of a table of *records*."""
    return {column.key for column in columns(rows(records))} & OPTIONAL


@pytest.mark.parametrize(
    ("fields", "key", "cell"),
    [
        ({"energy_joules": 2448.0}, "energy", "612 J"),
        ({"sm_clock_mhz": 1755}, "clock", "1,755 MHz"),
        ({"temperature_celsius": 71}, "heat", "71 C"),
        ({"sw_power_cap_s": 0.25}, "cap", "25 %"),
    ],
)
def test_a_figure_of_the_device_has_a_column_where_a_row_knows_it(
    fields: dict[str, Any], key: str, cell: str, sd15: Maker
) -> None:
    """A row without it shows a dash; a table without it lacks the column."""
    plain, known = sd15.record(1), told(sd15.record(4), **fields)

    assert keys(plain) == set()
    assert keys(plain, known) == {key}
    assert [cells(row, {})[key] for row in rows([plain, known])] == ["-", cell]


def test_memory_on_the_device_is_no_column_of_a_cpu(sd15: Maker) -> None:
    """What is resident of the process is "peak memory" there already."""
    record = sd15.record(1, memory_round=MEMORY)

    assert keys(record) == {"device"}
    assert cells(rows([record])[0], {})["device"] == "5.00 GiB"
    assert keys(replace(record, memory_round=replace(MEMORY, scope="process"))) == set()


def test_clock_and_heat_are_the_mean_and_the_hottest(sd15: Maker) -> None:
    """Rounds that do not know theirs are left out of both."""
    record = sd15.record(1)
    pairs = ((1700, 60), (1800, 75), (None, None), (1750, 70), (1750, 65))
    rounds = tuple(
        replace(one, sm_clock_mhz=clock, temperature_celsius=heat)
        for one, (clock, heat) in zip(record.rounds, pairs, strict=True)
    )
    (row,) = rows([replace(record, rounds=rounds)])

    assert (row.sm_clock_mhz, row.hottest_celsius) == (1750, 75)


def test_a_case_without_numbers_shows_nothing_of_the_device(sd15: Maker) -> None:
    """Out of memory after two rounds: their energy is no figure of the case."""
    (row,) = rows([told(sd15.record(1, outcome=Outcome.OOM, reason="x"), energy_joules=9.0)])

    assert row.joules_per_image is None


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"foreign_processes": 2}, "2 other processes used the device"),
        ({"memory_round": replace(MEMORY, mark="foreign or non-torch memory")}, "foreign or non-torch memory"),
        ({"memory_round": MEMORY, "memory_round_reason": "in the memory round: no"}, "in the memory round: no"),
    ],
)
def test_what_was_out_of_the_ordinary_is_a_note(changes: dict[str, Any], note: str, sd15: Maker) -> None:
    """The numbers stay, and still count: they are the reader's to judge."""
    (row,) = rows([sd15.record(1, **changes)])

    assert row.notes == (note,)
    assert row.counts
    assert row.unreliable is ("foreign_processes" in changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"foreign_processes": 0},
        {"memory_round_reason": "left out (memory_round=no)"},
        {"memory_round": MEMORY},
        {"energy_reason": "rounds last less than 2.00 s"},
    ],
)
def test_what_is_in_order_or_was_asked_for_is_no_note(changes: dict[str, Any], sd15: Maker) -> None:
    """Nobody there, no memory round wanted, a memory round without a mark, rounds that are short."""
    (row,) = rows([sd15.record(1, **changes)])

    assert row.notes == ()
    assert not row.unreliable


def test_slowed_rounds_are_flagged_and_counted(sd15: Maker) -> None:
    """Some of them: a note. All: the outcome says it, once."""
    record = sd15.record(1)
    hot = replace(record.rounds[0], sw_thermal_s=0.5)
    said = "1 of 5 rounds slowed down by heat (the driver) for 500 ms"
    (some,) = rows([replace(record, rounds=(hot, *record.rounds[1:]))])
    (every,) = rows([replace(record, rounds=(hot,), outcome=Outcome.THROTTLED, reason="hot")])

    assert some.notes == (said,)
    assert every.notes[0] == "hot"
    assert not any("slowed" in note for note in every.notes)


def test_others_that_fail_a_case_are_said_once(sd15: Maker) -> None:
    """The outcome's reason names them already."""
    record = sd15.ended(1, Outcome.INVALID_ENVIRONMENT, "2 other processes used the device", foreign_processes=2)

    assert rows([record])[0].notes == ("2 other processes used the device",)


def everything(sd15: Maker) -> Record:
    """Return a record of a device that tells all."""
    fields = {"energy_joules": 2448.0, "sm_clock_mhz": 1755, "temperature_celsius": 71, "sw_power_cap_s": 0.25}
    return told(sd15.record(4, call_s=1.786, memory_round=MEMORY), **fields)


def test_a_wide_screen_shows_all_that_the_device_told(sd15: Maker) -> None:
    """Behind the stages, and below what "on the device" means."""
    lines = render_table([everything(sd15)], width=160, color=False).splitlines()

    assert lines[0].endswith("peak    on the  text/denoiser/     energy         SM             power")
    assert lines[1].endswith("device        VAE in %  per image      clock  hottest  limited  outcome")
    assert lines[5].endswith("4.00 GiB  5.00 GiB          2/90/6      612 J  1,755 MHz     71 C     14 %  ok")
    assert "on the device: the most memory in use by all processes" in lines[-1]


@pytest.mark.parametrize(
    ("width", "shown"), [(80, set()), (100, set()), (110, {"energy"}), (120, {"energy", "device"}), (160, OPTIONAL)]
)
def test_a_narrow_screen_leaves_the_device_out_first(width: int, shown: set[str], sd15: Maker) -> None:
    """What answers the question of batch sizes stays; of the device, energy goes last."""
    header = " ".join(render_table([everything(sd15)], width=width, color=False).splitlines()[:2])
    words = {"device": "device", "energy": "energy", "clock": "clock", "heat": "hottest", "cap": "limited"}

    assert {key for key, word in words.items() if word in header} == shown


def below(text: str) -> str:
    """Return what stands below the last row of a table, on one line."""
    return " ".join(text.rpartition("  ok")[2].split())


@pytest.mark.parametrize(
    ("width", "named"),
    [
        (80, "on the device, text/denoiser/VAE in %, energy per image, SM clock, hottest, power limited"),
        (120, "SM clock, hottest, power limited"),
    ],
)
def test_known_figures_without_room_are_named(width: int, named: str, sd15: Maker) -> None:
    """In the order of the columns: whoever wants one sees that it was measured, and where it is."""
    text = below(render_table([everything(sd15)], width=width, color=False))

    assert text.endswith(f"no room here: {named} (wider screen, --sd-report)")


def test_columns_without_a_figure_are_not_named(sd15: Maker) -> None:
    """What nobody knows is not hidden by the screen; with room for all there is nothing to say."""
    bare = replace(sd15.record(4), rounds=tuple(replace(one, stage_s=None) for one in sd15.record(4).rounds))

    assert "no room" not in render_table([bare], width=80, color=False)
    assert "no room" not in render_table([everything(sd15)], width=160, color=False)


@pytest.mark.parametrize(
    ("width", "explained"),
    [
        (160, ["within this run", "peak memory", "on the device"]),
        (120, ["within this run", "peak memory", "on the device"]),
        (100, ["within this run", "peak memory"]),
        (50, ["peak memory"]),
        (20, []),
    ],
)
def test_only_columns_that_are_shown_are_explained(width: int, explained: list[str], sd15: Maker) -> None:
    """A footnote to a column that is not there explains nothing."""
    text = below(render_table([everything(sd15)], width=width, color=False))

    assert [words for words in ("within this run", "peak memory", "on the device") if f"{words}: " in text] == explained


def test_energy_that_a_counter_is_too_coarse_for_is_said_once(sd15: Maker) -> None:
    """Below the table, whatever number of rows lack it."""
    reason = "rounds last less than 2.00 s"
    text = render_table([sd15.record(size, energy_reason=reason) for size in (1, 2, 4)], width=100, color=False)

    assert text.count(f"energy is not known of every case: {reason}") == 1


def test_rounds_are_slowed_by_heat_and_the_power_supply_alone() -> None:
    """A power limit holds clocks down under every full load."""
    plain = Round(wall_s=1.0, cpu_s=1.0, call_s=(1.0,))

    assert not replace(plain, sw_power_cap_s=1.0, sw_thermal_s=0.0).slowed
    assert replace(plain, sw_thermal_s=0.001).slowed
    assert replace(plain, hw_thermal_s=0.001).slowed
    assert replace(plain, hw_power_brake_s=0.001).slowed
