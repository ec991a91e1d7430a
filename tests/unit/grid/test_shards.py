"""Shards: their grammar, and the plan by which every machine knows what is its own."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.grid.shards import Shard, deal, parse_shard, seconds_of, work
from pytest_sdbatch.grid.training import Training

SECONDS = st.floats(min_value=0.001, max_value=1e6)
PARTS = st.lists(st.tuples(st.integers(0, 8), SECONDS), min_size=1, max_size=30)


@given(st.integers(1, 999_999), st.integers(1, 999_999))
def test_a_shard_is_read_as_it_is_written(number: int, count: int) -> None:
    """The text of every shard names it."""
    shard = Shard(number=min(number, count), count=max(number, count))
    assert parse_shard(f" {shard} ", option="sd_shard") == shard


@pytest.mark.parametrize("text", ["0/4", "5/4", "1/0", "1", "/", "1/", "-1/4", "1/4/2", "1.0/4", "1 of 4", "", "²/4"])
def test_any_other_text_is_refused_with_what_to_write(text: str) -> None:
    """A shard that is none names no other one by mistake."""
    with pytest.raises(OptionError, match=r"(?s)no shard.*1/4, 2/4"):
        parse_shard(text, option="sd_shard")


@given(PARTS, st.integers(1, 12))
def test_every_key_is_dealt_once_and_to_a_shard_that_there_is(parts: list[tuple[int, float]], count: int) -> None:
    """Nothing is measured twice, nothing is forgotten, and what shares a key stays together."""
    dealt = deal(parts, count)

    assert set(dealt) == {key for key, _ in parts}
    assert all(1 <= number <= count for number in dealt.values())


@given(st.lists(SECONDS, min_size=1, max_size=6), st.integers(1, 3))
def test_the_longest_shard_is_at_most_a_third_longer_than_in_the_best_plan(seconds: list[float], count: int) -> None:
    """Graham's bound, against all plans that there are."""

    def longest(plan: Sequence[int]) -> float:
        loads = [math.fsum(s for s, n in zip(seconds, plan, strict=True) if n == number) for number in range(count)]
        return max(loads)

    dealt = deal(enumerate(seconds), count)
    best = min(map(longest, itertools.product(range(count), repeat=len(seconds))))

    assert longest([dealt[key] - 1 for key in range(len(seconds))]) <= 4 / 3 * best * (1 + 1e-9)


def test_a_plan_worked_by_hand() -> None:
    """The longest first, each to the shard that has least; the parts of a key add up."""
    parts = [("a", 3.0), ("b", 4.0), ("a", 4.0), ("c", 5.0), ("d", 1.0)]

    assert deal(parts, 2) == {"a": 1, "c": 2, "b": 2, "d": 1}


def test_equals_are_dealt_in_the_order_in_which_they_came() -> None:
    """Every machine makes the same plan."""
    assert deal([(name, 1.0) for name in "dcba"], 2) == {"d": 1, "c": 2, "b": 1, "a": 2}


def test_keys_that_take_no_time_are_dealt_evenly() -> None:
    """Whoever halves them gets two parts, neither of them empty."""
    assert deal([(name, 0.0) for name in "abcd"], 2) == {"a": 1, "b": 2, "c": 1, "d": 2}
    assert deal([("a", 1.0), ("b", 0.0), ("c", 0.0), ("d", 1.0)], 2) == {"a": 1, "d": 2, "b": 1, "c": 2}


def test_more_shards_than_keys_leave_shards_without_any() -> None:
    """No pipeline is parted over devices, whose times are not one curve."""
    assert deal([("a", 1.0), ("a", 2.0)], 3) == {"a": 1}


def test_what_was_not_recorded_is_estimated_at_the_pace_of_what_was() -> None:
    """4 s for a work of 2 make 2 s of each unit of work."""
    assert seconds_of([2.0, 3.0, 5.0], [4.0, None, 11.0]) == pytest.approx((4.0, 3 * 15 / 7, 11.0))


def test_without_records_the_works_themselves_are_compared() -> None:
    """Their ratios are all that a plan needs."""
    assert seconds_of([2.0, 3.0], [None, None]) == (2.0, 3.0)


def test_work_grows_with_all_that_a_round_makes() -> None:
    """Twice the images, steps, pixels, frames or parameters are twice the work; training goes backward too."""
    usual = Case(
        model="m", dtype="fp32", device="cpu", height=64, width=32, frames=2, steps=5, batch_size=2, batch_count=3
    )
    twice: list[dict[str, Any]] = [{"batch_size": 4}, {"batch_count": 6}, {"steps": 10}, {"height": 128}]
    twice += [{"width": 64}, {"frames": 4}]

    assert {work(replace(usual, **changes), 10) for changes in twice} == {work(usual, 20)} == {2 * work(usual, 10)}
    trains = replace(usual, batch_count=1, training=Training())
    assert work(trains, 10) == 3 * work(replace(usual, batch_count=1), 10)
