"""A comparison for machines: plain builtins with names that do not change within a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_sdbatch.analysis.comparison import COMPARED, CaseComparison, Comparison
from pytest_sdbatch.analysis.sides import SideRun
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict
from pytest_sdbatch.report.comparison import LEFT_OUT, compared, doubts

SCHEMA = 1


def comparison_data(comparison: Comparison, *, status: int, notes: Sequence[str] = ()) -> dict[str, Any]:
    """Return *comparison* as JSON has it: shares of 1, seconds, bytes; unknown is null.

    Args:
        comparison: of either kind.
        status: the exit status.
        notes: what the reader should know beside the verdicts.

    """
    config = comparison.config
    return {
        "schema": SCHEMA,
        "exit_status": status,
        "base": [_run(run) for run in comparison.base],
        "candidate": [_run(run) for run in comparison.candidate],
        "tolerance": dict(config.tolerance) if isinstance(config.tolerance, Mapping) else config.tolerance,
        "margin": config.margin,
        "drift": config.drift,
        "more_runs_needed": comparison.more_runs,
        "counts": {"compared": comparison.count(*COMPARED), **{word.value: comparison.count(word) for word in Verdict}},
        "moved": [
            {"key": m.key, "weight": m.weight.value, "before": m.before, "after": m.after, "cases": count}
            for m, count in comparison.moved().items()
        ],
        "cases": [_case(case) for case in comparison.cases],
        "pairs": comparison.pairs,
        "explanations": [str(explanation) for explanation in comparison.explanations],
        "notes": [*_doubts(comparison), *notes],
    }


def _doubts(comparison: Comparison) -> Iterator[str]:
    names = compared(comparison)
    for word, side in (("base", comparison.base), ("candidate", comparison.candidate)):
        yield from (f"{word}: {said}" for said in doubts(names, side))
    if any(case.counting is not None and case.counting.left_out for case in comparison.cases):
        yield f"{LEFT_OUT}; what is told of runs has all"


def _run(run: SideRun) -> dict[str, Any]:
    return {"id": run.id, "file": run.file, "started_at": run.started_at, "interrupted": run.interrupted}


def _case(case: CaseComparison) -> dict[str, Any]:
    return {
        "name": case.name,
        "verdict": case.verdict.value,
        "reason": case.reason,
        "base_call_s": case.base_call_s,
        "candidate_call_s": case.candidate_call_s,
        "outcome": _verdict(case.outcome),
        "time": _verdict(case.time),
        "peak_memory": _verdict(case.memory),
        "moved": [str(fact) for fact in case.moved],
        "growth": list(case.causes),
    }


def _verdict(found: CaseVerdict | None) -> Mapping[str, Any] | None:
    if found is None:
        return None
    return {
        "verdict": found.verdict.value,
        "reason": found.reason,
        "estimate": found.estimate,
        "interval": None if found.interval is None else list(found.interval),
        "p": found.p,
        "minimum_detectable_effect": found.minimum_detectable_effect,
        "pairs": found.pairs,
        "needs_more_pairs": found.needs_more,
    }
