"""What a comparison says of every case, as ``sdbatch compare --json`` and ``sdbatch ab --json`` print it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_sdbatch.analysis.comparable import Moved, Weight
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.records import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRun:
    """A run of one side."""

    file: str
    started_at: str
    interrupted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFact:
    """A fact that moved between the sides, and in how many cases."""

    key: str
    weight: Weight
    before: Fact
    after: Fact
    cases: int

    @property
    def moved(self) -> Moved:
        """The fact itself."""
        return Moved(key=self.key, weight=self.weight, before=self.before, after=self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMetric:
    """The verdict on outcome, time or memory of a case. Changes are relative; unknown is None."""

    verdict: Verdict
    reason: str
    estimate: float | None = None
    interval: tuple[float, float] | None = None
    minimum_detectable_effect: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCase:
    """A case of either side. What was not compared is None."""

    name: str  # node id with the parameters
    verdict: Verdict
    reason: str
    base_call_s: float | None = None
    candidate_call_s: float | None = None
    outcome: ListedMetric | None = None
    time: ListedMetric | None = None
    peak_memory: ListedMetric | None = None
    growth: tuple[str, ...] = ()  # what grew, where it became slower


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictList:
    """All cases of both sides. Names as :func:`pytest_sdbatch.report.comparison_data.comparison_data` has them."""

    base: tuple[ListedRun, ...]
    candidate: tuple[ListedRun, ...]
    counts: Mapping[str, int]  # of each verdict, and "compared"
    moved: tuple[ListedFact, ...]
    cases: tuple[ListedCase, ...]
    pairs: int | None = None
    explanations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
