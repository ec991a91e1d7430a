"""Runs that were stored against runs made now: the machine may have moved in between, so less can be said."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import Estimate, Locations, p_value
from pytest_sdbatch.analysis.faster import found_faster
from pytest_sdbatch.analysis.holm import holm
from pytest_sdbatch.analysis.judge import not_slower, with_numbers
from pytest_sdbatch.analysis.screen import suspects
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

FEWEST_RUNS = 5  # of both sides together
_FEWEST_FREEDOM = FEWEST_RUNS - 2  # two means are taken off


def stored_estimates(
    base: Sequence[Locations], candidate: Sequence[Locations], cases: Sequence[str]
) -> dict[str, Estimate]:
    """Return the difference of each case's means, with the variance pooled within the sides.

    Args:
        base: locations by case of the stored runs.
        candidate: of the runs made now; a case may be in some of them only.
        cases: that both sides ran.

    """
    return {
        case: _estimate([run[case] for run in base if case in run], [run[case] for run in candidate if case in run])
        for case in cases
    }


def _estimate(base: Sequence[float], candidate: Sequence[float]) -> Estimate:
    means = [math.fsum(side) / len(side) for side in (base, candidate)]
    freedom = len(base) + len(candidate) - 2
    squares = math.fsum(
        (value - mean) ** 2 for side, mean in zip((base, candidate), means, strict=True) for value in side
    )
    variance = squares / freedom if freedom else 0.0
    return Estimate(
        mean=means[1] - means[0],
        error=math.sqrt(variance * (1 / len(base) + 1 / len(candidate))),
        spread=math.sqrt(2 * variance),  # of a pair, were one run
        freedom=freedom,
        pairs=0,
    )


def judge_stored(estimates: Mapping[str, Estimate], config: Config) -> tuple[dict[str, CaseVerdict], tuple[str, ...]]:
    """Return the verdicts, and the suspects: cases that look slower, which more runs of the candidate may settle.

    A suspect is regressed where it is slower by more than the drift beyond chance, by Holm's procedure over all
    cases; unchanged where it is within its budget whatever the machine drifted; else inconclusive. No case with fewer
    than 5 runs is more than inconclusive.
    """
    suspected = suspects(estimates, config)
    looks_slower = frozenset(suspected)  # of thousands
    drift = math.log1p(config.drift)
    enough = {case: estimate for case, estimate in estimates.items() if estimate.freedom >= _FEWEST_FREEDOM}
    p_values = {case: p_value(estimate, against=drift) for case, estimate in enough.items()}
    faster = found_faster(enough, lambda case: _least(case, config), share=config.false_discoveries)
    rejected = holm({case: p_values.get(case, 1.0) for case in estimates}, config.alpha)
    tail = config.alpha / max(1, len(estimates))
    verdicts = {}
    for case, estimate in estimates.items():
        tolerance = config.tolerance_of(case)
        verdict, reason = _word(
            case, estimate, config, suspect=case in looks_slower, rejected=case in rejected, faster=case in faster
        )
        verdicts[case] = with_numbers(
            verdict, reason, estimate, tail=tail, tolerance=tolerance, against=drift, p=p_values.get(case)
        )
    return verdicts, suspected


def _least(case: str, config: Config) -> float:
    """Return the share beyond which *case* is told as changed: the machine may have moved by the drift."""
    return max(config.tolerance_of(case), config.drift)


def _word(
    case: str, estimate: Estimate, config: Config, *, suspect: bool, rejected: bool, faster: bool
) -> tuple[Verdict, str]:
    least = _least(case, config)
    if estimate.freedom < _FEWEST_FREEDOM:
        return Verdict.INCONCLUSIVE, f"{estimate.freedom + 2} runs of both sides, {FEWEST_RUNS} are needed"
    tolerance = config.tolerance_of(case)
    if rejected and estimate.mean >= math.log1p(tolerance):
        budget = f", and by its budget of {units.share(tolerance)} or more" if tolerance > config.drift else ""
        return Verdict.REGRESSED, f"slower by more than {units.share(config.drift)}, beyond chance{budget}"
    if suspect and estimate.upper + math.log1p(config.drift) < math.log1p(tolerance):
        return Verdict.UNCHANGED, f"within its budget of {units.share(tolerance)}, whatever the machine drifted"
    if suspect:
        return Verdict.INCONCLUSIVE, f"looks slower, but not clearly by more than {units.share(least)}"
    return not_slower(estimate, faster_by=least if faster else None, margin=config.margin_of(case))
