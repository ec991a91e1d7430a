"""What a job would find: the formula of the verdicts, and shares of jobs that decide itself confirms."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import pytest
from gate_jobs import SCATTER, Replay, pairs_of
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pytest_sdbatch.analysis import Config, Verdict, decide
from pytest_sdbatch.analysis.calibration import Calibration, Detectable, calibrate
from pytest_sdbatch.analysis.comparable import Facts
from pytest_sdbatch.analysis.sides import Measured, Place, SideRun

LEVELS = st.lists(st.integers(-50, 50).map(lambda value: value / 1000), min_size=3, max_size=8)


def processes_of(levels: Mapping[str, Sequence[float]], **fields: object) -> list[SideRun]:
    """Return a run for each level: its cases lie at these ln s."""
    number = len(next(iter(levels.values())))
    return [
        SideRun(
            id=str(at),
            file=f"{at}.json",
            started_at="2026-11-25",
            cases={
                name: Measured(
                    place=Place(test="test_it", case=name),
                    seconds=[math.exp(values[at]) * share for share in SCATTER],
                    facts=Facts(must_match={}, drift={}, shown={}),
                    **fields,  # type: ignore[arg-type]
                )
                for name, values in levels.items()
            },
        )
        for at in range(number)
    ]


def only(found: Calibration) -> Detectable:
    """Return what is known of the one case."""
    ((_, limits),) = found.known
    return limits


def test_pairs_find_what_the_verdicts_of_ab_say_they_find() -> None:
    """The same spread gives the same minimum detectable effect: one formula, at both looks."""
    steps = [0.02, -0.02] * 4
    verdict = decide([], [], Replay(pairs_of({"a": [0.05, 0.05, *(0.05 + step for step in steps)]}))).verdicts["a"]
    limits = only(calibrate(processes_of({"a": [0.0, 0.02 * math.sqrt(8 / 7)] * 5})))

    assert verdict.minimum_detectable_effect is not None
    assert limits.by_pairs[verdict.pairs] == pytest.approx(verdict.minimum_detectable_effect)


def test_four_pairs_of_a_quiet_case_are_held_to_the_noise_of_all() -> None:
    """As the first look of ``ab`` is, where four differences are the same by chance; eight speak for themselves."""
    quiet, rough = [0.0, 0.005] * 5, [0.0, 0.04] * 5
    alone = only(calibrate(processes_of({"quiet": quiet})))
    found = calibrate(processes_of({"quiet": quiet, **dict.fromkeys("abc", rough)}))
    among = next(limits for case, limits in found.known if case.name == "quiet")
    # Three of the four cases have eight times its stdev, and it has three degrees of freedom besides.
    spread = math.sqrt((1 + 3 * 64 + 3) / 7)

    assert among.by_pairs[4] > 4 * alone.by_pairs[4]
    assert math.log1p(among.by_pairs[4]) == pytest.approx(spread * math.log1p(alone.by_pairs[4]), rel=0.35)
    assert among.by_pairs[8] < 2 * alone.by_pairs[8]


def test_stored_runs_find_what_the_verdicts_of_compare_say_they_find() -> None:
    """The variance of all runs, and the drift on top."""
    levels = [0.0, 0.01, -0.01, 0.02, -0.02]
    limits = only(calibrate(processes_of({"a": levels})))
    spread = math.sqrt(sum(value**2 for value in levels) / 4)
    reach = stats.t.ppf(1 - 0.008, 4) + stats.t.ppf(0.8, 4)

    assert limits.by_runs[1] == pytest.approx(1.03 * math.exp(reach * spread * math.sqrt(1 + 1 / 5)) - 1)
    assert limits.by_runs[4] < limits.by_runs[1]


@pytest.mark.parametrize("cases", [1, 4])
def test_the_share_of_jobs_is_that_of_simulated_jobs(cases: int) -> None:
    """Screening and other suspects included: 300 jobs of decide agree within chance."""
    names = [f"case{number}" for number in range(cases)]
    steps = [0.0, 0.015] * 5  # neighbours differ by the stdev of a pair
    limits = calibrate(processes_of(dict.fromkeys(names, steps))).known[0][1]

    for slowdown, share in ((0.02, limits.chances[0.02]), (limits.in_a_job, 0.8)):
        assert share_of_jobs(names, slowdown, pair=0.015) == pytest.approx(share, abs=0.1)


def share_of_jobs(names: Sequence[str], slowdown: float, *, pair: float, jobs: int = 300) -> float:
    """Return in how many jobs the first case is found, which became slower."""
    chance = random.Random(1)
    found = 0
    for _ in range(jobs):
        luck = {name: [chance.gauss(0, pair) for _ in range(10)] for name in names}
        luck[names[0]] = [value + math.log1p(slowdown) for value in luck[names[0]]]
        verdict = decide([], [], Replay(pairs_of(luck))).verdicts[names[0]]
        found += verdict.verdict is Verdict.REGRESSED
    return found / jobs


@given(LEVELS)
def test_larger_slowdowns_are_found_in_more_jobs(levels: list[float]) -> None:
    """And more pairs, or more new runs, find smaller ones."""
    limits = only(calibrate(processes_of({"a": levels})))

    assert sorted(limits.chances.values()) == list(limits.chances.values())
    assert all(0 <= chance <= 1 for chance in limits.chances.values())
    assert limits.by_pairs[8] <= limits.by_pairs[4]
    assert limits.by_runs[4] <= limits.by_runs[1]
    assert limits.in_a_job >= Config().tolerance  # type: ignore[operator]


def test_a_machine_without_noise_finds_what_may_be_called_regressed() -> None:
    """Nothing below the tolerance is, however sure it is."""
    limits = only(calibrate(processes_of({"a": [0.0] * 5})))

    assert limits.by_pairs == {4: 0.01, 8: 0.01}
    assert limits.in_a_job == pytest.approx(0.01)
    assert limits.chances == {0.02: 1.0, 0.05: 1.0, 0.10: 1.0}
    assert limits.by_runs[1] == pytest.approx(0.03)


def test_a_machine_that_is_all_noise_finds_nothing_and_says_so_in_numbers() -> None:
    """Stdevs of hundreds of percent stay finite."""
    limits = only(calibrate(processes_of({"a": [0.0, 3.0] * 5})))

    assert limits.chances[0.10] < 0.01
    assert 10 < limits.in_a_job < math.inf


def test_noisy_neighbours_in_the_job_take_their_share() -> None:
    """Other cases that look slower by chance share the alpha, so that less is found of this one."""
    steps = [0.0, 0.02] * 5
    alone = only(calibrate(processes_of({"a": steps})))
    crowd = calibrate(processes_of(dict.fromkeys("abcdef", steps))).known[0][1]

    assert crowd.by_pairs[8] > alone.by_pairs[8]
    assert crowd.chances[0.05] < alone.chances[0.05]


def test_a_case_that_did_not_end_well_has_a_reason_and_the_others_their_numbers() -> None:
    """What is out of memory has no time."""
    good = processes_of({"a": [0.0, 0.01, 0.02]})
    bad = processes_of({"b": [0.0, 0.01, 0.02]}, state="oom", reason="no memory left")
    both = [
        SideRun(id=one.id, file=one.file, started_at="", cases={**one.cases, **two.cases})
        for one, two in zip(good, bad, strict=True)
    ]

    found = calibrate(both)

    assert [(case.name, case.reason, case.call_s is None) for case in found.cases] == [
        ("a", "", False),
        ("b", "oom: no memory left", True),
    ]
    assert [case.name for case, _ in found.known] == ["a"]


def test_the_case_in_which_most_is_found_is_named_first() -> None:
    """The sentence goes from it to the noisiest."""
    found = calibrate(processes_of({"noisy": [0.0, 0.05] * 3, "quiet": [0.0, 0.001] * 3}))

    assert [case.name for case, _ in found.known] == ["quiet", "noisy"]


def test_no_process_is_no_knowledge() -> None:
    """Nothing came: nothing is known, and nothing fails."""
    assert calibrate([]).known == ()
