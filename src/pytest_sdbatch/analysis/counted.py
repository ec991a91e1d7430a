"""Which runs of a case count for its time, where runs are compared that were stored.

Those that ended well, of enough rounds, undisturbed: what waited for a core accuses no code. Where that leaves too few
the disturbed ones count as well, and what they may have caused is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR, location_s
from pytest_sdbatch.analysis.restless import was_disturbed
from pytest_sdbatch.analysis.sides import OK, Measured
from pytest_sdbatch.analysis.stored import FEWEST_RUNS
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

_FIX = "measure on a quiet machine, or both in turn with sdbatch ab"
# Times as long a case may take beside others besides what it waits: they share caches, memory and what a core can do.
# Beside one that kept the other core of two busy up to 1.6 times was seen.
_UNSEEN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CountedRuns:
    """The runs of each side that count for the time of a case."""

    base: Sequence[Measured]
    candidate: Sequence[Measured]
    left_out: int = 0  # runs of both sides that were disturbed, where others do without them
    disturbed_base: Sequence[Measured] = ()  # of those that count
    disturbed_candidate: Sequence[Measured] = ()

    @property
    def lacking(self) -> int:
        """How many more runs, of either side, a verdict takes at the least."""
        return max(0, FEWEST_RUNS - len(self.base) - len(self.candidate))

    @property
    def disturbed(self) -> bool:
        """Whether runs count although they were disturbed."""
        return bool(self.disturbed_base or self.disturbed_candidate)

    def without_blame(self, verdict: CaseVerdict) -> CaseVerdict:
        """Return *verdict* on the time, inconclusive where it may be what disturbed its runs.

        A candidate that waited may look slower than it is, a base that waited hides that the candidate is slower.
        """
        word = verdict.verdict
        there = () if word is Verdict.REGRESSED else self.disturbed_base
        here = () if word in (Verdict.IMPROVED, Verdict.UNCHANGED) else self.disturbed_candidate
        if not (there or here):
            if self.left_out and word is Verdict.INCONCLUSIVE:
                runs = units.count(self.left_out, "run")
                return replace(verdict, reason=f"{verdict.reason}; {runs} beside other work not counted")
            return verdict
        if word is Verdict.REGRESSED and verdict.interval is not None and _is_beyond(1 + verdict.interval[0], here):
            return replace(verdict, reason=f"{verdict.reason}, and by more than what else used the cores explains")
        shares = [(there, self.base, "the base"), (here, self.candidate, "the candidate")]
        where = " and ".join(
            f"{len(some)} of {units.count(len(side), 'run')} of {name}" for some, side, name in shares if some
        )
        before = f"; {verdict.reason}" if word is Verdict.INCONCLUSIVE else ""
        reason = f"something else used the cores in {where}: {_FIX}{before}"
        return replace(verdict, verdict=Verdict.INCONCLUSIVE, reason=reason)


def runs_that_count(there: Sequence[Measured], here: Sequence[Measured]) -> CountedRuns:
    """Return which of the runs of the base *there* and of the candidate *here* count.

    Undisturbed ones of both sides where they are five or more, with one or more of each. Else the disturbed ones of the
    base as well: it is slower for them, so that the candidate may still be told as regressed. Else those of the
    candidate: it may be told as no slower. Else all.
    """
    base, candidate = _with_rounds(there), _with_rounds(here)
    calm, calm_new = _undisturbed(base), _undisturbed(candidate)
    if len(calm) == len(base) and len(calm_new) == len(candidate):  # nearly always
        return CountedRuns(base=base, candidate=candidate)
    chosen = next(
        (
            (one, other)
            for one, other in ((calm, calm_new), (base, calm_new), (calm, candidate))
            if one and other and len(one) + len(other) >= FEWEST_RUNS
        ),
        (base, candidate),
    )
    return CountedRuns(
        base=chosen[0],
        candidate=chosen[1],
        left_out=len(base) + len(candidate) - len(chosen[0]) - len(chosen[1]),
        disturbed_base=[one for one in chosen[0] if was_disturbed(one)],
        disturbed_candidate=[one for one in chosen[1] if was_disturbed(one)],
    )


def is_slower_than_explained(measured: Measured, base_call_s: float) -> bool:
    """Return whether a disturbed run is slower than *base_call_s*, seconds per call, by more than what disturbed it."""
    if not was_disturbed(measured) or not enough_rounds(measured.seconds):
        return False
    return _is_beyond(location_s(measured.seconds) / measured.place.batch_count / base_call_s, [measured])


def sound_of(found: Sequence[Measured]) -> Sequence[Measured]:
    """Return those of *found* that ended well."""
    return [measured for measured in found if measured.state == OK]


def enough_rounds(values: Sequence[float]) -> bool:
    """Return whether a run's readings of a case have a location with an error."""
    return len(values) >= FEWEST_FOR_ERROR and min(values) > 0


def _undisturbed(found: Sequence[Measured]) -> Sequence[Measured]:
    return [one for one in found if not was_disturbed(one)]


def _with_rounds(found: Sequence[Measured]) -> Sequence[Measured]:
    return [one for one in found if one.state == OK and enough_rounds(one.seconds)]


def _is_beyond(ratio: float, disturbed: Iterable[Measured]) -> bool:
    """Return whether being *ratio* times as long is more than waiting, and what is shared besides, explains.

    Threads that work on one thing wait for the one that has no core: at the worst, each for all of the others.
    """
    waits = [_of_all_threads(one) for one in disturbed]
    known = [share for share in waits if share is not None and 0 <= share < 1]
    return len(known) == len(waits) and ratio > _UNSEEN / (1 - max(known, default=0.0))


def _of_all_threads(measured: Measured) -> float | None:
    threads = measured.facts.must_match.get("threads")
    return None if measured.waited is None else measured.waited * (threads if isinstance(threads, int) else 1)
