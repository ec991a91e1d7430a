"""The best and the sweet spot: against brute force over what was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.sweet_spot import Point, best, sweet_spot

POINTS = st.lists(
    st.builds(
        Point,
        batch_size=st.integers(1, 64),
        batch_count=st.integers(1, 4),
        seconds_per_image=st.floats(1e-3, 1e2),
    ),
    min_size=1,
    max_size=12,
)
WITHIN = st.floats(0, 0.5)


def curve(**images_per_s: float) -> list[Point]:
    """Return points of batch count 1: ``curve(b1=0.5, b4=0.9)``."""
    return [
        Point(batch_size=int(name[1:]), batch_count=1, seconds_per_image=1 / rate)
        for name, rate in images_per_s.items()
    ]


def test_the_sweet_spot_is_the_smallest_size_close_to_the_best() -> None:
    """Half the waiting for 3 % fewer images per second is what most users want to hear of."""
    points = curve(b1=1.00, b2=1.80, b4=2.24, b8=2.31)

    assert best(points).batch_size == 8
    assert sweet_spot(points, within=0.05).batch_size == 4


def test_where_nothing_smaller_is_close_the_best_is_the_sweet_spot() -> None:
    """A steep curve has one answer."""
    points = curve(b1=1.0, b2=2.0, b4=4.0)

    assert sweet_spot(points, within=0.05) == best(points)


def test_a_peak_before_the_largest_size_is_found() -> None:
    """In 9 of 24 public sweeps the largest batch that fits is not the fastest."""
    assert best(curve(b1=1.0, b2=1.6, b4=1.4)).batch_size == 2


def test_of_equally_fast_points_the_smallest_is_best() -> None:
    """Larger batches that gain nothing are not recommended."""
    points = curve(b8=2.0, b4=2.0, b16=2.0)

    assert best(points).batch_size == 4


def test_a_point_knows_its_waiting_time() -> None:
    """The first images arrive after one call, however many calls follow."""
    point = Point(batch_size=4, batch_count=8, seconds_per_image=0.25)

    assert point.seconds_per_call == pytest.approx(1.0)
    assert point.images_per_s == pytest.approx(4.0)
    assert point.split == "4x8"


@given(POINTS)
def test_no_point_is_faster_than_the_best(points: list[Point]) -> None:
    """The best is one of the points, and brute force finds none faster."""
    found = best(points)

    assert found in points
    assert found.images_per_s == max(point.images_per_s for point in points)


@given(POINTS, WITHIN)
def test_the_sweet_spot_is_what_brute_force_finds(points: list[Point], within: float) -> None:
    """It was measured, is close enough, and no smaller size is; of its size it is the fastest."""
    found = sweet_spot(points, within=within)
    floor = best(points).images_per_s * (1 - within)

    assert found in points
    assert found.images_per_s >= floor * (1 - 1e-9)
    assert all(point.images_per_s < floor * (1 + 1e-9) for point in points if point.batch_size < found.batch_size)
    assert all(point.images_per_s <= found.images_per_s for point in points if point.batch_size == found.batch_size)


@given(POINTS, WITHIN, WITHIN)
def test_accepting_more_never_names_a_larger_size(points: list[Point], one: float, other: float) -> None:
    """The sweet spot shrinks as the accepted share grows."""
    strict, lax = sorted((one, other))

    assert sweet_spot(points, within=lax).batch_size <= sweet_spot(points, within=strict).batch_size


@given(POINTS)
def test_accepting_nothing_names_the_best(points: list[Point]) -> None:
    """With a share of 0 the two answers are the same."""
    assert sweet_spot(points, within=0.0) == best(points)


@given(POINTS, WITHIN, st.floats(0.01, 100))
def test_a_machine_twice_as_fast_gets_the_same_answer(points: list[Point], within: float, factor: float) -> None:
    """The answer depends on ratios only (up to rounding, so the price of less is compared, not the size)."""
    scaled = [
        Point(
            batch_size=point.batch_size,
            batch_count=point.batch_count,
            seconds_per_image=point.seconds_per_image * factor,
        )
        for point in points
    ]

    assert best(scaled).seconds_per_image == pytest.approx(best(points).seconds_per_image * factor)
    assert sweet_spot(scaled, within=within).images_per_s * factor >= best(points).images_per_s * (1 - within - 1e-9)


@pytest.mark.parametrize("within", [-0.01, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(within: float) -> None:
    """5 instead of 0.05 is a mistake that must not name the smallest size."""
    with pytest.raises(ValueError, match="within is"):
        sweet_spot(curve(b1=1.0), within=within)


def test_no_points_have_no_best() -> None:
    """A group in which nothing was measured has no answer."""
    with pytest.raises(ValueError, match="empty"):
        best([])
