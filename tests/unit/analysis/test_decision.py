"""The whole decision on recorded pairs: invariances, known answers, what is refused, what never happens."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from gate_jobs import Only, Replay, Run, pairs_of, run_of
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis import CaseVerdict, Config, Decision, Verdict, decide

CASES = ("a", "b", "c")
NAN = math.nan
MEANS = st.sampled_from((-0.2, -0.02, 0.0, 0.012, 0.02, 0.05, 0.2))
TEN = st.lists(st.integers(-100, 100), min_size=10, max_size=10, unique=True)


def jobs(*scales: float) -> st.SearchStrategy[dict[str, list[float]]]:
    """Return ln-ratios of ten pairs of three cases, slower or faster, that scatter by these scales."""
    scattered = st.builds(
        lambda mean, scale, noise: [mean + scale * value / 100 for value in noise], MEANS, st.sampled_from(scales), TEN
    )
    return st.fixed_dictionaries(dict.fromkeys(CASES, scattered))


JOBS = jobs(0.0, 0.001, 0.01, 0.1)
NOISY = jobs(0.001, 0.01, 0.1)  # without any spread rounding is all there is


def words(found: Decision) -> dict[str, str]:
    """Return the verdicts as words."""
    return {case: str(item.verdict) for case, item in found.verdicts.items()}


def replayed(differences: Mapping[str, list[float]], **config: Any) -> Decision:
    """Decide on recorded ln-ratios."""
    return decide([], [], Replay(pairs_of(differences)), config)


def numbers(found: CaseVerdict) -> list[float]:
    """Return what is known, in one order."""
    known = (found.estimate, *(found.interval or ()), found.p, found.minimum_detectable_effect)
    return [value for value in known if value is not None]


def test_the_answer_worked_by_hand() -> None:
    """The numbers of the docstring of decide."""
    replay = Replay(pairs_of({"a": [0.05, 0.05, 0.04, 0.05, 0.05, 0.06]}))

    found = decide([], [], replay)
    case = found.verdicts["a"]

    assert case.verdict is Verdict.REGRESSED
    assert case.estimate == pytest.approx(0.0513, abs=1e-4)
    assert case.p == pytest.approx(0.000586, rel=0.01)
    assert case.interval == pytest.approx((0.0377, 0.0650), abs=1e-4)
    assert replay.asked == [(None, 2), (("a",), 4)]
    assert (found.suspects, found.pairs_run, found.interrupted) == (("a",), 6, False)
    assert found.cases(Verdict.REGRESSED) == ("a",)


def test_a_clean_quiet_job_ends_after_two_pairs() -> None:
    """And calls unchanged what it can call so."""
    replay = Replay(pairs_of({case: [0.001, -0.001] for case in CASES}))

    assert words(decide([], [], replay)) == dict.fromkeys(CASES, "unchanged")
    assert replay.asked == [(None, 2)]


def test_what_two_pairs_cannot_clear_runs_along() -> None:
    """Ungated in silence would be worse than four pairs more."""
    replay = Only(pairs_of({"a": [-0.1, 0.1, -0.01, 0.01, -0.01, 0.01], "b": [0.1, -0.1, -0.01, 0.01, 0.01, -0.01]}))

    assert words(decide([], [], replay)) == {"a": "unchanged", "b": "unchanged"}
    assert replay.asked == [(None, 2), (("a", "b"), 4)]


def test_screening_pairs_never_enter_a_test() -> None:
    """Two wild first pairs chose the case; on the fresh ones it is not slower."""
    found = replayed({"a": [0.5, 0.5, 0.0, 0.001, -0.001, 0.0]})

    assert found.suspects == ("a",)
    assert words(found) == {"a": "unchanged"}
    assert found.verdicts["a"].estimate == pytest.approx(0.0, abs=1e-6)


def test_a_case_on_one_side_only_is_shown_and_not_tested() -> None:
    """New and missing cases are no regressions, and no silence."""
    pairs = [(run_of(a=0.0, gone=0.0), run_of(a=0.0, fresh=0.0))] * 2

    found = decide([], [], Replay(pairs))

    assert words(found) == {"a": "unchanged", "fresh": "new", "gone": "missing"}
    assert found.verdicts["gone"].reason == "the candidate did not run it"
    assert found.verdicts["fresh"].estimate is None


def test_a_case_that_no_pair_has_on_both_sides_is_not_passed_over() -> None:
    """It ran on both sides, at different times: it runs along, and says nothing until four pairs have it."""
    pairs = [(run_of(a=0.0, b=0.0), run_of(a=0.0)), (run_of(a=0.0), run_of(a=0.0, b=0.0))]
    fine = [(run_of(b=0.0), run_of(b=0.001)), (run_of(b=0.0), run_of(b=-0.001))] * 2

    assert words(decide([], [], Replay(pairs))) == {"a": "unchanged", "b": "inconclusive"}
    assert words(decide([], [], Replay(pairs + fine))) == {"a": "unchanged", "b": "unchanged"}


def test_a_case_that_comes_after_the_screening_has_a_verdict() -> None:
    """Nothing chose it for a test, so nothing is tested; but it is not passed over."""
    screening = [(run_of(a=0.0, early=0.0), run_of(a=0.5))] * 2
    later = [(run_of(a=0.0, b=0.0, gone=0.0), run_of(a=0.5, b=0.5, fresh=0.0, early=0.0))] * 4

    found = decide([], [], Replay(screening + later))

    assert words(found) == {
        "a": "regressed", "b": "inconclusive", "early": "inconclusive", "fresh": "new", "gone": "missing",
    }  # fmt: skip
    assert found.verdicts["b"].reason == "it was not yet on both sides in the pairs that screen"


@pytest.mark.parametrize("slower", [0.5, 0.02])
@pytest.mark.parametrize("came", [0, 1, 2, 3, 5])
def test_an_interrupted_job_never_says_more_than_its_pairs(came: int, slower: float) -> None:
    """A suspect needs four of its own; so far as nothing came there is nothing to show."""
    found = decide([], [], Replay(pairs_of({"a": [slower] * 6})[:came]))

    assert found.interrupted
    assert words(found) == ({"a": "inconclusive"} if came else {})


@given(JOBS, st.integers(0, 9))
def test_no_verdict_stands_on_fewer_pairs_than_stated(job: dict[str, list[float]], came: int) -> None:
    """Regressed needs four fresh pairs of a suspect, and any word but inconclusive two."""
    found = decide([], [], Replay(pairs_of(job)[:came]))

    for case, item in found.verdicts.items():
        if item.verdict is Verdict.REGRESSED:
            assert case in found.suspects
            assert item.pairs >= 4
        elif item.verdict is not Verdict.INCONCLUSIVE:
            assert item.pairs >= 2
        if item.p is not None:
            assert item.pairs >= 4


@given(NOISY, st.floats(1e-3, 1e3))
def test_a_change_of_unit_changes_nothing(job: dict[str, list[float]], factor: float) -> None:
    """Milliseconds are seconds; a machine ten times as slow has the same ratios."""
    pairs = pairs_of(job)
    scaled = [(times(factor, base), times(factor, candidate)) for base, candidate in pairs]

    one, other = decide([], [], Replay(pairs)), decide([], [], Replay(scaled))

    assert words(one) == words(other)
    for case in CASES:
        assert numbers(one.verdicts[case]) == pytest.approx(numbers(other.verdicts[case]), rel=1e-6, abs=1e-9)


def times(factor: float, run: Run) -> Run:
    """Return a run in another unit."""
    return {case: [value * factor for value in rounds] for case, rounds in run.items()}


@given(JOBS)
def test_the_order_of_cases_is_of_no_account(job: dict[str, list[float]]) -> None:
    """To the last bit."""
    turned = [(dict(reversed(base.items())), dict(reversed(new.items()))) for base, new in pairs_of(job)]

    assert decide([], [], Replay(pairs_of(job))).verdicts == decide([], [], Replay(turned)).verdicts


def test_the_order_of_pairs_is_the_plan() -> None:
    """The first two screen, the next four are looked at first: the same pairs otherwise ordered are another job."""
    values = [0.0, 0.001, 0.05, 0.05, 0.05, 0.05]

    assert words(replayed({"a": values, "b": [0.0] * 6}))["a"] == "unchanged"
    assert words(replayed({"a": values[::-1] + [0.05] * 4, "b": [0.0] * 10}))["a"] != "unchanged"


@given(JOBS)
def test_the_same_pairs_give_the_same_decision(job: dict[str, list[float]]) -> None:
    """No chance, no clock, no state kept from before."""
    assert decide([], [], Replay(pairs_of(job))) == decide([], [], Replay(pairs_of(job)))


@given(JOBS)
def test_swapping_the_sides_mirrors_the_estimate_and_never_leaves_a_regression(job: dict[str, list[float]]) -> None:
    """What is slower one way is faster the other; no case is ever regressed both ways."""
    turned = {case: [-value for value in values] for case, values in job.items()}

    there, back = replayed(job), replayed(turned)

    for case in CASES:
        one, other = there.verdicts[case], back.verdicts[case]
        assert not (one.verdict is other.verdict is Verdict.REGRESSED)
        if one.pairs == other.pairs and min(len(set(values)) for values in job.values()) > 1:
            assert one.estimate is not None
            assert other.estimate is not None
            assert (1 + one.estimate) * (1 + other.estimate) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("change", [0.02, 0.05, 0.5])
def test_a_clear_change_is_regressed_one_way_and_improved_the_other(change: float) -> None:
    """Both words are open to both sides."""
    noise = [0.0, 0.002, 0.001, -0.001, -0.002, 0.001, 0.0, 0.001, -0.001, 0.0]
    job = {case: [0.5 * value for value in noise] for case in CASES}

    assert words(replayed(job | {"a": [change + value for value in noise]}))["a"] == "regressed"
    assert words(replayed(job | {"a": [-change - value for value in noise]}))["a"] == "improved"


@pytest.mark.parametrize(
    ("fresh", "word"), [([-0.06, -0.058, -0.061, -0.059], "improved"), ([0.001, -0.001, 0.0, 0.001], "unchanged")]
)
def test_what_looks_faster_is_improved_by_pairs_that_did_not_choose_it(fresh: list[float], word: str) -> None:
    """As what looks slower is regressed by them alone: of many cases some look faster in two pairs, by chance."""
    replay = Replay(pairs_of({"a": [-0.06, -0.058, *fresh], "b": [0.0] * 6}))

    found = decide([], [], replay)

    assert words(found) == {"a": word, "b": "unchanged"}
    assert replay.asked == [(None, 2), (("a",), 4)]
    assert found.verdicts["a"].pairs == 4
    assert not found.suspects


@pytest.mark.parametrize("came", [2, 3, 5])
def test_what_looks_faster_and_gets_no_four_pairs_more_is_unchanged(came: int) -> None:
    """The pairs that chose it exclude a slowdown, as they do of others; that it is faster they do not show."""
    found = replayed({"a": [-0.06, -0.058, -0.06, -0.06, -0.06][:came], "b": [0.0] * came})

    assert words(found) == {"a": "unchanged", "b": "unchanged"}
    assert found.verdicts["a"].pairs == 2
    assert found.interrupted


@pytest.mark.parametrize(("change", "word"), [(0.02, "regressed"), (0.0, "unchanged"), (-0.02, "improved")])
def test_readings_without_any_spread_are_decided(change: float, word: str) -> None:
    """A clock too coarse to differ is no error."""
    assert words(replayed({"a": [change] * 10})) == {"a": word}


def test_a_budget_raises_what_is_called_regressed() -> None:
    """3 % slower beyond chance: red for a tolerance of 1 %, not for one of 4 %."""
    job = {"a": [0.029, 0.031] * 5, "b": [0.029, 0.031] * 5}

    assert words(replayed(job, tolerance={"b": 0.04})) == {"a": "regressed", "b": "unchanged"}


def test_a_regressed_group_is_explained() -> None:
    """By hand: t(b) = 0.2 + 0.1 b; 20 ms more a call make b1 6.7 %, b2 5 %, b4 3.3 % slower."""
    design = {f"b{size}": ("sd15", size, 1) for size in (1, 2, 4)}
    before = {case: math.log(0.2 + 0.1 * size) for case, (_, size, _) in design.items()}
    after = {case: math.log(0.22 + 0.1 * size) for case, (_, size, _) in design.items()}
    jitter = [0.05, 0.05, 0.001, -0.001, 0.001, -0.001]  # the screening pairs have no say in it
    pairs = [(run_of(**before), run_of(**{case: log + j for case, log in after.items()})) for j in jitter]

    found = decide([], [], Replay(pairs), Config(design=design))

    assert words(found) == dict.fromkeys(design, "regressed")
    (explanation,) = found.explanations
    assert explanation.per_call.change_s == pytest.approx(0.02, rel=0.05)
    assert str(explanation).endswith("each image the same")


@pytest.mark.parametrize("wrong", [0.0, -1.0, NAN, math.inf])
def test_readings_that_are_no_durations_are_refused_on_every_way_in(wrong: float) -> None:
    """A NaN that compares as unchanged would be the worst of verdicts."""
    good, bad = run_of(a=0.0), {"a": [1.0, 1.0, 1.0, 1.0, wrong]}

    for base, candidate in ((good, bad), (bad, good)):
        with pytest.raises(ValueError, match="a: seconds"):
            decide([base] * 3, [candidate] * 3, None)
        with pytest.raises(ValueError, match="a: seconds"):
            decide([], [], Replay([(base, candidate)] * 2))


def test_four_rounds_are_refused() -> None:
    """Not quietly compared."""
    with pytest.raises(ValueError, match="4 rounds"):
        decide([{"a": [1.0] * 4}], [run_of(a=0.0)], None)


def test_runs_beside_pairs_are_refused() -> None:
    """Whether they count would be anyone's guess."""
    with pytest.raises(ValueError, match="not both"):
        decide([run_of(a=0.0)], [], Replay([]))


def test_a_rule_out_of_range_is_refused_before_anything_runs() -> None:
    """Pairs cost minutes."""
    replay = Replay(pairs_of({"a": [0.0] * 2}))

    with pytest.raises(ValueError, match="alpha"):
        decide([], [], replay, {"alpha": 2})

    assert replay.asked == []


def test_importing_the_gate_loads_neither_numpy_nor_scipy() -> None:
    """The quantiles are paid for by those that decide; and the public name is the function, however often."""
    code = (
        "import sys; from pytest_sdbatch.analysis import decide; from pytest_sdbatch.analysis import decide as again;"
        "print(callable(decide), decide is again, [m for m in ('numpy', 'scipy') if m in sys.modules])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "True True []"


class Machine:
    """Processes that differ by a stdev, half of the variance shared by all cases."""

    def __init__(self, seed: int, *, between: float, slower: float = 0.0) -> None:
        self.random = random.Random(seed)
        self.half = between * math.sqrt(0.5)
        self.slower = slower  # ln of what case 0 takes more in the candidate

    def __call__(self, _cases: tuple[str, ...] | None, number: int) -> list[tuple[Run, Run]]:
        """Return pairs of all cases."""
        return [(self.process(0.0), self.process(self.slower)) for _ in range(number)]

    def process(self, slower: float) -> Run:
        """Return the run of one process of 12 cases."""
        luck = self.random.gauss(0, self.half)
        logs = [luck + self.random.gauss(0, self.half) + (slower if k == 0 else 0.0) for k in range(12)]
        return run_of(**{f"case{k}": log for k, log in enumerate(logs)})


@pytest.mark.parametrize("between", [0.011, 0.2])
def test_a_clean_job_is_almost_never_red(between: float) -> None:
    """400 jobs, of which 0.8 % may be red: more than 8 would be a broken gate, 99 times in 100."""
    red = sum(bool(decide([], [], Machine(k, between=between)).cases(Verdict.REGRESSED)) for k in range(400))

    assert red <= 8


def test_five_percent_are_found_where_processes_differ_by_one() -> None:
    """The other half of the promise, in 200 jobs."""
    jobs = [Machine(k, between=0.011, slower=math.log(1.05)) for k in range(200)]

    assert sum("case0" in decide([], [], job).cases(Verdict.REGRESSED) for job in jobs) >= 190
