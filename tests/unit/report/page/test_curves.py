"""Throughput and seconds per call."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reported import out_of_memory, record, reported, run

from pytest_sdbatch.records import Record
from pytest_sdbatch.report.page.curves import seconds, throughput
from pytest_sdbatch.report.page.figures import Figure, Look, Series
from pytest_sdbatch.report.page.subject import Subject, subject_of


def figures(section_blocks: tuple[tuple[object, ...], ...]) -> list[Figure]:
    """Return the figures of the first view."""
    return [block for block in section_blocks[0] if isinstance(block, Figure)]


def series(figure: Figure, look: Look, color: int = 0) -> Series:
    """Return the first series that looks so."""
    return next(one for one in figure.series if one.look is look and one.color == color)


def test_throughput_has_points_a_curve_its_band_and_the_sweet_spot(one: Subject) -> None:
    """All of the same images per second; what did not fit is marked."""
    (figure,) = figures(throughput(one).blocks)

    points, line, band = (series(figure, look) for look in (Look.POINTS, Look.LINE, Look.BAND))
    assert points.x == (1, 2, 4, 8, 16)
    assert points.y[0] == pytest.approx(1 / 0.3, rel=0.02)
    assert points.low[0] < points.y[0] < points.high[0]
    assert (line.x[0], line.x[-1]) == (1, 16)
    assert line.y[-1] == pytest.approx(points.y[-1], rel=0.02)
    assert all(low <= high for low, high in zip(band.low, band.high, strict=True))
    assert len(series(figure, Look.FAINT).x) == 5 * 12
    assert [mark.name for mark in figure.marks] == ["sweet spot: 16", "32 does not fit"]
    assert figure.doubling
    assert (figure.x, figure.y) == ("batch size", "images/s")


def test_seconds_have_the_line_its_parameters_and_what_it_leaves(one: Subject) -> None:
    """In one unit for all points; residuals in percent."""
    line, residuals = figures(seconds(one).blocks)

    assert line.y == "a call (s)"
    assert series(line, Look.POINTS).y[0] == pytest.approx(0.3, rel=0.02)
    assert "a = 18" in line.note
    assert "c = 120 ms" in line.note
    assert residuals.around_zero
    assert max(map(abs, residuals.series[0].y)) < 1


def test_two_sources_share_the_figures_each_with_its_colour(two: Subject) -> None:
    """The curve of several runs says what differs between them."""
    (figure,) = figures(throughput(two).blocks)

    assert {one.color for one in figure.series} == {0, 1}
    assert series(figure, Look.BAND).name == "95 % of the curve, between runs"
    assert [mark.color for mark in figure.marks] == [0, 1]


def test_two_sizes_make_no_curve_and_say_so() -> None:
    """A line through two points is the points."""
    (figure,) = figures(throughput(subject_of(reported([run(record(1), record(2))]))).blocks)

    assert {one.look for one in figure.series} == {Look.POINTS, Look.FAINT}
    assert figure.note == "it takes three batch sizes for a curve"


@pytest.mark.parametrize(("doubtful", "which"), [(1, "some of its rows are not"), (3, "none of its rows is")])
def test_rows_that_cannot_be_relied_on_are_told_below_the_figure(doubtful: int, which: str) -> None:
    """All of them is something else than some."""
    records = [replace(record(size), contention="1 thread had 0.2 of 1 core free") for size in (1, 2, 4)[:doubtful]]
    records += [record(size) for size in (1, 2, 4)[doubtful:]]
    (figure,) = figures(throughput(subject_of(reported([run(*records)]))).blocks)

    assert f"{which} to be relied on: measure again on a quiet machine" in (figure.note or "")


def test_times_on_no_line_are_dashed_and_without_a_band() -> None:
    """A curve that was rejected decides nothing."""
    made = subject_of(reported([run(*(record(size, a_s=0.1 * size**2) for size in (1, 2, 4, 8, 16)))]))
    (figure,) = figures(throughput(made).blocks)

    assert Look.DASHED in {one.look for one in figure.series}
    assert Look.BAND not in {one.look for one in figure.series}
    assert "lie on no line" in figure.note


def test_videos_are_told_in_frames() -> None:
    """As in the table."""
    records = [record(size) for size in (1, 2, 4)]
    made = subject_of(reported([run(*(_video(one) for one in records))]))
    (figure,) = figures(throughput(made).blocks)

    assert figure.y == "frames/s"
    assert series(figure, Look.POINTS).y[0] == pytest.approx(13 / 0.3, rel=0.02)


def _video(one: Record) -> Record:
    return replace(one, case=replace(one.case, frames=13))


def test_a_view_without_times_has_no_figure() -> None:
    """The section says why."""
    section = throughput(subject_of(reported([run(out_of_memory(1))])))

    assert section.blocks == ((),)
    assert section.none == "No case of this selection has times."
