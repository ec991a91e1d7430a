"""Stages, trade-offs, rounds."""

from __future__ import annotations

import math

import pytest
from reported import out_of_memory, record, reported, run

from pytest_sdbatch.report.page.breakdown import every_round, stage_split, trade_offs
from pytest_sdbatch.report.page.figures import Bars, Figure, Grid, Look, Panels
from pytest_sdbatch.report.page.subject import Subject, subject_of


def test_the_parts_of_a_bar_add_up_to_the_time_of_an_image(one: Subject) -> None:
    """What no stage took is a part of its own."""
    (bars,) = stage_split(one).blocks[0]
    assert isinstance(bars, Bars)

    assert bars.names == ("b1x1", "b2x1", "b4x1", "b8x1", "b16x1")
    assert [name for name, _ in bars.parts] == ["text encoder", "denoiser", "scheduler", "vae decode", "other"]
    assert math.fsum(values[0] or 0.0 for _, values in bars.parts) == pytest.approx(301, rel=0.02)
    assert bars.x == "per image (ms)"


def test_what_is_beaten_in_everything_is_not_on_the_front(two: Subject) -> None:
    """Dollars count where every choice has a price."""
    figure, grid = trade_offs(two).blocks[0]
    assert isinstance(figure, Figure)
    assert isinstance(grid, Grid)

    assert grid.note.startswith("compared: time per call, time per image, peak memory, energy, cost")
    on = {line[0] for line in grid.lines if line[1] == "yes"}
    assert "b1x1, NVIDIA H100 80GB HBM3" in on
    assert "b8x1, NVIDIA L4" not in on
    drawn = sum(len(series.x) for series in figure.series if series.look is Look.POINTS)
    assert drawn == len(on)


def test_what_nobody_knows_has_no_column(one: Subject) -> None:
    """Without a price there are no dollars."""
    _, grid = trade_offs(one).blocks[0]

    assert isinstance(grid, Grid)
    assert grid.heads == ("case", "on the front", "a call takes", "per image", "peak memory", "energy per image")
    assert {len(line) for line in grid.lines} == {6}


def test_every_round_is_there_in_its_order_behind_the_warm_up(two: Subject) -> None:
    """A line for every run; the mark is the figure of the table."""
    (panels,) = every_round(two).blocks[0]
    assert isinstance(panels, Panels)

    first = panels.panels[0]
    assert first.title == "b1x1, NVIDIA H100 80GB HBM3 (ms)"
    assert [(one.name, one.look, one.first) for one in first.series] == [
        ("warm-up, run 1", Look.FAINT, 1),
        ("rounds, run 1", Look.TRACE, 3),
        ("warm-up, run 2", Look.FAINT, 1),
        ("rounds, run 2", Look.TRACE, 3),
    ]
    walls = [1000 * reading.wall_s for reading in two.sources[0].runs[0].records[0].rounds]
    assert list(first.series[1].y) == pytest.approx(walls)
    assert first.marks[0].name == "301 ms"


def test_doubts_about_a_case_stand_below_its_rounds() -> None:
    """Where one sees what they are about."""
    made = subject_of(reported([run(record(1, contention="it waited"), record(2))]))
    (panels,) = every_round(made).blocks[0]
    assert isinstance(panels, Panels)

    assert "something else used its cores" in panels.panels[0].note
    assert panels.panels[1].note == ""


def test_cases_without_rounds_have_none_of_this() -> None:
    """And the sections say so."""
    made = subject_of(reported([run(out_of_memory(1))]))

    assert [make(made).blocks for make in (stage_split, trade_offs, every_round)] == [((),)] * 3
