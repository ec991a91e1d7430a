"""What fails a test of its own: no chance is involved, so one run of one case tells it."""

from __future__ import annotations

import pytest
from compared import GIB, ended, facts, measured

from pytest_sdbatch.analysis.exact_rules import exact_regression


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
