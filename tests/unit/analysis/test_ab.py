"""From pairs of runs to a verdict for every case, by hand-made runs in place of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from compared import GIB, GROUP, TEST, ended, facts, measured, side
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.analysis.ab import Acceptance, SidePair, accept, compare_pairs
from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.sides import Measured, SideRun
from pytest_sdbatch.analysis.verdict import Verdict

LUCK = (0.002, -0.001, 0.001, -0.002, 0.0, 0.001, -0.001, 0.002, 0.0, -0.002)  # of the pairs, in ln s
NAME = f"{TEST}[{GROUP}-b1x1]"
Cases = Callable[[int], Sequence[Measured]]  # the cases of a side in a pair of this number


class Processes:
    """Stands for processes: gives runs, and remembers what was asked for."""

    def __init__(self, base: Cases, candidate: Cases, *, most: int = 99) -> None:
        self._sides = (base, candidate)
        self._most = most
        self.asked: list[tuple[tuple[str, ...] | None, int]] = []
        self.made = 0

    def more(self, cases: tuple[str, ...] | None, number: int) -> Sequence[SidePair]:
        """Return pairs of runs of those cases."""
        self.asked.append((cases, number))
        came = []
        for _ in range(min(number, self._most - self.made)):
            base, candidate = (run_of(make(self.made), cases) for make in self._sides)
            came.append((base, candidate))
            self.made += 1
        return came


def run_of(found: Sequence[Measured], cases: tuple[str, ...] | None) -> SideRun:
    """Return a run of *found*, without what was not asked for."""
    (run,) = side("x", found)
    return replace(run, cases={name: m for name, m in run.cases.items() if cases is None or name in cases})


def steady(*sizes: int, call_s: float = 1.0, slower: float = 0.0) -> Cases:
    """Return cases that differ between pairs by their luck, the candidate's (*slower*) the other way round."""
    return lambda number: [
        measured(size, call_s=call_s * (1 + slower) * (1 + (LUCK[number] if slower else -LUCK[number])))
        for size in sizes
    ]


def one(comparison: Comparison) -> CaseComparison:
    """Return the only case."""
    (case,) = comparison.cases
    return case


def always(word: str) -> Cases:
    """Return a case that ends the same way in every pair."""
    return lambda _: [measured() if word == "ok" else ended(1, word)]


def test_only_suspects_are_run_on() -> None:
    """Two pairs of all cases, four more of the one that looks slower; no more once it is settled."""
    processes = Processes(
        steady(1, 4), lambda number: [*steady(1, slower=0.1)(number), *steady(4, slower=1e-9)(number)]
    )

    found = compare_pairs(processes.more)

    slow, same = found.cases
    assert (slow.verdict, same.verdict) == (Verdict.REGRESSED, Verdict.UNCHANGED)
    assert processes.asked == [(None, 2), ((slow.name,), 4)]
    assert (found.pairs, slow.time and slow.time.pairs) == (6, 4)


def test_a_benchmark_that_is_gone_is_missing() -> None:
    """A deleted test, or a parameter that was dropped, is counted, and takes no verdict from the others."""
    gone = measured(8).place

    found = compare_pairs(Processes(steady(1), steady(1)).more, lost={"gone": gone})

    assert [case.verdict for case in found.cases] == [Verdict.UNCHANGED, Verdict.MISSING]
    assert found.cases[1].place == gone


def test_nothing_below_its_budget_is_found() -> None:
    """However quiet the pairs: a slowdown that is allowed is never called regressed."""
    case = one(compare_pairs(Processes(steady(1), steady(1, slower=0.6)).more, Config(tolerance={NAME: 0.99})))

    assert case.verdict is Verdict.UNCHANGED
    assert case.time is not None
    assert case.time.minimum_detectable_effect == 0.99


def test_what_drifted_takes_no_verdict_away() -> None:
    """Both sides ran side by side, be it with two versions of torch; what must match still must."""
    moved = {"drift": {"driver": "580.2"}}
    drifted = Processes(steady(1), lambda n: [replace(steady(1, slower=0.1)(n)[0], facts=facts(**moved))])
    other = facts(must_match={"device_name": "Other card"})
    elsewhere = Processes(steady(1), lambda n: [replace(steady(1, slower=0.1)(n)[0], facts=other)])

    assert one(compare_pairs(drifted.more)).verdict is Verdict.REGRESSED
    assert one(compare_pairs(elsewhere.more)).verdict is Verdict.INCOMPARABLE


@pytest.mark.parametrize(
    ("there", "here", "verdict"),
    [
        ("ok", "oom", Verdict.REGRESSED),
        ("oom", "ok", Verdict.IMPROVED),
        ("crashed", "ok", Verdict.NEW),
        ("test failed", "ok", Verdict.NEW),
        ("crashed", "crashed", Verdict.MISSING),
        ("ok", "crashed", Verdict.REGRESSED),
        ("throttled", "ok", Verdict.INCONCLUSIVE),
    ],
)
def test_outcomes_come_first(there: str, here: str, verdict: Verdict) -> None:
    """What the base cannot run is new: its benchmark may need what only the candidate has.

    No more pairs are run but of what fails on the candidate alone.
    """
    processes = Processes(always(there), always(here))

    case = one(compare_pairs(processes.more))

    assert case.verdict is verdict
    assert case.reason
    again = [((NAME,), 4)] if verdict is Verdict.REGRESSED else []
    assert processes.asked == [(None, 2), *again]


@pytest.mark.parametrize(
    ("there", "here"),
    [((0,), (1,)), ((), (0, 1, 2, 3, 4)), ((5,), (0, 1, 2, 3, 4, 5)), ((), (0,))],
)
def test_what_fails_now_and_then_is_no_regression(there: tuple[int, ...], here: tuple[int, ...]) -> None:
    """Nobody knows then whether it is the code; the counts are given. In these pairs each side fails."""
    sides = [
        lambda n, failing=failing: [ended(1, "crashed") if n in failing else steady(1)(n)[0]]
        for failing in (there, here)
    ]

    case = one(compare_pairs(Processes(*sides).more))

    assert case.verdict is Verdict.INCONCLUSIVE
    assert f"in {len(here)} of 6 runs of the candidate and {len(there)} of 6 of the base" in case.reason


def test_a_failure_that_could_not_be_run_again_is_no_regression() -> None:
    """Two runs of a case that fails half the time differ like that in one job of sixteen."""
    case = one(compare_pairs(Processes(always("ok"), always("crashed"), most=2).more))

    assert case.verdict is Verdict.INCONCLUSIVE


def test_what_fails_now_and_then_is_still_compared_in_time() -> None:
    """A slowdown is none the less one for it."""

    def failing_once(n: int) -> Sequence[Measured]:
        return [ended(1, "crashed")] if n == 0 else steady(1, slower=0.2)(n)

    case = one(compare_pairs(Processes(steady(1), failing_once).more))

    assert case.verdict is Verdict.REGRESSED


@pytest.mark.parametrize(("grown", "verdict"), [(0, Verdict.UNCHANGED), (GIB, Verdict.REGRESSED)])
def test_peak_memory_is_exact(grown: int, verdict: Verdict) -> None:
    """From the same runs, without a further pair."""
    processes = Processes(
        steady(1), lambda n: [replace(steady(1, slower=1e-9)(n)[0], peak_bytes=[4 * GIB + grown] * 6)]
    )

    assert one(compare_pairs(processes.more)).verdict is verdict
    assert processes.made == 2


def test_memory_that_varies_is_decided_on_pairs_of_its_own() -> None:
    """It has its own suspects; what time had run for it is not run again."""

    def varying(grown: float, slower: float) -> Cases:
        return lambda n: [
            replace(
                steady(1, slower=slower)(n)[0], peak_bytes=[round(GIB * grown * (1 + 0.01 * (k % 3))) for k in range(6)]
            )
        ]

    memory_alone = Processes(varying(1.0, 0.0), varying(1.5, 1e-9))
    both = Processes(varying(1.0, 0.0), varying(1.5, 0.2))

    for processes in (memory_alone, both):
        case = one(compare_pairs(processes.more))
        assert case.memory is not None
        assert case.memory.verdict is Verdict.REGRESSED
        assert case.memory.pairs == 4
        assert processes.made == 6


def test_memory_that_only_one_side_knows_hides_no_slowdown() -> None:
    """A metric that is new on the candidate does not make the case new: it is slower, and that is what counts."""
    varying = [GIB + k * 2**20 for k in range(6)]
    processes = Processes(
        lambda n: [replace(steady(1)(n)[0], peak_bytes=[])],
        lambda n: [replace(steady(1, slower=0.1)(n)[0], peak_bytes=varying)],
    )

    case = one(compare_pairs(processes.more))

    assert case.verdict is Verdict.REGRESSED
    assert case.memory is not None
    assert case.memory.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_what_was_cut_short_is_judged_on_what_came(most: int) -> None:
    """Too few pairs are inconclusive, never regressed; without a pair there is no case."""
    processes = Processes(steady(1), steady(1, slower=0.1), most=most)

    found = compare_pairs(processes.more)

    assert [case.verdict for case in found.cases] == [Verdict.INCONCLUSIVE] * (most > 0)
    assert found.pairs == most


def test_cases_without_time_are_inconclusive() -> None:
    """Nothing is silently left out."""
    processes = Processes(steady(1), steady(1, slower=1e-9))

    found = compare_pairs(processes.more, left_out=lambda: {"long": measured(8).place})

    assert {case.name: case.verdict for case in found.cases}["long"] is Verdict.INCONCLUSIVE
    assert "no time" in found.cases[1].reason


def regressed() -> Comparison:
    """Return a comparison of two cases, of which one is slower and takes more memory."""
    return compare_pairs(
        Processes(
            steady(1, 4),
            lambda n: [replace(steady(1, slower=0.1)(n)[0], peak_bytes=[5 * GIB] * 6), *steady(4, slower=1e-9)(n)],
        ).more
    )


@pytest.mark.parametrize(
    "words",
    [
        ("sd15-fp16-512x512-s20-b1x1",),
        ("b1x1",),
        (TEST,),
        ("test_it",),
        ("time", "peak_memory"),
        ("time", "b1x1"),
    ],
)
def test_a_regression_is_accepted_by_case_or_by_metric(words: tuple[str, ...]) -> None:
    """All that regressed of it must be; the reasons are its reason."""
    found, idle = accept(regressed(), [Acceptance(what=word, reason=f"because {word}") for word in words])

    assert [case.verdict for case in found.cases] == [Verdict.ACCEPTED, Verdict.UNCHANGED]
    assert found.cases[0].reason.startswith(f"because {words[0]}")
    assert idle == () or words == ("time", "b1x1")


def test_half_an_acceptance_is_none() -> None:
    """Its time is answered for, its memory is not: it stays regressed, and the word that did not help is returned."""
    time = Acceptance(what="time", reason="a better image")
    other = Acceptance(what="b4x1", reason="was not slower")

    found, idle = accept(regressed(), [time, other])

    assert found.count(Verdict.REGRESSED) == 1
    assert idle == (time, other)


STATES = st.sampled_from(["ok", "oom", "skipped", "throttled", "crashed"])
PAIRS = st.lists(st.tuples(*[st.dictionaries(st.integers(1, 4), STATES)] * 2), max_size=10)


@given(PAIRS)
def test_every_case_of_either_side_has_exactly_one_verdict(pairs: list[tuple[dict[int, str], dict[int, str]]]) -> None:
    """Whatever ended how in which pair, and wherever the pairs end; what is as fast on both sides never regressed."""

    def cases(side: int) -> Cases:
        return lambda n: [measured(s) if word == "ok" else ended(s, word) for s, word in pairs[n][side].items()]

    processes = Processes(cases(0), cases(1), most=len(pairs))

    found = compare_pairs(processes.more)

    run = [side for pair in pairs[: processes.made] for side in pair]
    seen = {size for side in run[:4] for size in side}  # all cases are asked for in two pairs
    assert {case.place.batch_size for case in found.cases} >= seen
    assert len({case.name for case in found.cases}) == len(found.cases)
    assert all(case.reason for case in found.cases)
    assert found.pairs == processes.made
    slower = [case for case in found.cases if case.verdict is Verdict.REGRESSED]
    assert all(case.outcome is not None and case.time is None for case in slower)
