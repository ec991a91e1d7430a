"""The verdicts of a comparison in words: what was compared, what moved, a row per case, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.verdict import Verdict, worst_first
from pytest_sdbatch.analysis.verdict_list import ListedCase, ListedRun, VerdictList
from pytest_sdbatch.report.comparison import counted_line, figures_of, finds_line, moved_lines
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import Column

COLUMNS = (
    Column("case", "case", left=True),
    Column("verdict", "verdict", left=True),
    Column("base", "base"),
    Column("now", "now"),
    Column("change", "change"),
    Column("interval", "95 % interval"),
    Column("detects", "finds"),
    Column("memory", "memory"),
    Column("why", "why", left=True),
)
_OBVIOUS = (Verdict.IMPROVED, Verdict.UNCHANGED)


def headline(verdicts: VerdictList) -> str:
    """Return how many cases have which verdict."""
    return counted_line(verdicts.counts)


def lines(verdicts: VerdictList) -> Iterator[str]:
    """Yield what was compared, what moved between the sides, what the columns mean, and what the command noted."""
    for word, side in (("base", verdicts.base), ("candidate", verdicts.candidate)):
        yield f"{word}: {_side(side)}"
    paired = verdicts.pairs is not None
    if verdicts.pairs is not None:
        yield f"{units.count(verdicts.pairs, 'pair')} of runs, of neighbours in time"
    yield from moved_lines(
        ((fact.moved, fact.cases) for fact in verdicts.moved), cases=len(verdicts.cases), paired=paired
    )
    if any(case.time is not None and case.time.minimum_detectable_effect is not None for case in verdicts.cases):
        yield finds_line(paired=paired)
    yield from (plain(text) for text in (*verdicts.explanations, *verdicts.notes))


def ranked(verdicts: VerdictList) -> list[ListedCase]:
    """Return the cases, the worst first, else in their order."""

    def rank(case: ListedCase) -> tuple[int, float]:
        return worst_first(case.verdict, None if case.time is None else case.time.estimate)

    return sorted(verdicts.cases, key=rank)


def cells(case: ListedCase) -> dict[str, str]:
    """Return the text of each column of *case*."""
    return {
        "case": plain(case.name),
        "verdict": case.verdict.value,
        **figures_of(case.base_call_s, case.candidate_call_s, time=case.time, memory=case.peak_memory),
        "why": why(case),
    }


def why(case: ListedCase) -> str:
    """Return the reason for a verdict that needs one, with what grew."""
    if case.verdict in _OBVIOUS:
        return ""
    return plain("; ".join((case.reason, *case.growth)))


def _side(side: Sequence[ListedRun]) -> str:
    files = ", ".join(dict.fromkeys(run.file for run in side))
    stopped = sum(run.interrupted for run in side)
    missing = f"; {units.count(stopped, 'run')} interrupted: cases are missing" if stopped else ""
    return plain(f"{units.count(len(side), 'run')}: {files}{missing}")
