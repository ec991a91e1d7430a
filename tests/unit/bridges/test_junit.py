"""Properties of a benchmark in a JUnit file."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hostile import names
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.bridges.junit import attach, properties
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Reading, Record, Round

CASE = Case(model="sd15", dtype="fp16", device="cuda:0", height=8, width=8, steps=1, batch_size=4, batch_count=1)


def record(*seconds: float, **fields: Any) -> Record:
    """Return a record of rounds of so many *seconds*."""
    rounds = tuple(Round(wall_s=s, cpu_s=s, call_s=(s,), peak_allocated_bytes=2**30) for s in seconds)
    usual: dict[str, Any] = {"test": "t.py::t", "case": CASE, "outcome": Outcome.OK}
    return Record(**{**usual, "rounds": rounds, "memory_source": "peak_allocated_bytes", **fields})


def test_the_figures_of_a_case_are_there_by_name_and_unit() -> None:
    """What the run file has beside pytest-benchmark's statistics, and how the case ended."""
    found = dict(properties(record(2.0, 2.0, 2.0, cold_start_s=Reading(value=9.5))))

    assert found == {
        "case": "sd15-random-fp16-8x8-s1-b4x1",
        "outcome": "ok",
        "rounds": 3,
        "images_per_s": pytest.approx(2.0),
        "s_per_image": pytest.approx(0.5),
        "peak_memory_bytes": 2**30,
        "peak_memory_measure": "peak_allocated_bytes",
        "cold_start_s": 9.5,
    }


def test_a_case_that_did_not_end_well_has_its_reason_and_no_figures() -> None:
    """Not even those of the rounds that it made."""
    found = dict(properties(record(2.0, outcome=Outcome.INVALID_OUTPUT, reason="image 0 is black")))

    assert found.keys() == {"case", "outcome", "reason", "rounds"}


@given(names, st.lists(st.floats(0, 1e9), max_size=6))
def test_values_are_builtins_that_every_xml_can_hold(text: str, seconds: list[float]) -> None:
    """Text of one line that is only drawn; numbers that are finite."""
    for name, value in properties(record(*seconds, reason=text, outcome=Outcome.THROTTLED)):
        assert type(value) in (str, int, float), name
        assert not isinstance(value, str) or value.isprintable()
        assert isinstance(value, str) or math.isfinite(value)


def test_a_test_that_is_run_again_has_the_properties_of_its_last_attempt(request: pytest.FixtureRequest) -> None:
    """Those of others stay."""
    item, before = request.node, list(request.node.user_properties)
    item.user_properties.append(("theirs", 1))

    attach(item, record(2.0, outcome=Outcome.CRASHED))
    attach(item, record(2.0, 2.0, 2.0))

    found = [name for name, _ in item.user_properties]
    assert ("theirs", 1) in item.user_properties
    assert found.count("sdbatch.outcome") == 1
    assert dict(item.user_properties)["sdbatch.outcome"] == "ok"
    item.user_properties[:] = before
