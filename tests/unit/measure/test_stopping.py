"""When rounds and warm-up end."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.location import half_width
from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.measure.stopping import Rules, should_stop, warmup_done
from pytest_sdbatch.options import Options, resolve
from pytest_sdbatch.records import StopReason

seconds = st.floats(min_value=1e-6, max_value=1e3)


def options(**overrides: object) -> Options:
    """Return the options in force with *overrides*."""
    return resolve(command_line={}, ini={}, overrides=overrides)


def stopped_after(walls: list[float], rules: Rules) -> tuple[int, StopReason]:
    """Return after how many of *walls* the rules stop, and why."""
    for done in range(len(walls) + 1):
        reason = should_stop(walls[:done], rules)
        if reason is not None:
            return done, reason
    raise AssertionError("never stopped")


def test_equal_rounds_stop_at_the_least_number() -> None:
    """Without noise five rounds are precise."""
    assert stopped_after([0.5] * 30, Rules()) == (5, StopReason.PRECISION)


def test_noise_goes_on_to_the_most_rounds() -> None:
    """Rounds that differ by a factor of two never get within 1 %."""
    assert stopped_after([0.1, 0.2] * 15, Rules()) == (30, StopReason.MAX_ROUNDS)


def test_seconds_end_a_slow_case_but_not_before_the_least_number() -> None:
    """Rounds of 9 and 13 s pass 20 s at the second; five are made all the same."""
    assert stopped_after([9.0, 13.0] * 15, Rules()) == (5, StopReason.MAX_SECONDS)


def test_a_fixed_number_asks_no_other_rule() -> None:
    """rounds=12 is 12, precise or not, slow or not."""
    assert stopped_after([9.0] * 30, Rules(rounds=12)) == (12, StopReason.FIXED_ROUNDS)


def test_rounds_of_no_time_are_not_precise() -> None:
    """A clock coarser than the work reads 0 s; that is no precision, and no error."""
    assert stopped_after([0.0] * 30, Rules()) == (30, StopReason.MAX_ROUNDS)


def test_fewer_rounds_than_an_interval_needs_can_still_be_asked_for() -> None:
    """min_rounds=3 ends at three by time; precision waits for five."""
    rules = Rules(min_rounds=3)

    assert stopped_after([7.0] * 30, rules) == (3, StopReason.MAX_SECONDS)
    assert stopped_after([0.1] * 30, rules) == (5, StopReason.PRECISION)


@given(walls=st.lists(seconds, min_size=30, max_size=30), least=st.integers(3, 20), extra=st.integers(0, 10))
def test_the_number_of_rounds_is_always_within_its_bounds(walls: list[float], least: int, extra: int) -> None:
    """Whatever is read, the loop ends between min_rounds and max_rounds, and the reason given is true."""
    rules = Rules(min_rounds=least, max_rounds=least + extra)
    done, reason = stopped_after(walls, rules)

    assert least <= done <= least + extra
    if reason is StopReason.PRECISION:
        logs = [math.log(value) for value in walls[:done]]
        assert half_width(logs, confidence=0.99) <= math.log1p(rules.precision)
    elif reason is StopReason.MAX_SECONDS:
        assert sum(walls[:done]) >= rules.max_seconds * (1 - 1e-12)
    else:
        assert done == least + extra


@given(walls=st.lists(seconds, min_size=30, max_size=30), factor=st.sampled_from([0.001, 1000.0]))
def test_precision_does_not_depend_on_the_unit(walls: list[float], factor: float) -> None:
    """The same relative noise stops at the same round, fast or slow."""
    rules = Rules(max_seconds=1e12)

    assert stopped_after(walls, rules) == stopped_after([value * factor for value in walls], rules)


def test_defaults_are_those_of_the_option_table() -> None:
    """The two places where defaults stand agree."""
    assert Rules.from_options(options()) == Rules()


def test_rules_are_read_from_options() -> None:
    """Each option arrives in its field."""
    rules = Rules.from_options(
        options(
            rounds="7", min_rounds="6", max_rounds="9", max_seconds="2.5", precision="3%", warmup_calls="2",
            warmup_seconds="1",
        )
    )  # fmt: skip

    assert rules == Rules(
        rounds=7, min_rounds=6, max_rounds=9, max_seconds=2.5, precision=0.03, warmup_calls=2, warmup_seconds=1.0
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rounds": "2"}, "sd_rounds=2"),
        ({"rounds": "0"}, "sd_rounds=0"),
        ({"min_rounds": "2"}, "sd_min_rounds=2"),
        ({"max_rounds": "4"}, "sd_max_rounds=4 is less than"),
        ({"precision": "0"}, "sd_precision=0"),
        ({"max_seconds": "0"}, "sd_max_seconds=0"),
    ],
)
def test_rules_that_cannot_work_are_refused(given: dict[str, object], words: str) -> None:
    """The message names the option as it was written."""
    with pytest.raises(OptionError, match=words):
        Rules.from_options(options(**given))


@pytest.mark.parametrize(
    ("calls", "done"),
    [
        ([], False),
        ([1.0], False),
        ([1.0, 1.04], True),
        ([1.04, 1.0], True),
        ([1.0, 1.06], False),
        ([1.0, 1.0, 2.0], False),
        ([5.0, 1.0, 1.01], True),
        ([31.0], True),
        ([0.0, 0.0], True),
        ([float(2**i) / 1e3 for i in range(9)], False),
        ([float(2**i) / 1e3 for i in range(10)], True),
    ],
)
def test_warm_up_ends_when_steady_or_at_its_bounds(calls: list[float], done: bool) -> None:
    """Two calls within 5 %, ten calls, or 30 s; never without a call."""
    assert warmup_done(calls, Rules()) is done


def test_one_warm_up_call_is_enough_where_one_is_allowed() -> None:
    """warmup_calls=1 warms up with one call, never with none."""
    assert warmup_done([1.0], Rules(warmup_calls=1))
    assert not warmup_done([], Rules(warmup_calls=1, warmup_seconds=1e-9))
