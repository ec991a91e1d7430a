"""Cases in groups and views."""

from __future__ import annotations

from dataclasses import replace

from reported import record, reported, run

from pytest_sdbatch.grid.training import Training
from pytest_sdbatch.report.page.subject import Subject, subject_of


def test_a_view_holds_the_same_cases_of_all_sources(two: Subject) -> None:
    """Two GPUs are drawn into one figure, each in its colour."""
    (view,) = two.views

    assert view.name == "sd15-random-bf16-512x512-s20"
    assert [(group.color, group.source) for group in view.groups] == [(0, "NVIDIA H100 80GB HBM3"), (1, "NVIDIA L4")]
    assert [len(records) for records in view.groups[0].by_run.values()] == [2] * 5


def test_views_of_several_tests_say_whose_they_are() -> None:
    """Their functions' names, or the whole node id where two share it."""
    tests = ("a.py::test_one", "a.py::test_two", "b.py::test_two")
    made = subject_of(reported([run(*(record(size, test=test) for test in tests for size in (1, 2)))]))

    assert [view.name.partition(": ")[0] for view in made.views] == ["test_one", "a.py::test_two", "b.py::test_two"]


def test_what_is_recommended_is_what_the_answer_names(one: Subject) -> None:
    """The sweet spot, the chosen split, and for a tiny model nothing."""
    assert one.views[0].groups[0].recommended == 16
    split = subject_of(reported([run(*(record(size, batch_count=16 // size) for size in (1, 2, 4, 8, 16)))]))
    assert split.views[0].groups[0].plan is not None
    assert split.views[0].groups[0].recommended == 16
    tiny = subject_of(reported([run(*(record(size, model="tiny-sd") for size in (1, 2, 4)))]))
    assert tiny.views[0].groups[0].recommended is None


def test_what_was_decided_once_is_not_decided_again(one: Subject) -> None:
    """The sentence and the figure cannot differ."""
    group = one.views[0].groups[0]

    assert one.choose(group.points, (), 0.05) is group.choice
    assert one.choose(group.points[:3], (), 0.05) is not group.choice


def test_a_group_that_trains_has_no_split_to_choose() -> None:
    """Batch counts of training are batches of an epoch: 1x16 and 4x4 make no splits of 16 images."""
    records = [record(size, batch_count=16 // size) for size in (1, 2, 4)]
    trained = [replace(one, case=replace(one.case, training=Training())) for one in records]
    (view,) = subject_of(reported([run(*trained)])).views

    assert (view.groups[0].plan, view.groups[0].choice, view.groups[0].points) == (None, None, ())
