"""Which cases are faster, of all that were looked at: so that a job of unchanged code seldom has one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from pytest_sdbatch.analysis.estimate import Estimate, p_value


def found_faster(estimates: Mapping[str, Estimate], least: Callable[[str], float], *, share: float) -> frozenset[str]:
    """Return the cases that are faster beyond chance, by Benjamini and Hochberg's procedure.

    Of what it returns that share is there by chance. Where no case is faster it is the share of jobs; where many are,
    each is held to little more than it would be alone, which Holm's procedure is too strict for.

    Args:
        estimates: of all cases that could be called faster, none of them left out for what it looks like.
        least: returns the share that a case has to be faster by.
        share: of what is found that may be there by chance.

    Source:
        Benjamini and Hochberg (1995); for cases that share the luck of a process Benjamini and Yekutieli (2001).

    """
    mirrored = {case: replace(estimate, mean=-estimate.mean) for case, estimate in estimates.items()}
    p_values = {case: p_value(estimate, against=math.log1p(least(case))) for case, estimate in mirrored.items()}
    ranked = sorted(p_values, key=p_values.__getitem__)
    holds = [rank for rank, case in enumerate(ranked, start=1) if p_values[case] <= share * rank / len(ranked)]
    return frozenset(ranked[: max(holds, default=0)])
