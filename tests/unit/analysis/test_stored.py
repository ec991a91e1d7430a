"""Stored runs against new ones: SciPy as oracle, and what too few runs and a machine that moved allow to say."""

from __future__ import annotations

import math

import pytest
from gate_jobs import run_of
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis import Config, Decision, Verdict, decide
from pytest_sdbatch.analysis.estimate import p_value
from pytest_sdbatch.analysis.stored import stored_estimates

LOGS = st.lists(st.integers(-100, 100), min_size=1, max_size=6, unique=True).map(lambda logs: [k / 1000 for k in logs])
BASE = (-0.002, -0.001, 0.0, 0.001, 0.002)


def stored(base: tuple[float, ...], candidate: tuple[float, ...], config: Config | None = None) -> Decision:
    """Decide on runs of one case at these ln s."""
    return decide([run_of(a=log) for log in base], [run_of(a=log) for log in candidate], None, config)


@given(LOGS, LOGS, st.floats(-0.05, 0.05))
def test_error_and_p_are_those_of_scipys_pooled_t_test(base: list[float], new: list[float], against: float) -> None:
    """Variance pooled within the sides, K + R - 2 degrees of freedom."""
    assume(len(base) + len(new) > 2)
    found = stored_estimates([{"a": log} for log in base], [{"a": log} for log in new], ["a"])["a"]

    expected = stats.ttest_ind([log - against for log in new], base, alternative="greater")

    assert found.freedom == len(base) + len(new) - 2
    assert p_value(found, against=against) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("slower", "verdict"),
    [
        (0.000, Verdict.UNCHANGED),
        (0.025, Verdict.INCONCLUSIVE),  # beyond chance, but the machine may have moved by 3 %
        (0.031, Verdict.INCONCLUSIVE),  # 3.1 %: not beyond chance above 3 %
        (0.060, Verdict.REGRESSED),
        (-0.025, Verdict.UNCHANGED),
        (-0.060, Verdict.IMPROVED),
    ],
)
def test_time_is_red_only_beyond_the_drift(slower: float, verdict: Verdict) -> None:
    """Everything less that looks slower is inconclusive; faster counts as improved beyond the drift too."""
    found = stored(BASE, tuple(slower + log for log in BASE[:4]))

    assert found.verdicts["a"].verdict is verdict
    assert (found.suspects == ("a",)) is (slower > 0.02)


@pytest.mark.parametrize(("base", "candidate"), [(1, 1), (1, 3), (3, 1), (2, 2)])
@pytest.mark.parametrize("slower", [-0.5, 0.0, 0.5])
def test_fewer_than_five_runs_are_at_most_inconclusive(base: int, candidate: int, slower: float) -> None:
    """Whatever they look like."""
    found = stored(BASE[:base], tuple(slower + log for log in BASE[:candidate])).verdicts["a"]

    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == f"{base + candidate} runs of both sides, 5 are needed"
    assert found.p is None


def test_one_run_against_five_may_be_red() -> None:
    """K + R = 6; the spread is the baseline's."""
    assert stored(BASE, (0.2,)).verdicts["a"].verdict is Verdict.REGRESSED


def test_a_suspect_may_have_more_runs_than_the_rest() -> None:
    """Only suspects are run again."""
    base = [run_of(a=log, b=log) for log in BASE]
    candidate = [run_of(a=0.06, b=0.0), *(run_of(a=0.06 + log) for log in BASE[:3])]

    found = decide(base, candidate, None)

    assert {case: item.verdict for case, item in found.verdicts.items()} == {
        "a": Verdict.REGRESSED,
        "b": Verdict.UNCHANGED,
    }


@pytest.mark.parametrize(("others", "verdict"), [(0, Verdict.REGRESSED), (99, Verdict.INCONCLUSIVE)])
def test_the_family_is_all_cases(others: int, verdict: Verdict) -> None:
    """The screen shares its baseline with the decision. By hand: p = 0.0012, below 0.008 but not below 0.008 / 100."""
    logs = {f"other {k}": 0.0 for k in range(others)}
    base = [run_of(a=log, **logs) for log in BASE]
    candidate = [run_of(a=0.0345 + log, **logs) for log in BASE[:4]]

    found = decide(base, candidate, None).verdicts["a"]

    # Means differ by 0.034 - 0.02956 = 0.00444; variance (10 + 5) 1e-6 / 7, error 0.000982, t = 4.52, 7 df.
    assert found.p == pytest.approx(stats.t.sf(4.52, 7), rel=0.02)
    assert found.verdict is verdict


def test_more_pairs_are_those_of_ab() -> None:
    """No pairs were run; to settle it, ``ab`` needs as many as a pair's stdev, sqrt 2 of a run's, asks for."""
    noisy = tuple(10 * log for log in BASE)
    found = stored(noisy, tuple(0.025 + log for log in noisy)).verdicts["a"]

    student = stats.t(8)
    reach = student.ppf(1 - 0.008) + student.ppf(0.8)
    spread = math.sqrt(2 * 2.5e-4)
    assert (found.pairs, found.needs_more) == (0, math.ceil((reach * spread / math.log(1.01)) ** 2))
    assert found.minimum_detectable_effect == pytest.approx(1.03 * math.exp(reach * spread / math.sqrt(5)) - 1)


def test_a_smaller_drift_can_be_promised() -> None:
    """On a machine that is known to stay where it is."""
    candidate = tuple(0.025 + log for log in BASE)

    assert stored(BASE, candidate, Config(drift=0.01)).verdicts["a"].verdict is Verdict.REGRESSED


def test_without_any_runs_of_a_side_nothing_is_compared_and_all_is_shown() -> None:
    """No baseline at all is no agreement."""
    assert stored((), BASE).verdicts["a"].verdict is Verdict.NEW
    assert stored(BASE, ()).verdicts["a"].verdict is Verdict.MISSING
    assert stored((), ()).verdicts == {}
