"""Figures as plain data."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.report.page.figures import (
    Bars,
    Figure,
    Grid,
    Look,
    Mark,
    Panel,
    Panels,
    Series,
    rounded,
    stage_colors,
    thinned,
)

FINITE = st.floats(-1e12, 1e12)


@given(st.lists(FINITE | st.integers(-(10**9), 10**9) | st.none()))
def test_numbers_keep_the_digits_that_a_drawing_shows(values: list[float | None]) -> None:
    """Within a two-thousandth; what is whole or not known stays so."""
    for before, after in zip(values, rounded(values), strict=True):
        if before is None or isinstance(before, int):
            assert after == before
        else:
            assert after is not None
            assert abs(after - before) <= 5.01e-4 * abs(before)


@given(st.lists(FINITE, min_size=3, max_size=200), st.integers(3, 50))
def test_a_thinned_line_has_its_ends_and_its_peak(values: list[float], most: int) -> None:
    """A memory that was needed for a moment is what one looks for."""
    x, y = thinned(range(len(values)), values, most)

    assert len(x) == len(y) == min(len(values), most)
    assert (y[0], y[-1]) == (values[0], values[-1])
    assert max(y) == max(values)
    assert list(x) == sorted(x)


def test_a_figure_is_data_without_what_is_empty() -> None:
    """A script draws it; nothing in it is markup or invisible."""
    figure = Figure(
        title="T",
        x="batch size",
        y="a\x1bb",
        series=(
            Series(name="one", look=Look.POINTS, x=(1, 2), y=(0.123456, 3.0), texts=("b1", "<b>")),
            Series(name="two", look=Look.TRACE, color=1, first=3, y=(5.0,)),
        ),
        marks=(Mark(name="limit", y=24.0, color=1),),
    )

    data = figure.data()

    assert data["y"] == "a\\x1bb"
    assert data["series"] == [
        {"n": "one", "k": "points", "c": 0, "x": [1, 2], "y": [0.1235, 3], "t": ["b1", "<b>"]},
        {"n": "two", "k": "trace", "c": 1, "f": 3, "y": [5]},
    ]
    assert data["marks"] == [{"n": "limit", "y": 24, "c": 1}]
    assert json.loads(json.dumps(data)) == data


def test_panels_say_once_what_they_have_in_common() -> None:
    """Ten thousand of them are a file that opens."""
    each = Series(name="rounds", look=Look.TRACE, y=(1.0, 2.0))
    panels = (Panel(title="b1", series=(each,)), Panel(title="b2", series=(each,), note="n"))
    data = Panels(title="T", x="round", y="s", panels=panels).data()

    assert data["kinds"] == [{"n": "rounds", "k": "trace", "c": 0}]
    assert data["panels"][1] == {"t": "b2", "s": [{"i": 0, "f": 1, "y": [1, 2]}], "o": "n"}


def test_bars_and_grids_are_data_too() -> None:
    """What is not known stays unknown."""
    bars = Bars(title="T", x="ms", names=("b1",), parts=(("denoiser", (None,)),)).data()
    grid = Grid(title="T", heads=("a",), lines=(("1",),), note="n").data()

    assert bars["parts"] == [{"n": "denoiser", "v": [None], "c": 0}]
    assert (grid["heads"], grid["lines"]) == (["a"], [["1"]])


def test_a_stage_has_one_colour_whatever_stands_beside_it() -> None:
    """Usual stages have theirs on every page; others have one of what is left, and never that of another."""
    few = stage_colors(["denoiser", "vae_decode", "other"])
    many = stage_colors(["other", "safety_checker", "vae_decode", "text_encoder", "denoiser", "prior"])

    assert {name: many[name] for name in few} == few
    assert len(set(many.values())) == len(many)
