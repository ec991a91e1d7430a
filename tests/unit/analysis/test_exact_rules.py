"""What fails a test of its own: no chance is involved, so one run of one case tells it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compared import GIB, ended, facts, measured

from pytest_sdbatch.analysis.exact_rules import broken_limits, exact_regression, unknown_limits
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Outcome, Record, Round

CASE = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=4, batch_count=2)
ROUNDS = tuple(Round(wall_s=2.0, cpu_s=2.0, call_s=(1.0, 1.0), peak_allocated_bytes=3 * GIB) for _ in range(5))
RECORD = Record(
    test="test_it.py::test_it", case=CASE, outcome=Outcome.OK, rounds=ROUNDS, memory_source="peak_allocated_bytes"
)


def test_out_of_memory_where_it_was_ok_is_a_regression() -> None:
    """The code needs more than it did; a case that never fitted is none."""
    oom = ended(8, "oom", "the denoiser asked for 2 GiB")

    found = exact_regression([measured(8)], oom)

    assert found is not None
    assert found.reason == "ok before, oom now: the denoiser asked for 2 GiB"
    assert exact_regression([ended(8, "oom")], oom) is None


def test_a_case_that_went_well_once_could() -> None:
    """One of the stored runs was ok: then it is the code, or the card is too full, which the test shall say."""
    assert exact_regression([ended(8, "oom"), measured(8)], ended(8, "oom")) is not None


@pytest.mark.parametrize(
    ("peak", "tolerance", "regressed"), [(4.01, 0.005, False), (4.1, 0.005, True), (4.1, 0.05, False)]
)
def test_peak_memory_over_its_budget_is_a_regression(peak: float, tolerance: float, *, regressed: bool) -> None:
    """Memory repeats to the byte, so that one run is enough; the budget is the marker's."""
    now = measured(1, peak_bytes=[int(peak * GIB)] * 6)

    assert (exact_regression([measured(1)], now, memory_tolerance=tolerance) is not None) is regressed


def test_memory_that_varies_is_left_to_statistics() -> None:
    """What differs from round to round is decided as time is, with all cases, after the loop."""
    now = measured(1, peak_bytes=[5 * GIB, 6 * GIB] * 3)

    assert exact_regression([measured(1)], now) is None


def test_a_slower_case_is_no_exact_regression() -> None:
    """A verdict on time takes several processes, however slow one was."""
    assert exact_regression([measured(1, call_s=1.0)], measured(1, call_s=9.0)) is None


@pytest.mark.parametrize("moved", [{"must_match": {"device_name": "Other"}}, {"drift": {"driver": "590"}}])
def test_what_moved_beside_the_code_is_not_held_against_it(moved: dict[str, dict[str, str]]) -> None:
    """Another card has other memory; another driver may take more of it."""
    assert exact_regression([measured(8)], ended(8, "oom", facts=facts(**moved))) is None


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        ({"latency": 1.0, "peak_memory": 3.0 * GIB, "images_per_s": 4.0}, []),
        ({"latency": 0.9}, ["1.00 s per call, at most 900 ms"]),
        ({"peak_memory": 2.0 * GIB}, ["peak memory 3.00 GiB, at most 2.00 GiB"]),
        ({"images_per_s": 4.5}, ["4.00 images/s, at least 4.50 images/s"]),
    ],
)
def test_a_limit_is_broken_by_a_number_beyond_it(limits: dict[str, float], broken: list[str]) -> None:
    """Four images a call, two calls in two seconds: one second a call and four images a second. Equal is kept."""
    assert broken_limits(RECORD, limits) == broken


def test_times_that_tell_nothing_break_no_limit() -> None:
    """A device that was slowed down by heat says nothing of the code's speed, and all of its memory."""
    limits = {"latency": 0.1, "peak_memory": 1.0 * GIB}

    assert broken_limits(RECORD, limits, timed=False) == ["peak memory 3.00 GiB, at most 1.00 GiB"]


def test_a_case_without_rounds_breaks_no_limit() -> None:
    """Its outcome says what is wrong with it."""
    assert broken_limits(replace(RECORD, rounds=(), outcome=Outcome.OOM), {"latency": 0.1}) == []


def test_a_limit_that_cannot_be_looked_at_is_told() -> None:
    """A figure that this device does not have is not a limit that was kept."""
    blind = replace(RECORD, memory_source=None, memory_reason="Windows has no such figure")

    assert unknown_limits(blind, {"peak_memory": 1.0}) == ["peak memory is not known: Windows has no such figure"]
    assert unknown_limits(RECORD, {"peak_memory": 1.0}) == []
    assert unknown_limits(blind, {"latency": 1.0}) == []
