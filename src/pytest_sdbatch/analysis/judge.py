"""From an estimate to a word: the order in which verdicts are tried, and the numbers that always go with them."""

from __future__ import annotations

import math

from pytest_sdbatch import units
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import (
    FEWEST_PAIRS,
    Estimate,
    detection_reach,
    minimum_detectable_effect,
    relative,
)
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict

_MOST_PAIRS = 10**9


def judge(
    case: str,
    estimate: Estimate,
    config: Config,
    *,
    family: int,
    p: float | None = None,
    rejected: bool = False,
    faster: bool = False,
    fewest: int = FEWEST_PAIRS,
    tested: Estimate | None = None,
) -> CaseVerdict:
    """Return the first verdict that holds for a case of ``ab``: regressed, improved, unchanged, inconclusive.

    Args:
        case: its id, for tolerances by case.
        estimate: of the ln-ratio, from the pairs at hand.
        config: of the job.
        family: number of suspects in the job.
        p: of the test against no change; None: not tested.
        rejected: whether "no slower" was rejected at this look or before.
        faster: whether it is faster by more than its tolerance, beyond chance.
        fewest: pairs without which nothing is said.
        tested: the estimate that it was tested by, which tells what the test could find; None: *estimate*.

    """
    tolerance, margin = config.tolerance_of(case), config.margin_of(case)
    if estimate.pairs < fewest or estimate.freedom == 0:
        verdict, reason = Verdict.INCONCLUSIVE, f"{units.count(estimate.pairs, 'pair')}, {fewest} are needed"
    elif rejected and estimate.mean >= math.log1p(tolerance):
        verdict, reason = Verdict.REGRESSED, f"slower beyond chance, and by {units.share(tolerance)} or more"
    else:
        verdict, reason = not_slower(estimate, faster_by=tolerance if faster else None, margin=margin)
    tail = config.final_alpha / max(1, family)
    return with_numbers(verdict, reason, estimate, tail=tail, tolerance=tolerance, p=p, tested=tested)


def not_slower(estimate: Estimate, *, faster_by: float | None, margin: float) -> tuple[Verdict, str]:
    """Return the verdict on a case that is not called slower, and why.

    Args:
        estimate: of the ln-ratio, with an error.
        faster_by: the share that it is faster by, beyond chance; None: by none.
        margin: the slowdown that "unchanged" excludes.

    """
    if faster_by is not None:
        return Verdict.IMPROVED, f"faster by more than {units.share(faster_by)}"
    if estimate.upper < math.log1p(margin):
        return Verdict.UNCHANGED, f"a slowdown of {units.share(margin)} is excluded"
    return Verdict.INCONCLUSIVE, f"a slowdown of {units.share(margin)} is neither shown nor excluded"


def with_numbers(
    verdict: Verdict,
    reason: str,
    estimate: Estimate,
    *,
    tail: float,
    tolerance: float,
    against: float = 0.0,
    p: float | None = None,
    tested: Estimate | None = None,
) -> CaseVerdict:
    """Return a verdict with the numbers that are always given.

    Args:
        verdict: the word.
        reason: why this one.
        estimate: of the ln-ratio.
        tail: the share of clean jobs in which the strictest step of Holm's procedure may reject.
        tolerance: the slowdown that more pairs should find.
        against: the ln-ratio that the test is against.
        p: of the test.
        tested: as :func:`judge`.

    """
    by = tested or estimate
    change = relative(estimate.mean)
    if estimate.freedom == 0:
        return CaseVerdict(verdict=verdict, reason=reason, estimate=change, pairs=estimate.pairs)
    needed = None
    if tolerance > 0:
        reach = detection_reach(by.freedom, tail=tail)
        times = min(reach * by.spread / math.log1p(tolerance), math.sqrt(_MOST_PAIRS))  # its square may be no float
        needed = math.ceil(min(times**2, _MOST_PAIRS))
    return CaseVerdict(
        verdict=verdict,
        reason=reason,
        estimate=change,
        interval=(relative(estimate.lower), relative(estimate.upper)),
        p=p,
        pairs=estimate.pairs,
        minimum_detectable_effect=minimum_detectable_effect(by.error, by.freedom, tail=tail, against=against),
        needs_more=None if needed is None else max(0, needed - estimate.pairs),
    )
