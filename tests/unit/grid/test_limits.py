"""Budgets and limits: what their text means, and the one error for each mistake in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.limits import parse_budgets, parse_duration, parse_limits, parse_memory
from pytest_sdbatch.options import to_text

OPTION = "sdbatch marker limit"


def test_limits_are_seconds_bytes_and_images() -> None:
    """Each metric has the unit it is measured in; dashes and underscores are one, blanks do not matter."""
    limits = parse_limits("latency:250ms, peak-memory:20GiB,images_per_s: 1.5", option=OPTION)

    assert limits == {"latency": 0.25, "peak_memory": 20 * 2**30, "images_per_s": 1.5}


def test_a_markers_mapping_is_the_same_text() -> None:
    """A marker is written in Python, and means what the text means."""
    written = {"peak_memory": "20GiB", "images_per_s": 1.5}

    assert parse_limits(to_text(written, option=OPTION), option=OPTION) == {
        "peak_memory": 20 * 2**30,
        "images_per_s": 1.5,
    }


def test_budgets_are_shares() -> None:
    """By how much a case may be worse than its baseline, in percent or as a share of 1."""
    assert parse_budgets("time:3%,peak_memory:0.01", option="sd_budget") == {"time": 0.03, "peak_memory": 0.01}


@pytest.mark.parametrize(
    ("text", "what", "fix"),
    [
        ("peak_memroy:20GiB", "'peak_memroy' is no metric", "did you mean peak_memory?"),
        ("energy:4", "'energy' is no metric", "latency, peak_memory, images_per_s"),
        ("time:4s", "'time' is no metric", "latency, peak_memory, images_per_s"),
        ("latency=4s,peak_memory=8GiB", "a colon parts metric and value", "write latency:4s,peak_memory:8GiB"),
        ("latency:4s,", "a metric is missing", "use one of"),
        ("latency", "latency has no value", "peak-memory:20GiB"),
        ("latency:", "latency has no value", "peak-memory:20GiB"),
        ("latency:4s,latency:5s", "latency appears twice", "once"),
        ("latency:4", "latency:4: no duration", "4s, 250ms or 2min"),
        ("latency:0s", "no duration", "above 0"),
        ("latency:nans", "no duration", "above 0"),
        ("peak_memory:20GB", "no amount of memory", "20GiB or 512MiB"),
        ("peak_memory:-1GiB", "no amount of memory", "above 0"),
        ("peak_memory:1e308TiB", "no amount of memory", "20GiB"),
        ("peak_memory:21474836480", "no amount of memory", "with its unit"),
        ("images_per_s:0", "not a usable number", "more than 0"),
        ("images_per_s:fast", "not a usable number", "more than 0"),
    ],
)
def test_a_mistake_in_a_limit_has_one_clear_error(text: str, what: str, fix: str) -> None:
    """It names the option, the value, and what to write instead."""
    with pytest.raises(OptionError) as raised:
        parse_limits(text, option=OPTION)

    assert raised.value.what.startswith(OPTION)
    assert what in raised.value.what
    assert fix in raised.value.fix


@pytest.mark.parametrize("text", ["time:3", "time:-1%", "peak_memory:0%", "time:4s", "images_per_s:1%"])
def test_a_budget_that_is_no_share_is_refused(text: str) -> None:
    """Three would be three hundred percent; nobody means that."""
    with pytest.raises(OptionError):
        parse_budgets(text, option="sd_budget")


@given(st.floats(min_value=1e-3, max_value=1e6), st.sampled_from([("ms", 1e-3), ("s", 1.0), ("min", 60.0)]))
def test_a_duration_is_its_number_times_its_unit(number: float, unit: tuple[str, float]) -> None:
    """Whatever digits a number is written in."""
    assert parse_duration(f"{number!r}{unit[0]}", option=OPTION) == pytest.approx(number * unit[1])


@given(st.text())
def test_any_text_is_an_amount_or_an_option_error(text: str) -> None:
    """No text ends in another error, or in an amount that no device has."""
    try:
        amount = parse_memory(text, option=OPTION)
    except OptionError:
        return
    assert 0 < amount < float("inf")
