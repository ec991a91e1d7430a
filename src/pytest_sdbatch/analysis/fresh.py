"""Suspects that ran again in fresh processes: the run that raised a suspicion does not confirm it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pytest_sdbatch.analysis.comparison import CaseComparison, Comparison, case_comparison, of_slower
from pytest_sdbatch.analysis.counted import enough_rounds, is_slower_than_explained, sound_of
from pytest_sdbatch.analysis.outcomes import is_failure
from pytest_sdbatch.analysis.sides import OK, Measured, SideRun
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.records import Outcome

_OVER_LIMIT = Outcome.OVER_LIMIT.value
_FEWEST_FRESH = 2  # runs of a suspect beside the one that made it a suspect


def confirmed(found: Comparison, again: Sequence[SideRun], *, processes: int) -> Comparison:
    """Return *found* without the verdicts on time that stand on the run that raised the suspicion.

    Args:
        found: of runs of the candidate that include *again*.
        again: the runs of the suspects that were made to confirm them.
        processes: that were started for those; some may have left no run.

    """

    def weakened(part: CaseVerdict | None, fresh: int, how: str = "") -> CaseVerdict | None:
        if part is None or part.verdict is not Verdict.REGRESSED or fresh >= _FEWEST_FRESH:
            return part
        if part.interval is None:  # exact
            return part
        reason = f"{fresh} of {processes} fresh processes measured it again{how}, {_FEWEST_FRESH} are needed"
        return replace(part, verdict=Verdict.INCONCLUSIVE, reason=reason)

    def checked(case: CaseComparison) -> CaseComparison:
        fresh = sound_of([run.cases[case.name] for run in again if case.name in run.cases])
        counted = [one for one in fresh if _counts(one, case)]
        with_memory = [one for one in fresh if enough_rounds(one.peak_bytes)]
        time = weakened(case.time, len(counted), ", whole and undisturbed")
        memory = weakened(case.memory, len(with_memory))
        return case_comparison(
            case.name, case.base, case.candidate, case.moved, case.outcome, time, memory, case.counting
        )

    cases = tuple(map(checked, found.cases))
    return replace(found, cases=cases, explanations=of_slower(found.explanations, cases))


def without_failures(own: SideRun, again: Sequence[SideRun]) -> tuple[tuple[SideRun, ...], dict[str, Measured]]:
    """Return the runs *again* without the cases that failed there, though not in *own*, and those by name.

    A case that ended well once can: what failed meanwhile, be it for want of the memory that the first process still
    holds, measured nothing. Two that were over a limit measured it, and stay.
    """

    def fell(name: str, measured: Measured) -> bool:
        well = name in own.cases and own.cases[name].state == OK
        return well and is_failure(measured) and not (measured.state == _OVER_LIMIT and over[name] >= _FEWEST_FRESH)

    ended = [(name, measured) for run in again for name, measured in run.cases.items()]
    over = Counter(name for name, measured in ended if measured.state == _OVER_LIMIT)
    kept = tuple(replace(run, cases={n: one for n, one in run.cases.items() if not fell(n, one)}) for run in again)
    return kept, {name: measured for name, measured in ended if fell(name, measured)}


def _counts(measured: Measured, case: CaseComparison) -> bool:
    """Return whether the verdict on *case* may stand on a fresh run: it counts, or is slower than anything explains."""
    if any(measured is one for one in case.counted[1]):
        return True
    return case.base_call_s is not None and is_slower_than_explained(measured, case.base_call_s)
