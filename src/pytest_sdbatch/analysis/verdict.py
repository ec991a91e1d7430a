"""What a comparison says of a case, and of all cases of a job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.explanation import Explanation


class Verdict(StrEnum):
    """What is known of a case. Every case that either side ran has exactly one."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    INCONCLUSIVE = "inconclusive"
    NEW = "new"
    MISSING = "missing"
    INCOMPARABLE = "incomparable"
    ACCEPTED = "accepted"  # regressed, and somebody gave a reason


_WORST_FIRST = (
    Verdict.REGRESSED,
    Verdict.INCOMPARABLE,
    Verdict.ACCEPTED,
    Verdict.MISSING,
    Verdict.INCONCLUSIVE,
    Verdict.NEW,
    Verdict.IMPROVED,
    Verdict.UNCHANGED,
)


def worst_first(verdict: Verdict, change: float | None) -> tuple[int, float]:
    """Return what sorts cases in every report, and says which ones stay where there are too many.

    Args:
        verdict: on the case.
        change: of its time, relative; of one verdict the slowest comes first. None: not known, as if unchanged.

    """
    return _WORST_FIRST.index(verdict), -(change or 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseVerdict:
    """The verdict on one case with the numbers it stands on. Changes are relative: 0.03 is 3 % more than the base.

    Unknown numbers are None, and *reason* says why.
    """

    verdict: Verdict
    reason: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None  # two-sided, 95 %
    p: float | None = None  # one-sided; of a tested case
    pairs: int = 0  # the estimate is from so many
    minimum_detectable_effect: float | None = None  # found in 80 % of jobs like this one
    needs_more: int | None = None  # pairs, until a slowdown by the tolerance is found in 80 % of jobs
    too_short: bool = False  # every run of a side has too few rounds: more runs like them say nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdicts of a job, for one metric."""

    verdicts: Mapping[str, CaseVerdict]  # by case id
    suspects: tuple[str, ...] = ()  # cases that looked slower at first sight: the family that is tested
    pairs_run: int = 0
    interrupted: bool = False  # fewer pairs came than were asked for
    explanations: tuple[Explanation, ...] = ()  # of groups with a regressed case

    def cases(self, verdict: Verdict) -> tuple[str, ...]:
        """Return the ids of the cases with this verdict."""
        return tuple(case for case, found in self.verdicts.items() if found.verdict is verdict)
