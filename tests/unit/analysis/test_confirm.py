"""Testing suspects: two looks, who runs on, who stops."""

from __future__ import annotations

import math

import pytest
from gate_jobs import Replay, pairs_of

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.confirm import confirm
from pytest_sdbatch.analysis.pairs import PairSource
from pytest_sdbatch.analysis.screen import Spread
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

NAN = math.nan
CLEAR = [0.04, 0.05, 0.05, 0.06]  # t = 12.2, p = 0.0006
VAGUE = [0.00, 0.02, 0.02, 0.04]  # t = 2.45, p = 0.046: not at the first look
FLAT = [-0.001, 0.001, 0.001, -0.001]  # its upper limit is 0.0018, below ln 1.01
NOTHING = Spread(stdev=0.0, freedom=0)
WILD = [-0.2, 0.2, 0.2, -0.2]


def confirmed(
    suspects: dict[str, list[float]],
    *,
    companions: dict[str, list[float]] | None = None,
    spread: float = 0.0,
    freedom: int = 1000,
) -> tuple[dict[str, CaseVerdict], Replay]:
    """Run both looks on recorded ln-ratios."""
    companions = companions or {}
    replay = Replay(pairs_of(suspects | companions))
    screened = Spread(stdev=spread, freedom=freedom)
    verdicts, _ = confirm(
        PairSource(replay), Config(), suspects=tuple(suspects), companions=tuple(companions), screened=screened
    )
    return verdicts, replay


def test_a_clear_regression_ends_at_the_first_look() -> None:
    """Four pairs, not eight."""
    verdicts, replay = confirmed({"a": CLEAR + [0.0] * 4})

    assert (verdicts["a"].verdict, verdicts["a"].pairs) == (Verdict.REGRESSED, 4)
    assert verdicts["a"].p == pytest.approx(0.000586, rel=1e-2)
    assert replay.asked == [(("a",), 4)]


def test_a_suspect_no_slower_than_its_tolerance_ends_at_the_first_look() -> None:
    """Nothing is left to look for."""
    verdicts, replay = confirmed({"a": FLAT + [1.0] * 4})

    assert (verdicts["a"].verdict, verdicts["a"].pairs) == (Verdict.UNCHANGED, 4)
    assert replay.asked == [(("a",), 4)]


def test_a_suspect_within_the_margin_alone_runs_on() -> None:
    """Unchanged by the margin of 5 %, but 2 % slower: ended here most small regressions would be missed."""
    tight = [0.015, 0.02, 0.02, 0.025]
    strict = {f"flat {k}": FLAT for k in range(9)}  # a family of ten: 0.0026 > 0.0024 / 10

    _, replay = confirmed({"a": tight * 2} | {case: values * 2 for case, values in strict.items()})

    assert replay.asked[1] == (("a",), 4)


def test_the_second_look_sees_all_eight_pairs() -> None:
    """What was vague becomes clear: eight pairs, tested against 0.7 alpha."""
    verdicts, replay = confirmed({"a": VAGUE + [0.02] * 4})

    assert (verdicts["a"].verdict, verdicts["a"].pairs) == (Verdict.REGRESSED, 8)
    assert verdicts["a"].estimate == pytest.approx(math.expm1(0.02))
    assert len(replay.asked) == 2


def test_only_what_is_open_runs_on() -> None:
    """Processes are dear."""
    _, replay = confirmed({"a": CLEAR + [0.05] * 4, "b": VAGUE + [0.02] * 4, "c": FLAT * 2})

    assert replay.asked == [(("a", "b", "c"), 4), (("b",), 4)]


@pytest.mark.parametrize(("others", "verdict"), [(0, Verdict.REGRESSED), (9, Verdict.UNCHANGED)])
def test_the_family_keeps_its_size_at_the_second_look(others: int, verdict: Verdict) -> None:
    """By hand: t = 0.012 / (0.00855 / sqrt 8) = 3.97, p = 0.0027: below 0.0056, not below 0.0056 / 10."""
    values = [0.004, 0.020] * 4

    verdicts, _ = confirmed({"a": values} | {f"flat {k}": FLAT * 2 for k in range(others)})

    assert verdicts["a"].p == pytest.approx(0.0027, rel=0.02)
    assert (verdicts["a"].verdict, verdicts["a"].pairs) == (verdict, 8)


@pytest.mark.parametrize(
    "values",
    [
        [0.0115, 0.02, 0.02, 0.0285] + [-0.06, 0.1] * 2,  # first look: t = 5.76, p = 0.0052 > 0.3 alpha = 0.0024
        [0.00229, 0.02171] * 4,  # second look: t = 3.27, p = 0.0068 > 0.7 alpha = 0.0056
    ],
)
def test_each_look_spends_its_share_and_no_more(values: list[float]) -> None:
    """Both p are below alpha, 0.008: the two looks together would spend twice what was promised."""
    verdicts, _ = confirmed({"a": values})

    assert verdicts["a"].verdict is not Verdict.REGRESSED
    assert verdicts["a"].pairs == 8


def test_rejected_stays_rejected() -> None:
    """Beyond chance at the first look but 0.9 %; at the second look it is above 1 %, though noisier."""
    first, second = [0.0066, 0.0090, 0.0090, 0.0114], [0.0, 0.0, 0.04, 0.04]

    verdicts, _ = confirmed({"a": first + second})

    assert verdicts["a"].p is not None
    assert verdicts["a"].p > 0.0056
    assert verdicts["a"].verdict is Verdict.REGRESSED


@pytest.mark.parametrize(
    ("spread", "asked"),
    [(0.007, [(("a",), 4)]), (0.02, [(("a",), 4), (("a",), 4)])],
)
def test_four_values_that_are_alike_prove_no_more_than_the_spread_of_all_cases_allows(
    spread: float, asked: list[tuple[tuple[str, ...], int]]
) -> None:
    """By hand: 0.05 / (0.02 / 2) = 5, p = 0.0077 with 3 degrees of freedom; 0.0024 are needed. Eight decide alone."""
    verdicts, replay = confirmed({"a": [0.05, 0.05, 0.05, 0.05001] * 2}, spread=spread)

    assert replay.asked == asked
    assert verdicts["a"].verdict is Verdict.REGRESSED


def test_two_screening_pairs_of_an_only_case_count_as_little_as_they_are() -> None:
    """By hand: 0.02 of 1 degree of freedom and 0 of 3 are 0.01 together, so that 0.05 / (0.01 / 2) = 10, p = 0.001."""
    alike = {"a": [0.05, 0.05, 0.05, 0.05001] * 2}

    assert confirmed(alike, spread=0.02, freedom=1)[1].asked == [(("a",), 4)]
    assert len(confirmed(alike, spread=0.02, freedom=12)[1].asked) == 2


def test_what_four_pairs_can_find_is_told_by_the_spread_that_they_were_tested_by() -> None:
    """Not by four values that are alike; the interval is that of the case."""
    alike = {"a": [0.001, 0.001, 0.001, 0.00101]}

    own = confirmed(alike)[0]["a"]
    all_ = confirmed(alike, spread=0.02)[0]["a"]

    assert own.minimum_detectable_effect is not None
    assert all_.minimum_detectable_effect is not None
    assert own.minimum_detectable_effect < 0.001
    assert all_.minimum_detectable_effect == pytest.approx(0.0664, abs=0.002)
    assert own.interval == all_.interval


def test_what_is_faster_is_no_surer_either() -> None:
    """By hand: 0.05 - 0.01 / (0.03 / 2) = 2.7, p = 0.037; alone 0.025 is needed."""
    values = {"a": [-0.05, -0.05, -0.05, -0.05001]}

    assert confirmed({}, companions=values)[0]["a"].verdict is Verdict.IMPROVED
    assert confirmed({}, companions=values, spread=0.03)[0]["a"].verdict is Verdict.UNCHANGED


def test_companions_run_along_until_the_first_look_and_are_never_regressed() -> None:
    """They were not in the family: nothing was set aside for testing them."""
    verdicts, replay = confirmed({"a": VAGUE * 2}, companions={"b": CLEAR * 2, "c": FLAT * 2, "d": WILD * 2})

    assert replay.asked == [(("a", "b", "c", "d"), 4), (("a",), 4)]
    assert [verdicts[case].verdict for case in "bcd"] == [
        Verdict.INCONCLUSIVE,
        Verdict.UNCHANGED,
        Verdict.INCONCLUSIVE,
    ]
    assert all(verdicts[case].p is None for case in "bcd")


def test_companions_run_without_any_suspect() -> None:
    """Two pairs were too few to call them unchanged; four more often are enough."""
    verdicts, replay = confirmed({}, companions={"a": FLAT * 2})

    assert replay.asked == [(("a",), 4)]
    assert verdicts["a"].verdict is Verdict.UNCHANGED


def test_nobody_to_test_runs_nothing() -> None:
    """A clean job on a quiet machine costs its two pairs."""
    replay = Replay(pairs_of({"a": FLAT}))

    assert confirm(PairSource(replay), Config(), suspects=(), companions=(), screened=NOTHING) == (
        {},
        {},
    )
    assert replay.asked == []


@pytest.mark.parametrize(
    ("values", "verdict", "pairs"),
    [
        ([0.05, 0.05, 0.05], Verdict.INCONCLUSIVE, 3),  # interrupted before the first look
        ([0.05, NAN, 0.05, 0.05], Verdict.INCONCLUSIVE, 3),  # and nothing more came
        ([0.01, 0.02, 0.02, 0.03, 0.02, 0.02], Verdict.REGRESSED, 6),  # p at four 0.0082, at six 0.0002
        ([0.033, 0.05, 0.05, 0.067], Verdict.INCONCLUSIVE, 4),  # p 0.0028: enough at the second look, had pairs come
        ([NAN, 0.05, 0.05, 0.05, 0.05, NAN, NAN, NAN], Verdict.REGRESSED, 4),  # four are enough
        ([NAN, 0.05, 0.05, 0.05, NAN, NAN, NAN, NAN], Verdict.INCONCLUSIVE, 3),
    ],
)
def test_what_came_is_judged_if_it_is_four_pairs(values: list[float], verdict: Verdict, pairs: int) -> None:
    """Fewer say nothing, however clear."""
    verdicts, _ = confirmed({"a": values})

    assert (verdicts["a"].verdict, verdicts["a"].pairs) == (verdict, pairs)


def test_a_case_without_a_pair_has_no_verdict() -> None:
    """What the screening said of it stands."""
    source = PairSource(Replay([]))

    assert confirm(source, Config(), suspects=("a",), companions=(), screened=NOTHING) == ({}, {})
    assert source.interrupted
