"""Both sides run in turn: from pairs of runs to one verdict for every case, over outcome, time and peak memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import Weight
from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison, case_comparison, memory_verdict
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.counted import enough_rounds, sound_of
from pytest_sdbatch.analysis.decision import decide
from pytest_sdbatch.analysis.exact import of_bytes
from pytest_sdbatch.analysis.explanation import in_words_of
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR
from pytest_sdbatch.analysis.matching import both_sides, design_of, moved_among, names_of
from pytest_sdbatch.analysis.outcomes import compare_outcomes, is_failure, state_of_base, state_of_candidate
from pytest_sdbatch.analysis.pairs import MorePairs, Pair
from pytest_sdbatch.analysis.screen import SCREENING_PAIRS
from pytest_sdbatch.analysis.sides import OK, Measured, Place, SideRun
from pytest_sdbatch.analysis.verdict import CaseVerdict, Decision, Verdict
from pytest_sdbatch.records import Outcome

SidePair: TypeAlias = tuple[SideRun, SideRun]  # base and candidate, neighbours in time
# (cases, n) -> n more pairs in time order, of at least those cases (None: all there are); fewer when interrupted.
RunPairs: TypeAlias = Callable[[tuple[str, ...] | None, int], Sequence[SidePair]]
CONFIRMING_PAIRS = 4  # of what failed on the candidate
# Runs of a side, all of which fail on the candidate and none on the base. Where both fail equally often that happens
# at most 1/4 of the time in a pair, so in 0.02 % of jobs with 6: room under the promised 1 % for some such cases.
_FEWEST_FAILED = 6
_UNTESTED = CaseVerdict(  # on time, of runs that are too short; both sides have the same options
    verdict=Verdict.INCONCLUSIVE,
    reason=f"fewer than {FEWEST_FOR_ERROR} rounds in every run of a side: give -o sd_rounds={FEWEST_FOR_ERROR} or more",
)
_NO_ROOM = "left out: there is no time for it"
_LOST = "the candidate has no such benchmark any more"


def compare_pairs(
    run_pairs: RunPairs,
    config: Config | None = None,
    *,
    left_out: Callable[[], Mapping[str, Place]] = dict,
    lost: Mapping[str, Place] | None = None,
) -> Comparison:
    """Return the verdict on every case: outcomes first, then time by the rule for pairs, peak memory by the exact one.

    What fails on the candidate alone is run again: it regressed only if it fails in every run, and in none of the base.
    Memory that varies within a run is decided as time is, and time and memory then share the chance of a false alarm.
    A case that the base cannot run is new: its benchmark may need what only the candidate has.

    Args:
        run_pairs: runs processes; see :func:`~pytest_sdbatch.analysis.decide`.
        config: the rules; None: the defaults.
        left_out: asked once pairs are run, the cases that no time was spent on, and where they stand.
        lost: cases that only the base's own benchmarks have.

    """
    rules = config or Config()
    pairs = _Pairs(run_pairs)
    pairs.more(None, SCREENING_PAIRS)
    failing = _failing(pairs.sides())
    if failing:
        pairs.more(failing, CONFIRMING_PAIRS)
    varying = _varying(pairs.sides())
    found = {name: both_sides(*pairs.sides(), name) for name in names_of(*pairs.sides())}
    sound = {n: (sound_of(b), sound_of(c)) for n, (b, c) in found.items() if b and c}
    design = design_of({name: sides for name, sides in sound.items() if all(sides)})
    shared = replace(rules.shared(2 if varying else 1), design=design)
    time = decide((), (), pairs.source(_seconds), shared)
    in_memory = replace(shared, design=None, tolerance=rules.memory_tolerance)
    memory = decide((), (), pairs.source(lambda run: _peaks(run, varying)), in_memory)
    base, candidate = pairs.sides()
    cases = [_case(name, base, candidate, time, memory, rules) for name in names_of(base, candidate)]
    cases += [
        CaseComparison(name=name, place=place, verdict=Verdict.INCONCLUSIVE, reason=_NO_ROOM)
        for name, place in left_out().items()
    ]
    cases += [
        CaseComparison(name=name, place=place, verdict=Verdict.MISSING, reason=_LOST)
        for name, place in (lost or {}).items()
        if name not in found
    ]
    return Comparison(
        cases=tuple(cases),
        base=base,
        candidate=candidate,
        config=rules,
        explanations=in_words_of(time.explanations, (case.place for case in cases)),
        pairs=len(base),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A regression that somebody answers for: of a case, or of a metric in all cases."""

    what: str  # a case by its name or a part of it, or one of METRICS
    reason: str


METRICS = ("outcome", "time", "peak_memory")


def accept(comparison: Comparison, acceptances: Sequence[Acceptance]) -> tuple[Comparison, tuple[Acceptance, ...]]:
    """Return *comparison* with what is accepted, and the acceptances that matched nothing that regressed.

    A case is accepted when everything of it that regressed is.
    """
    used: dict[Acceptance, None] = {}
    cases = []
    for case in comparison.cases:
        worse = [metric for metric, part in case.parts.items() if part.verdict is Verdict.REGRESSED]
        taken = {
            metric: next((a for a in acceptances if a.what in {metric, *_spelled(case)}), None) for metric in worse
        }
        accepted = [found for found in taken.values() if found is not None]
        if case.verdict is Verdict.REGRESSED and len(accepted) == len(worse):
            used |= dict.fromkeys(accepted)
            why = "; ".join(dict.fromkeys(found.reason for found in accepted))
            case = replace(case, verdict=Verdict.ACCEPTED, reason=f"{why} ({case.reason})")
        cases.append(case)
    idle = tuple(acceptance for acceptance in acceptances if acceptance not in used)
    return replace(comparison, cases=tuple(cases)), idle


class _Pairs:
    """The pairs of a job, for the decision on time and for that on memory: what one has had run serves the other."""

    def __init__(self, run_pairs: RunPairs) -> None:
        self._run_pairs = run_pairs
        self._kept: list[tuple[tuple[str, ...] | None, SidePair]] = []  # with the cases that were asked for
        self._ended = False  # fewer came than were asked for: no more will

    def sides(self) -> tuple[tuple[SideRun, ...], tuple[SideRun, ...]]:
        """Return all runs so far, of the base and of the candidate."""
        return tuple(base for _, (base, _) in self._kept), tuple(candidate for _, (_, candidate) in self._kept)

    def source(self, read: Callable[[SideRun], Mapping[str, Sequence[float]]]) -> MorePairs:
        """Return a source of pairs for one metric; *read* takes its readings from a run, by case."""
        at = 0

        def next_pairs(cases: tuple[str, ...] | None, number: int) -> Sequence[Pair]:
            nonlocal at
            came: list[SidePair] = []
            while len(came) < number:
                if at == len(self._kept) and not self.more(cases, number - len(came)):
                    break
                asked, pair = self._kept[at]
                at += 1
                if asked is None or (cases is not None and set(cases) <= set(asked)):
                    came.append(pair)
            return [(read(base), read(candidate)) for base, candidate in came]

        return next_pairs

    def more(self, cases: tuple[str, ...] | None, number: int) -> bool:
        """Have up to *number* pairs run, and return whether any came."""
        if self._ended:
            return False
        came = self._run_pairs(cases, number)
        self._ended = len(came) < number
        self._kept += [(cases, pair) for pair in came]
        return bool(came)


def _seconds(run: SideRun) -> Mapping[str, Sequence[float]]:
    return {
        name: m.seconds for name, m in run.cases.items() if m.state == OK and m.seconds and enough_rounds(m.seconds)
    }


def _peaks(run: SideRun, names: frozenset[str]) -> Mapping[str, Sequence[float]]:
    return {
        n: m.peak_bytes for n, m in run.cases.items() if n in names and m.state == OK and enough_rounds(m.peak_bytes)
    }


def _varying(sides: tuple[Sequence[SideRun], Sequence[SideRun]]) -> frozenset[str]:
    """Return the cases whose peak memory varies within a run of the screening."""
    return frozenset(
        name for side in sides for run in side for name, m in run.cases.items() if len(set(m.peak_bytes)) > 1
    )


def _case(
    name: str, base: Sequence[SideRun], candidate: Sequence[SideRun], time: Decision, memory: Decision, config: Config
) -> CaseComparison:
    there, here = both_sides(base, candidate, name)
    facts = moved_among(there, here)
    if not there or not here or any(fact.weight is Weight.MUST_MATCH for fact in facts):
        return case_comparison(name, there, here, facts, None, None, None, drift_counts=False)
    outcome = _outcome(there, here)
    if outcome is not None and not (sound_of(there) and sound_of(here)):
        return case_comparison(name, there, here, facts, outcome, None, None, drift_counts=False)
    found = time.verdicts.get(name)
    on_time = _UNTESTED if found is None or found.verdict in (Verdict.NEW, Verdict.MISSING) else found
    if on_time.minimum_detectable_effect is not None:  # below its tolerance nothing is called regressed
        finds = max(on_time.minimum_detectable_effect, config.tolerance_of(name))
        on_time = replace(on_time, minimum_detectable_effect=finds)
    return case_comparison(
        name, there, here, facts, outcome, on_time, _memory(name, there, here, memory, config), drift_counts=False
    )


def _memory(
    name: str, there: Sequence[Measured], here: Sequence[Measured], memory: Decision, config: Config
) -> CaseVerdict | None:
    found = memory.verdicts.get(name)
    sides = sound_of(there), sound_of(here)
    if found is not None and found.verdict not in (Verdict.NEW, Verdict.MISSING):  # a metric's, not the case's
        return of_bytes(found, *([m.peak_bytes for m in side] for side in sides))
    if not any(m.peak_bytes for side in sides for m in side):
        return None
    late = CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason="it began to vary within a run after the screening")
    return memory_verdict(*sides, tolerance=config.memory_tolerance_of(name)) or late


def _outcome(there: Sequence[Measured], here: Sequence[Measured]) -> CaseVerdict | None:
    base, candidate = state_of_base(there), state_of_candidate(here)
    broken = base.state == Outcome.CRASHED.value or base.state.startswith("test ")
    if broken and candidate.state == OK:
        why = base.reason or base.state
        return CaseVerdict(verdict=Verdict.NEW, reason=f"the base cannot run it: {why}")
    found = compare_outcomes(base, candidate)
    if found is None or found.verdict is not Verdict.REGRESSED:
        return found
    (failed, of), (failed_before, of_before) = (_failures(side) for side in (here, there))
    if failed == of >= _FEWEST_FAILED and failed_before == 0 and of_before >= _FEWEST_FAILED:
        return found
    counts = f"in {failed} of {units.count(of, 'run')} of the candidate and {failed_before} of {of_before} of the base"
    return CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason=f"{found.reason}; it failed {counts}")


def _failures(side: Sequence[Measured]) -> tuple[int, int]:
    """Return how many runs failed, of how many that say anything of the code."""
    telling = [measured for measured in side if measured.state == OK or is_failure(measured)]
    return sum(map(is_failure, telling)), len(telling)


def _failing(sides: tuple[Sequence[SideRun], Sequence[SideRun]]) -> tuple[str, ...]:
    """Return the cases that failed on the candidate, and ran on the base at least once."""
    found = {name: both_sides(*sides, name) for name in names_of(*sides)}
    return tuple(
        name
        for name, (base, candidate) in found.items()
        if base and candidate and is_failure(state_of_candidate(candidate)) and state_of_base(base).state == OK
    )


def _spelled(case: CaseComparison) -> set[str]:
    """Return the words that mean *case* in an acceptance."""
    place = case.place
    whole = f"{place.group}-{place.case}" if place.group else place.case
    return {case.name, place.test, place.test.rpartition("::")[2], place.group, whole, place.case} - {""}
