"""Suspects are tested on fresh pairs, with a look halfway: the screening pairs chose them and prove nothing.

So are cases that look faster, until that look.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import FEWEST_PAIRS, Estimate, estimate_of, p_value
from pytest_sdbatch.analysis.faster import found_faster
from pytest_sdbatch.analysis.holm import holm
from pytest_sdbatch.analysis.judge import judge
from pytest_sdbatch.analysis.pairs import LocatedPair, PairSource, differences
from pytest_sdbatch.analysis.screen import Spread, no_surer
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict


def confirm(
    source: PairSource, config: Config, *, suspects: Sequence[str], companions: Sequence[str], screened: Spread
) -> tuple[dict[str, CaseVerdict], dict[str, Estimate]]:
    """Return verdicts and estimates of the cases that ran on; a case without a single pair has neither.

    Args:
        source: of pairs.
        config: of the job.
        suspects: the family that is tested, the same at every look.
        companions: cases that run along until the first look and are judged then: never regressed, and they alone may
            be improved, so that no chance to be either is counted twice.
        screened: spread of a pair by all cases of the screening. Of four pairs no case is surer than it allows.

    """
    verdicts: dict[str, CaseVerdict] = {}
    estimates: dict[str, Estimate] = {}
    running, along = list(suspects), list(companions)
    rejected: frozenset[str] = frozenset()
    pairs: list[LocatedPair] = []
    for look, share in config.look_shares:
        if source.interrupted or not (running or along):
            break
        came = source.ask((*running, *along), look - len(pairs))
        if pairs and not came:  # interrupted: the look before stands, the same pairs are not judged twice
            break
        pairs += came
        now = _estimates(pairs, (*running, *along))
        enough = {case: _no_surer(found, screened) for case, found in now.items() if found.pairs >= FEWEST_PAIRS}
        p_values = {case: p_value(enough[case]) for case in running if case in enough}
        family = {case: p_values.get(case, 1.0) for case in suspects}
        rejected = holm(family, share * config.alpha, rejected=rejected)
        ran_along = {case: enough[case] for case in along if case in enough}
        faster = found_faster(ran_along, config.tolerance_of, share=config.false_discoveries)
        for case, estimate in now.items():
            verdicts[case] = judge(
                case,
                estimate,
                config,
                family=len(suspects),
                p=p_values.get(case),
                rejected=case in rejected,
                faster=case in faster,
                tested=enough.get(case),
            )
        estimates |= now
        running = [
            case
            for case in running
            if case not in verdicts or not _settled(verdicts[case], now[case], config.tolerance_of(case))
        ]
        along = []
    return verdicts, estimates


def _estimates(pairs: Sequence[LocatedPair], cases: Sequence[str]) -> dict[str, Estimate]:
    found = {case: differences(pairs, case) for case in cases}
    return {case: estimate_of(values) for case, values in found.items() if values}


def _no_surer(estimate: Estimate, screened: Spread) -> Estimate:
    """Return *estimate*, if it is of as few pairs as may be, with no less spread than it and the screening have."""
    if estimate.pairs > FEWEST_PAIRS:
        return estimate
    widest = no_surer(estimate.spread, estimate.freedom, screened)
    return replace(estimate, spread=widest, error=widest / math.sqrt(estimate.pairs))


def _settled(found: CaseVerdict, estimate: Estimate, tolerance: float) -> bool:
    """Return whether a suspect needs no further look: it is regressed, or no slower than its tolerance.

    Ending it as unchanged under the wider margin would cost most of the power at small slowdowns.
    """
    if found.verdict is Verdict.REGRESSED:
        return True
    return estimate.pairs >= FEWEST_PAIRS and estimate.upper < math.log1p(tolerance)
