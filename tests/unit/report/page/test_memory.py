"""Memory by stage and over time."""

from __future__ import annotations

import pytest
from reported import record, reported, run

from pytest_sdbatch.report.page.figures import Figure, Look, Panels
from pytest_sdbatch.report.page.memory import stages, time_line
from pytest_sdbatch.report.page.subject import Subject, subject_of


def test_each_stage_has_points_a_line_and_the_limit_that_it_meets(two: Subject) -> None:
    """The predicted largest batch is where the highest line crosses."""
    first, second = stages(two).blocks[0]
    assert isinstance(first, Figure)
    assert isinstance(second, Figure)

    assert second.title == "Memory per stage, NVIDIA L4"
    points = [one for one in first.series if one.look is Look.POINTS]
    assert [one.name for one in points] == ["text encoder", "denoiser", "vae decode"]
    assert first.y == "peak memory (GiB)"
    assert points[2].y[0] == pytest.approx(3.3)
    lines = [one for one in first.series if one.look is Look.LINE]
    assert len(lines) == 3
    assert lines[2].y[-1] == pytest.approx(2.4 + 0.9 * lines[2].x[-1])
    names = [mark.name for mark in first.marks]
    assert "asked for: 24.0 GiB" in names
    assert any(name.startswith("predicted: 24") for name in names)


def test_the_size_that_ran_out_is_marked(one: Subject) -> None:
    """Beside what was predicted."""
    (figure,) = stages(one).blocks[0]
    assert isinstance(figure, Figure)

    assert [mark.x for mark in figure.marks if mark.name == "32 does not fit"] == [32]


def test_without_stages_the_whole_is_drawn() -> None:
    """The peak of the rounds, as far as it is known."""
    made = subject_of(reported([run(*(record(size, memory_round=None) for size in (1, 2, 4)))]))
    (figure,) = stages(made).blocks[0]

    assert isinstance(figure, Figure)
    assert {one.name for one in figure.series} == {"all", ""}
    nothing = [record(size, memory_round=None, memory_source=None) for size in (1, 2)]
    assert stages(subject_of(reported([run(*nothing)]))).blocks == ((),)


def test_the_time_line_has_a_panel_for_every_case(one: Subject) -> None:
    """With what was loaded, and the peak; cases without a memory round have none."""
    (panels,) = time_line(one).blocks[0]
    assert isinstance(panels, Panels)

    assert [panel.title for panel in panels.panels] == ["b1x1", "b2x1", "b4x1", "b8x1", "b16x1"]
    line = panels.panels[-1].series[0]
    peak = next(mark for mark in panels.panels[-1].marks if mark.name == "peak")
    assert max(line.y) == pytest.approx(peak.y, abs=0.01)
    assert panels.note == "all processes on the device"
