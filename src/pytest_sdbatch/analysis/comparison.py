"""Stored runs against new ones: one verdict for every case of either side, over outcome, time and peak memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import Moved, Weight, moved
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE, Config
from pytest_sdbatch.analysis.decision import decide
from pytest_sdbatch.analysis.estimate import Run
from pytest_sdbatch.analysis.exact import compare_exact
from pytest_sdbatch.analysis.explanation import Explanation, in_words_of
from pytest_sdbatch.analysis.growth import growth
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, location_s
from pytest_sdbatch.analysis.outcomes import compare_outcomes, state_of_base, state_of_candidate
from pytest_sdbatch.analysis.restless import telling, undisturbed
from pytest_sdbatch.analysis.sides import OK, Measured, Place, SideRun
from pytest_sdbatch.analysis.stored import FEWEST_RUNS
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
_FEWEST_FRESH = 2  # runs of a suspect beside the one that made it a suspect
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
    def causes(self) -> tuple[str, ...]:
        """What explains that it became slower, of a case whose time regressed; no test."""
        if self.time is None or self.time.verdict is not Verdict.REGRESSED:
            return ()
        return tuple(growth(sound_of(self.base), sound_of(self.candidate)))

    @property
    def base_call_s(self) -> float | None:
        """Seconds per call; None where no run of the base ended well."""
        return _call_s(self.base)

    @property
    def candidate_call_s(self) -> float | None:
        """Seconds per call; None where no run of the candidate ended well."""
        return _call_s(self.candidate)


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
        """How many more runs, of either side, a verdict on time takes at the least."""
        return max(0, FEWEST_RUNS - len(self.base) - len(self.candidate)) if self.pairs is None else 0

    def moved(self) -> Mapping[Moved, int]:
        """Return every fact that differs, the heaviest first, and in how many cases it does."""
        found = Counter(fact for case in self.cases for fact in case.moved)
        return dict(sorted(found.items(), key=lambda item: list(Weight).index(item[0].weight)))


def compare(base: Sequence[SideRun], candidate: Sequence[SideRun], config: Config | None = None) -> Comparison:
    """Return the verdict on every case: outcomes first, then time by the stored rule, peak memory by the exact one.

    A case whose facts moved so far that its runs cannot be compared has no other verdict; one whose surroundings
    drifted has none beyond inconclusive. Times that include waiting for a core do not count where their side has
    others; where it has none, what they may have caused is inconclusive. Memory that varies within a run is decided as
    time is, and time and memory then share the chance of a false alarm.

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
    rules = replace(rules.shared(2 if varying else 1), design=design_of(sound))
    timed = {n: _rounds((telling(b), telling(c)), "seconds") for n, (b, c) in sound.items()}
    times, decision = _as_time(timed, rules)
    times = {name: _as_disturbed(verdict, *sound[name]) for name, verdict in times.items()}
    in_memory = replace(rules, design=None, tolerance=rules.memory_tolerance)
    larger, of_memory = _as_time({n: _rounds(sound[n], "peak_bytes") for n in varying}, in_memory)
    memory |= larger
    cases = [
        case_comparison(name, there, here, facts[name], outcomes.get(name), times.get(name), memory.get(name))
        for name, (there, here) in sides.items()
    ]
    return Comparison(
        cases=tuple(cases),
        base=tuple(base),
        candidate=tuple(candidate),
        config=config or Config(),
        explanations=in_words_of(decision.explanations, (case.place for case in cases)),
        suspects=tuple(
            name
            for name in dict.fromkeys((*decision.suspects, *of_memory.suspects))
            if not any(fact.weight is Weight.DRIFT for fact in facts[name])  # more runs would not undo that
        ),
    )


def confirmed(found: Comparison, again: Sequence[SideRun], *, processes: int) -> Comparison:
    """Return *found* without the verdicts on time that stand on the run that raised the suspicion.

    Args:
        found: of runs of the candidate that include *again*.
        again: the runs of the suspects that were made to confirm them.
        processes: that were started for those; some may have left no run.

    """

    def weakened(part: CaseVerdict | None, fresh: int) -> CaseVerdict | None:
        if part is None or part.verdict is not Verdict.REGRESSED or part.interval is None:  # None: it is exact
            return part
        reason = f"{fresh} of {processes} fresh processes measured it again undisturbed, {_FEWEST_FRESH} are needed"
        return replace(part, verdict=Verdict.INCONCLUSIVE, reason=reason)

    def checked(case: CaseComparison) -> CaseComparison:
        fresh = len(undisturbed(sound_of([run.cases[case.name] for run in again if case.name in run.cases])))
        if fresh >= _FEWEST_FRESH:
            return case
        time, memory = weakened(case.time, fresh), weakened(case.memory, fresh)
        return case_comparison(case.name, case.base, case.candidate, case.moved, case.outcome, time, memory)

    return replace(found, cases=tuple(map(checked, found.cases)))


_Side = Sequence[Measured]
_Rounds = tuple[list[Sequence[float]], list[Sequence[float]]]  # of each run of the base and of the candidate


def names_of(*sides: Sequence[SideRun]) -> Iterable[str]:
    """Return the names of all cases, in the order in which they were met."""
    return dict.fromkeys(name for side in sides for run in side for name in run.cases)


def both_sides(base: Sequence[SideRun], candidate: Sequence[SideRun], name: str) -> tuple[_Side, _Side]:
    """Return what the runs of each side say of the case *name*."""
    there, here = ([run.cases[name] for run in side if name in run.cases] for side in (base, candidate))
    return there, here


def moved_among(there: _Side, here: _Side) -> tuple[Moved, ...]:
    """Return what differs from the first run. Of a case that was not measured less is known, which is no difference.

    Of what is only shown that alone which no run of the base has: it explains nothing where the base has it too.
    """
    first, *others = [*there, *here]
    found: dict[Moved, None] = {}
    for other in others if there and here else ():
        if other.facts == first.facts:  # nearly always
            continue
        whole = first.state == other.state == OK
        for fact in moved(first.facts, other.facts):
            is_new = fact.weight is not Weight.SHOWN or all(r.facts.shown.get(fact.key) != fact.after for r in there)
            if is_new and (whole or None not in (fact.before, fact.after)):
                found[fact] = None
    return tuple(found)


def sound_of(found: _Side) -> _Side:
    """Return those of *found* that ended well."""
    return [measured for measured in found if measured.state == OK]


def memory_verdict(there: _Side, here: _Side, *, tolerance: float = MEMORY_TOLERANCE) -> CaseVerdict | None:
    """Return the verdict on peak memory; None where it varies within a run."""
    base, candidate = ([measured.peak_bytes for measured in side if measured.peak_bytes] for side in (there, here))
    if base and candidate:
        return compare_exact(base, candidate, tolerance=tolerance)
    return CaseVerdict(verdict=Verdict.INCONCLUSIVE, reason=f"not known of the {'candidate' if base else 'base'}")


def _rounds(found: tuple[_Side, _Side], metric: str) -> _Rounds:
    there, here = ([getattr(measured, metric) for measured in side] for side in found)
    return there, here


def design_of(sound: Mapping[str, tuple[_Side, _Side]]) -> dict[str, tuple[str, int, int]]:
    """Return the group of each case, for the explanation; the test is named where there are several."""
    places = {name: there[0].place for name, (there, _) in sound.items() if there[0].place.group}
    several = len({place.test for place in places.values()}) > 1
    return {
        name: (f"{p.test} {p.group}" if several else p.group, p.batch_size, p.batch_count) for name, p in places.items()
    }


def _as_time(rounds: Mapping[str, _Rounds], config: Config) -> tuple[dict[str, CaseVerdict], Decision]:
    """Return the verdict on each case by the stored rule; a run of too few rounds, or with one of 0, does not count."""
    enough = {name: tuple([r for r in side if enough_rounds(r)] for side in sides) for name, sides in rounds.items()}
    tested = [name for name, sides in enough.items() if all(sides)]
    runs: list[list[Run]] = []
    for side in (0, 1):
        most = max((len(enough[name][side]) for name in tested), default=0)
        runs.append([{n: enough[n][side][i] for n in tested if i < len(enough[n][side])} for i in range(most)])
    decision = decide(runs[0], runs[1], None, config)
    return {name: decision.verdicts.get(name) or _untested(*enough[name]) for name in rounds}, decision


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


def _as_disturbed(time: CaseVerdict, there: _Side, here: _Side) -> CaseVerdict:
    """Return *time* as it is where sound runs waited for cores: inconclusive where that may be all that it tells."""
    calm = len(undisturbed(there)), len(undisturbed(here))
    crowded = "the candidate" if time.verdict is Verdict.REGRESSED and not calm[1] else ""
    if time.verdict in (Verdict.IMPROVED, Verdict.UNCHANGED) and not calm[0]:
        crowded = "the base"
    if crowded:
        fix = "measure on a quiet machine, or both in turn with sdbatch ab"
        reason = f"something else used the cores in every run of {crowded}: {fix}"
        return replace(time, verdict=Verdict.INCONCLUSIVE, reason=reason)
    dropped = sum(len(side) - count for side, count in zip((there, here), calm, strict=True) if count)
    if dropped and time.verdict is Verdict.INCONCLUSIVE:
        return replace(time, reason=f"{time.reason}; {units.count(dropped, 'run')} beside other work not counted")
    return time


def enough_rounds(values: Sequence[float]) -> bool:
    """Return whether a run's readings of a case have a location with an error."""
    return len(values) >= FEWEST_FOR_ERROR and min(values) > 0


def case_comparison(
    name: str,
    there: _Side,
    here: _Side,
    facts: tuple[Moved, ...],
    outcome: CaseVerdict | None,
    time: CaseVerdict | None,
    memory: CaseVerdict | None,
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
        moved=facts,
    )


def _word(there: _Side, here: _Side, parts: Mapping[str, CaseVerdict | None]) -> tuple[Verdict, str]:
    if not here:
        return Verdict.MISSING, "the candidate did not run it"
    if not there:
        return Verdict.NEW, "the base did not run it"
    found = {label: part for label, part in parts.items() if part is not None}
    verdict = min((part.verdict for part in found.values()), key=_RANK.index, default=Verdict.INCONCLUSIVE)
    return verdict, "; ".join(f"{label}{part.reason}" for label, part in found.items() if part.verdict is verdict)


def _call_s(found: _Side) -> float | None:
    """Return the seconds per call of the sound runs that nothing disturbed, if any; each run counts the same."""
    sound = [measured for measured in sound_of(found) if measured.seconds]
    if not sound:
        return None
    logs = [math.log(location_s(measured.seconds)) for measured in telling(sound)]
    return math.exp(math.fsum(logs) / len(logs)) / sound[0].place.batch_count
