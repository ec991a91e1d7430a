"""What one node measures in one process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from clusters import grid
from hypothesis import given
from hypothesis import strategies as st
from reported import record

from pytest_sdbatch.commands.cluster.groups import groups_of
from pytest_sdbatch.records import Record, full_name


def test_a_pipeline_is_one_group_and_the_longest_is_first() -> None:
    """Whatever the order of the grid: the one that takes longest must not begin last."""
    records = grid(sd15=(1, 2), sdxl=(1, 2))

    groups = groups_of(records, [1.0, 1.0, 5.0, 5.0], places=2)

    assert [group.title for group in groups] == ["sdxl-random bf16", "sd15-random bf16"]
    assert [group.weight for group in groups] == [10.0, 2.0]
    assert [len(group.names) for group in groups] == [2, 2]


def test_cases_stay_in_the_order_of_the_grid() -> None:
    """Sizes ascend within a group, so that a ladder ends where memory does."""
    (group,) = groups_of(grid(sd15=(1, 2, 4, 8)), [1.0] * 4, places=1)

    assert [name.rpartition("-b")[2] for name in group.names] == ["1x1]", "2x1]", "4x1]", "8x1]"]


def curves(**changes: Sequence[int]) -> tuple[Record, ...]:
    """Return records of one pipeline at several steps, each with its batch sizes."""
    found = []
    for steps, sizes in changes.items():
        for size in sizes:
            one = record(size)
            found.append(replace(one, case=replace(one.case, steps=int(steps[1:]))))
    return tuple(found)


def test_a_pipeline_is_parted_along_its_curves_where_places_would_be_idle() -> None:
    """A curve over batch size is of one process; two curves of one pipeline may be of two."""
    records = curves(s10=(1, 2), s20=(1, 2), s40=(1, 2))

    whole = groups_of(records, [1.0, 1.0, 2.0, 2.0, 4.0, 4.0], places=1)
    parted = groups_of(records, [1.0, 1.0, 2.0, 2.0, 4.0, 4.0], places=2)
    most = groups_of(records, [1.0, 1.0, 2.0, 2.0, 4.0, 4.0], places=8)

    assert [group.weight for group in whole] == [14.0]
    assert [group.weight for group in parted] == [8.0, 6.0]
    assert [group.weight for group in most] == [8.0, 4.0, 2.0]
    assert ["-s40-" in name for name in parted[0].names] == [True, True]
    assert parted[0].title.endswith("-s40")


def test_a_pipeline_of_which_no_time_is_known_is_parted_too() -> None:
    """Seconds of 0 are figures as well: no part is empty, and none is forgotten."""
    groups = groups_of(curves(s10=(1, 2), s20=(1, 2), s40=(1, 2)), [0.0] * 6, places=8)

    assert [(group.weight, len(group.names)) for group in groups] == [(0.0, 2)] * 3


def test_tests_with_a_pipeline_of_their_own_are_groups_of_their_own() -> None:
    """Nobody knows what they load."""
    records = [record(size, model=None, test=f"test_x.py::{name}") for name in ("test_a", "test_b") for size in (1, 2)]

    groups = groups_of(records, [1.0] * 4, places=1)

    assert [group.title for group in groups] == ["test_a", "test_b"]


SECONDS = st.just(0.0) | st.floats(0.001, 1e6)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 4), SECONDS), min_size=1, max_size=20),
       st.integers(1, 6))  # fmt: skip
def test_every_case_is_in_one_group(cases: list[tuple[str, int, float]], places: int) -> None:
    """Nothing is measured twice or forgotten, and no group is empty, however many places there are."""
    found = {(model, size): seconds for model, size, seconds in cases}
    records = [record(size, model=model) for model, size in found]

    groups = groups_of(records, list(found.values()), places=places)

    names = [name for group in groups for name in group.names]
    assert sorted(names) == sorted(full_name(one.test, one.case) for one in records)
    assert all(group.names for group in groups)
    assert [group.weight for group in groups] == sorted((group.weight for group in groups), reverse=True)
    assert sum(group.weight for group in groups) == pytest.approx(sum(found.values()))
