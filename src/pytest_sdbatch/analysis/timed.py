"""Which runs of a case its time is judged by, where runs are compared that were stored.

Those that ended well, of enough rounds, undisturbed: what waited for a core accuses no code. Where that leaves too few
the disturbed ones count as well, and what they may have caused is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.location import FEWEST_FOR_ERROR
from pytest_sdbatch.analysis.restless import is_contended
from pytest_sdbatch.analysis.sides import OK, Measured
from pytest_sdbatch.analysis.stored import FEWEST_RUNS
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

_FIX = "measure on a quiet machine, or both in turn with sdbatch ab"
_BASE, _CANDIDATE = "the base", "the candidate"
# The side that may have waited without causing a verdict.
_CLEARED = {Verdict.REGRESSED: _BASE, Verdict.IMPROVED: _CANDIDATE, Verdict.UNCHANGED: _CANDIDATE}
# Times as long a case may take beside others besides what it waits: they share caches, memory and what a core can do.
# Beside one that kept the other core of two busy up to 1.6 times was seen.
_UNSEEN = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The runs of each side that count for the time of a case."""

    base: Sequence[Measured]
    candidate: Sequence[Measured]
    left_out: int = 0  # runs of both sides that were disturbed, where others do without them

    @property
    def lacking(self) -> int:
        """How many more runs, of either side, a verdict takes at the least."""
        return max(0, FEWEST_RUNS - len(self.base) - len(self.candidate))

    @property
    def disturbed(self) -> bool:
        """Whether runs count although they were disturbed."""
        return any(map(is_contended, (*self.base, *self.candidate)))

    def cleared(self, verdict: CaseVerdict) -> CaseVerdict:
        """Return *verdict* on the time, inconclusive where it may be what disturbed its runs.

        A candidate that waited may look slower than it is, a base that waited hides that the candidate is slower.
        """
        blamed = [
            (name, side)
            for name, side in ((_BASE, self.base), (_CANDIDATE, self.candidate))
            if name != _CLEARED.get(verdict.verdict) and any(map(is_contended, side))
        ]
        if not blamed:
            if self.left_out and verdict.verdict is Verdict.INCONCLUSIVE:
                runs = units.count(self.left_out, "run")
                return replace(verdict, reason=f"{verdict.reason}; {runs} beside other work not counted")
            return verdict
        if verdict.verdict is Verdict.REGRESSED and not self._explains(verdict):
            return replace(verdict, reason=f"{verdict.reason}, and by more than what else used the cores explains")
        before = f"; {verdict.reason}" if verdict.verdict is Verdict.INCONCLUSIVE else ""
        return replace(verdict, verdict=Verdict.INCONCLUSIVE, reason=f"{_said(blamed)}{before}")

    def _explains(self, verdict: CaseVerdict) -> bool:
        """Return whether what disturbed the candidate may have made it so much slower, all of the interval."""
        waits = [one.waited for one in self.candidate if is_contended(one)]
        if verdict.interval is None or any(share is None or share >= 1 for share in waits):
            return True
        longest = max(_UNSEEN / (1 - share) for share in waits if share is not None)
        return 1 + verdict.interval[0] <= longest


def timed(there: Sequence[Measured], here: Sequence[Measured]) -> Timed:
    """Return which of the runs of the base *there* and of the candidate *here* count.

    Undisturbed ones of both sides where they are five or more, with one or more of each. Else the disturbed ones of the
    base as well: it is slower for them, so that the candidate may still be told as regressed. Else those of the
    candidate: it may be told as no slower. Else all.
    """
    base, candidate = _with_rounds(there), _with_rounds(here)
    calm, calm_new = undisturbed(base), undisturbed(candidate)
    for one, other in ((calm, calm_new), (base, calm_new), (calm, candidate)):
        if one and other and len(one) + len(other) >= FEWEST_RUNS:
            left_out = len(base) + len(candidate) - len(one) - len(other)
            return Timed(base=one, candidate=other, left_out=left_out)
    return Timed(base=base, candidate=candidate)


def sound_of(found: Sequence[Measured]) -> Sequence[Measured]:
    """Return those of *found* that ended well."""
    return [measured for measured in found if measured.state == OK]


def undisturbed(found: Sequence[Measured]) -> list[Measured]:
    """Return those of *found* that did not wait for something else."""
    return [one for one in found if not is_contended(one)]


def enough_rounds(values: Sequence[float]) -> bool:
    """Return whether a run's readings of a case have a location with an error."""
    return len(values) >= FEWEST_FOR_ERROR and min(values) > 0


def _said(sides: Sequence[tuple[str, Sequence[Measured]]]) -> str:
    parts = [f"{sum(map(is_contended, side))} of {units.count(len(side), 'run')} of {name}" for name, side in sides]
    return f"something else used the cores in {' and '.join(parts)}: {_FIX}"


def _with_rounds(found: Sequence[Measured]) -> Sequence[Measured]:
    return [measured for measured in sound_of(found) if enough_rounds(measured.seconds)]
