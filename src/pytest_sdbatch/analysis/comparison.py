"""Stored runs against new ones: one verdict for every case of either side, over outcome, time and peak memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pytest_sdbatch.analysis.comparable import Moved, Weight
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE, Config
from pytest_sdbatch.analysis.counted import CountedRuns, enough_rounds, runs_that_count, sound_of
from pytest_sdbatch.analysis.decision import decide
from pytest_sdbatch.analysis.estimate import Run
from pytest_sdbatch.analysis.exact import compare_exact, of_bytes
from pytest_sdbatch.analysis.explanation import Explanation, in_words_of
from pytest_sdbatch.analysis.growth import growth
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, location_s
from pytest_sdbatch.analysis.matching import Runs, both_sides, design_of, moved_among, names_of
from pytest_sdbatch.analysis.outcomes import compare_outcomes, state_of_base, state_of_candidate
from pytest_sdbatch.analysis.sides import Measured, Place, SideRun
from pytest_sdbatch.analysis.verdict import CaseVerdict, Decision, Verdict

# The first of these that outcome, time or memory has is the verdict on the case.
_RANK = (
    Verdict.MISSING,
    Verdict.NEW,
    Verdict.REGRESSED,
    Verdict.INCONCLUSIVE,
    Verdict.IMPROVED,
    Verdict.UNCHANGED,
)
COMPARED = (Verdict.REGRESSED, Verdict.ACCEPTED, Verdict.IMPROVED, Verdict.UNCHANGED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseComparison:
    """What is known of one case. What was not compared is None."""

    name: str  # node id with the parameters
    place: Place
    verdict: Verdict
    reason: str
    outcome: CaseVerdict | None = None  # where it did not go well on both sides
    time: CaseVerdict | None = None
    memory: CaseVerdict | None = None  # peak of the allocator
    base: Sequence[Measured] = ()  # of each run that has it
    candidate: Sequence[Measured] = ()
    counting: CountedRuns | None = None  # the runs that count for its time; None: all that ended well
    moved: tuple[Moved, ...] = ()

    @property
    def parts(self) -> dict[str, CaseVerdict]:
        """The verdicts on what was compared, by metric."""
        found = {"outcome": self.outcome, "time": self.time, "peak_memory": self.memory}
        return {metric: part for metric, part in found.items() if part is not None}

    @property
    def drifted(self) -> bool:
        """Whether its surroundings are not those of the base, so that a change may not be the code's."""
        return any(fact.weight is Weight.DRIFT for fact in self.moved)

    @property
    def needs_rounds(self) -> bool:
        """Whether it is inconclusive for too few rounds alone: more runs like these say nothing."""
        unclear = [part for part in self.parts.values() if part.verdict is Verdict.INCONCLUSIVE]
        alone = bool(unclear) and not self.drifted and all(part.too_short for part in unclear)
        return alone and self.verdict is Verdict.INCONCLUSIVE

    @property
    def disturbed(self) -> bool:
        """Whether its time is inconclusive, and runs count for it that something else disturbed."""
        unclear = self.time is not None and self.time.verdict is Verdict.INCONCLUSIVE and not self.drifted
        return unclear and self.counting is not None and self.counting.disturbed

    @property
    def counted(self) -> tuple[Runs, Runs]:
        """The runs of the base, and of the candidate, whose times are shown."""
        there, here = (self.counting.base, self.counting.candidate) if self.counting is not None else ((), ())
        return there or sound_of(self.base), here or sound_of(self.candidate)

    @property
    def judged(self) -> tuple[Runs, Runs]:
        """The runs of both sides that made it regressed, be it for their time, or for memory or an outcome."""
        slower = self.time is not None and self.time.verdict is Verdict.REGRESSED
        return self.counted if slower else (self.base, self.candidate)

    @property
    def causes(self) -> tuple[str, ...]:
        """What explains that it became slower, of a case whose time regressed; no test."""
        if self.verdict not in (Verdict.REGRESSED, Verdict.ACCEPTED) or self.time is None:
            return ()
        return tuple(growth(*self.counted)) if self.time.verdict is Verdict.REGRESSED else ()

    @property
    def base_call_s(self) -> float | None:
        """Seconds per call; None where no run of the base ended well."""
        return _call_s(self.counted[0])

    @property
    def candidate_call_s(self) -> float | None:
        """Seconds per call; None where no run of the candidate ended well."""
        return _call_s(self.counted[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All cases of both sides, in the order of the base, then of the candidate."""

    cases: tuple[CaseComparison, ...]
    base: tuple[SideRun, ...]
    candidate: tuple[SideRun, ...]
    config: Config
    explanations: tuple[Explanation, ...] = ()
    pairs: int | None = None  # that were run, of neighbours in time; None: of stored runs
    suspects: tuple[str, ...] = ()  # names of cases that look slower: more runs of the candidate may settle them

    def count(self, *verdicts: Verdict) -> int:
        """Return how many cases have one of these verdicts."""
        return sum(case.verdict in verdicts for case in self.cases)

    @property
    def needs_rounds(self) -> bool:
        """Whether all that is inconclusive is so for too few rounds alone, as :attr:`CaseComparison.needs_rounds`."""
        unclear = [case for case in self.cases if case.verdict is Verdict.INCONCLUSIVE]
        return bool(unclear) and all(case.needs_rounds for case in unclear)

    @property
    def more_runs(self) -> int:
        """How many more runs, of either side, the cases that are inconclusive take at the least."""
        return max(
            (
                case.counting.lacking
                for case in self.cases
                if case.verdict is Verdict.INCONCLUSIVE
                and case.counting is not None
                and case.counting.lacking
                and not (case.drifted or case.needs_rounds)
            ),
            default=0,
        )

    def moved(self) -> Mapping[Moved, int]:
        """Return every fact that differs, the heaviest first, and in how many cases it does."""
        found = Counter(fact for case in self.cases for fact in case.moved)
        return dict(sorted(found.items(), key=lambda item: list(Weight).index(item[0].weight)))


def compare(base: Sequence[SideRun], candidate: Sequence[SideRun], config: Config | None = None) -> Comparison:
    """Return the verdict on every case: outcomes first, then time by the stored rule, peak memory by the exact one.

    A case whose facts moved so far that its runs cannot be compared has no other verdict; one whose surroundings
    drifted has none beyond inconclusive. Runs that something else disturbed do not count where there are enough others;
    else what they may have caused is inconclusive. Memory that varies within a run is decided as time is, and time and
    memory then share the chance of a false alarm.

    Args:
        base: runs to compare with, one or more.
        candidate: runs to judge, one or more.
        config: the rules of time; None: the defaults.

    """
    rules = config or Config()
    sides = {name: both_sides(base, candidate, name) for name in names_of(base, candidate)}
    facts = {name: moved_among(there, here) for name, (there, here) in sides.items()}
    comparable = {
        name: found
        for name, found in sides.items()
        if all(found) and not any(fact.weight is Weight.MUST_MATCH for fact in facts[name])
    }
    outcomes = {n: compare_outcomes(state_of_base(b), state_of_candidate(c)) for n, (b, c) in comparable.items()}
    sound = {n: (sound_of(b), sound_of(c)) for n, (b, c) in comparable.items() if outcomes[n] is None}
    memory = {
        name: memory_verdict(*found, tolerance=rules.memory_tolerance_of(name))
        for name, found in sound.items()
        if any(m.peak_bytes for m in chain(*found))
    }
    varying = [name for name, verdict in memory.items() if verdict is None]
    counted = {name: runs_that_count(*found) for name, found in sound.items()}
    facts |= {name: _of_counted(facts[name], found) for name, found in counted.items() if found.left_out}
    # What was disturbed explains nothing either.
    design = design_of({name: found for name, found in sound.items() if not counted[name].disturbed})
    rules = replace(rules.shared(2 if varying else 1), design=design)
    times, decision = _as_time({n: _rounds((c.base, c.candidate), "seconds") for n, c in counted.items()}, rules)
    times = {name: counted[name].without_blame(verdict) for name, verdict in times.items()}
    in_memory = replace(rules, design=None, tolerance=rules.memory_tolerance)
    larger, of_memory = _as_time({n: _enough(_rounds(sound[n], "peak_bytes")) for n in varying}, in_memory)
    memory |= {name: of_bytes(verdict, *_rounds(sound[name], "peak_bytes")) for name, verdict in larger.items()}
    cases = tuple(
        case_comparison(
            name, there, here, facts[name], outcomes.get(name), times.get(name), memory.get(name), counted.get(name)
        )
        for name, (there, here) in sides.items()
    )
    suspected = {*decision.suspects, *of_memory.suspects}
    return Comparison(
        cases=cases,
        base=tuple(base),
        candidate=tuple(candidate),
        config=config or Config(),
        explanations=in_words_of(of_slower(decision.explanations, cases), (case.place for case in cases)),
        suspects=tuple(case.name for case in cases if case.name in suspected and _may_be_settled(case)),
    )


_Rounds = tuple[list[Sequence[float]], list[Sequence[float]]]  # of each run of the base and of the candidate


def memory_verdict(there: Runs, here: Runs, *, tolerance: float = MEMORY_TOLERANCE) -> CaseVerdict | None:
    """Return the verdict on peak memory; None where it varies within a run."""
    base, candidate = ([measured.peak_bytes for measured in side if measured.peak_bytes] for side in (there, here))
    if base and candidate:
        return compare_exact(base, candidate, tolerance=tolerance)
    return CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason=f"not known of the {'candidate' if base else 'base'}")


def _rounds(found: tuple[Runs, Runs], metric: str) -> _Rounds:
    there, here = ([getattr(measured, metric) for measured in side] for side in found)
    return there, here


def _as_time(rounds: Mapping[str, _Rounds], config: Config) -> tuple[dict[str, CaseVerdict], Decision]:
    """Return the verdict on each case by the stored rule; each of its runs has enough rounds."""
    tested = [name for name, sides in rounds.items() if all(sides)]
    runs: list[list[Run]] = []
    for side in (0, 1):
        most = max((len(rounds[name][side]) for name in tested), default=0)
        runs.append([{n: rounds[n][side][i] for n in tested if i < len(rounds[n][side])} for i in range(most)])
    decision = decide(runs[0], runs[1], None, config)
    return {name: decision.verdicts.get(name) or _untested(*rounds[name]) for name in rounds}, decision


def _enough(rounds: _Rounds) -> _Rounds:
    there, here = ([run for run in side if enough_rounds(run)] for side in rounds)
    return there, here


def _untested(base: Sequence[object], candidate: Sequence[object]) -> CaseVerdict:
    """Return the verdict on a case of which a side, given as its runs of enough rounds, has none."""
    give = f"-o sd_rounds={FEWEST_FOR_ERROR}"
    side, fix = "both sides", f"record the base again with {give}, and give the candidate as many"
    if base:
        side, fix = "the candidate", f"give {give} or more"
    elif candidate:
        side, fix = "the base", f"record it again with {give}"
    reason = f"fewer than {FEWEST_FOR_ERROR} rounds in every run of {side}: {fix}"
    return CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason=reason, too_short=True)


def case_comparison(
    name: str,
    there: Runs,
    here: Runs,
    facts: tuple[Moved, ...],
    outcome: CaseVerdict | None,
    time: CaseVerdict | None,
    memory: CaseVerdict | None,
    counting: CountedRuns | None = None,
    *,
    drift_counts: bool = True,
) -> CaseComparison:
    """Return the verdict on a case from the verdicts on its parts.

    Args:
        name: node id with the parameters.
        there: of each run of the base that has it; empty where the candidate alone does.
        here: of the candidate, likewise.
        facts: that moved among all of them.
        outcome: where it did not go well on both sides.
        time: if it was compared.
        memory: if it was compared.
        counting: the runs that its time was judged by; None: all.
        drift_counts: whether what moved of the surroundings may be to blame: not where both sides ran side by side.

    """
    drift = [str(fact) for fact in facts if fact.weight is Weight.DRIFT] if drift_counts else []
    heavy = [str(fact) for fact in facts if fact.weight is Weight.MUST_MATCH]
    verdict, reason = _word(there, here, {"": outcome, "time: ": time, "peak memory: ": memory})
    if there and here and heavy:
        verdict, reason = Verdict.INCOMPARABLE, ", ".join(heavy)
    elif drift and verdict in COMPARED:
        verdict, reason = Verdict.INCONCLUSIVE, f"{', '.join(drift)}: the change may not be the code's"
    return CaseComparison(
        name=name,
        place=(there or here)[0].place,
        verdict=verdict,
        reason=reason,
        outcome=outcome,
        time=time,
        memory=memory,
        base=there,
        candidate=here,
        counting=counting,
        moved=facts,
    )


def _word(there: Runs, here: Runs, parts: Mapping[str, CaseVerdict | None]) -> tuple[Verdict, str]:
    if not here:
        return Verdict.MISSING, "the candidate did not run it"
    if not there:
        return Verdict.NEW, "the base did not run it"
    found = {label: part for label, part in parts.items() if part is not None}
    verdict = min((part.verdict for part in found.values()), key=_RANK.index, default=Verdict.INCONCLUSIVE)
    return verdict, "; ".join(f"{label}{part.reason}" for label, part in found.items() if part.verdict is verdict)


def _of_counted(facts: tuple[Moved, ...], counted: CountedRuns) -> tuple[Moved, ...]:
    """Return *facts* without the drift of runs that do not count: what it would excuse is not judged."""
    kept = moved_among(counted.base, counted.candidate)
    return tuple(fact for fact in facts if fact.weight is not Weight.DRIFT or fact in kept)


def of_slower(found: Iterable[Explanation], cases: Sequence[CaseComparison]) -> tuple[Explanation, ...]:
    """Return the explanations of groups in which a case is slower by now, and regressed for that."""
    red = [case for case in cases if case.verdict is Verdict.REGRESSED and case.time is not None]
    groups = {
        name for case in red if case.time and case.time.verdict is Verdict.REGRESSED for name in case.place.groups
    }
    return tuple(one for one in found if one.group in groups)


def _may_be_settled(case: CaseComparison) -> bool:
    """Return whether more runs of the candidate may tell what is the matter with a suspect."""
    return case.verdict in (Verdict.REGRESSED, Verdict.INCONCLUSIVE) and not case.drifted


def _call_s(counted: Runs) -> float | None:
    """Return the seconds per call; each run counts the same."""
    measured = [one for one in counted if one.seconds]
    if not measured:
        return None
    logs = [math.log(location_s(one.seconds)) for one in measured]
    return math.exp(math.fsum(logs) / len(logs)) / measured[0].place.batch_count
