"""How far a sweep on a cluster is."""

from __future__ import annotations

import pytest

from pytest_sdbatch.commands.cluster.progress import Running, State


def running(weight: float, seconds: float = 0.0, *, title: str = "sd15 bf16", node: str = "a") -> Running:
    """Return a group that runs."""
    return Running(title=title, node=node, weight=weight, seconds=seconds)


def test_before_a_group_has_ended_nobody_knows_how_long_it_takes() -> None:
    """Weights are in no unit then."""
    assert State(places=2, running=[running(10.0)], waiting=[5.0]).left_s is None


def test_the_rest_goes_on_as_it_went() -> None:
    """Two seconds a unit of weight; what runs has a part behind it."""
    state = State(places=1, ended=[(10.0, 20.0)], running=[running(10.0, 5.0)], waiting=[4.0])

    assert state.left_s == pytest.approx(15.0 + 8.0)


@pytest.mark.parametrize(("places", "left_s"), [(1, 30.0), (2, 15.0), (3, 10.0), (30, 10.0)])
def test_places_share_the_rest_but_no_group(places: int, left_s: float) -> None:
    """It takes as long as the longest of them at least."""
    assert State(places=places, ended=[(1.0, 1.0)], waiting=[10.0, 10.0, 10.0]).left_s == pytest.approx(left_s)


def test_a_group_that_takes_longer_than_thought_is_about_to_end() -> None:
    """And not before it began."""
    assert State(places=1, ended=[(1.0, 1.0)], running=[running(1.0, 60.0)]).left_s == 0.0


def test_one_line_says_what_runs_where_what_waits_what_failed_and_the_time_left() -> None:
    """In this order."""
    state = State(
        places=2, ended=[(1.0, 10.0)], running=[running(1.0), running(2.0, title="sdxl bf16", node="b")],
        waiting=[1.0], failures=1,
    )  # fmt: skip

    assert str(state) == "2 running: sd15 bf16 on a, sdxl bf16 on b; 1 waiting; 1 failure; about 20 s left"


def test_at_the_end_there_is_nothing_to_say_but_failures() -> None:
    """No time is left."""
    assert str(State(places=1, ended=[(1.0, 1.0)])) == ""
    assert str(State(places=1, ended=[(1.0, 1.0)], failures=2)) == "2 failures"
