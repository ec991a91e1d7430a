"""Peak memory: nearly the same to the byte every time, so compared as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.exact import compare_exact, of_bytes
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

MIB = 2**20
SIZES = st.integers(0, 2**40)


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1000 * MIB, 1005 * MIB, Verdict.UNCHANGED),
        (1000 * MIB, 1005 * MIB + 1, Verdict.REGRESSED),
        (1000 * MIB, 995 * MIB, Verdict.UNCHANGED),
        (1000 * MIB, 995 * MIB - 1, Verdict.IMPROVED),
        (100 * MIB, 102 * MIB, Verdict.UNCHANGED),
        (100 * MIB, 102 * MIB + 1, Verdict.REGRESSED),
        (0, 2 * MIB, Verdict.UNCHANGED),
    ],
)
def test_a_byte_beyond_the_tolerance_decides(before: int, after: int, verdict: Verdict) -> None:
    """Half a percent or 2 MiB, whichever is more: by hand, to the byte."""
    found = compare_exact([[before] * 3], [[after] * 3])

    assert found is not None
    assert found.verdict is verdict


def test_rounds_that_differ_are_decided_as_time_is() -> None:
    """A byte's difference within a run is chance: only statistics may speak then."""
    assert compare_exact([[5 * MIB, 5 * MIB + 512]], [[9 * MIB] * 2]) is None
    assert compare_exact([[5 * MIB] * 2], [[9 * MIB, 9 * MIB + 512]]) is None


def test_of_several_runs_the_median_counts() -> None:
    """One process that allocated otherwise does not decide."""
    found = compare_exact([[10 * MIB], [10 * MIB], [90 * MIB]], [[10 * MIB], [90 * MIB], [10 * MIB]])

    assert found is not None
    assert found.verdict is Verdict.UNCHANGED


def test_a_budget_is_the_tolerance() -> None:
    """``budget={"peak_memory": "1%"}`` allows 10 MiB of 1000."""
    found = compare_exact([[1000 * MIB]], [[1010 * MIB]], tolerance=0.01)

    assert found is not None
    assert found.verdict is Verdict.UNCHANGED
    assert found.estimate == pytest.approx(0.01)


@given(SIZES, SIZES)
def test_what_regressed_one_way_never_regressed_the_other(one: int, other: int) -> None:
    """Swapping the sides never leaves a regression, and equal readings are unchanged."""
    there, back = compare_exact([[one]], [[other]]), compare_exact([[other]], [[one]])

    assert there is not None
    assert back is not None
    assert not (there.verdict is back.verdict is Verdict.REGRESSED)
    assert (there.verdict is back.verdict is Verdict.UNCHANGED) or one != other


@pytest.mark.parametrize(
    ("base", "candidate", "tolerance", "match"),
    [
        ([], [[1]], 0.0, "one run or more"),
        ([[1]], [[]], 0.0, "one round or more"),
        ([[1]], [[-1]], 0.0, "not negative"),
        ([[1]], [[1]], -0.1, "tolerance"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    base: list[list[int]], candidate: list[list[int]], tolerance: float, match: str
) -> None:
    """Nothing measured is no agreement."""
    with pytest.raises(ValueError, match=match):
        compare_exact(base, candidate, tolerance=tolerance)


@pytest.mark.parametrize(
    ("before", "after", "verdict", "said"),
    [
        (20 * MIB, 21 * MIB, Verdict.REGRESSED, "2.00 MiB more or less are always allowed"),
        (21 * MIB, 20 * MIB, Verdict.IMPROVED, "2.00 MiB more or less are always allowed"),
        (20 * MIB, 30 * MIB, Verdict.REGRESSED, "larger by more than 3 %, beyond chance"),
    ],
)
def test_memory_that_varies_is_told_in_bytes(before: int, after: int, verdict: Verdict, said: str) -> None:
    """It was decided as time is; what is always allowed is so here, too."""
    reason = f"{'slower' if verdict is Verdict.REGRESSED else 'faster'} by more than 3 %, beyond chance"

    found = of_bytes(CaseVerdict(verdict=verdict, reason=reason), [[before] * 5], [[after] * 5])

    assert found.reason == said
    assert found.verdict is (Verdict.UNCHANGED if "allowed" in said else verdict)
