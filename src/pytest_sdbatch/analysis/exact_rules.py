"""What one run of one case shows beyond doubt, so that its own test can fail: outcomes and peak memory.

No statistics: these repeat exactly. Time never belongs here, for it takes several processes and all cases.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_sdbatch.analysis.comparable import Weight
from pytest_sdbatch.analysis.config import MEMORY_TOLERANCE
from pytest_sdbatch.analysis.exact import compare_exact
from pytest_sdbatch.analysis.matching import moved_among
from pytest_sdbatch.analysis.outcomes import compare_outcomes, state_of_base
from pytest_sdbatch.analysis.sides import OK, Measured
from pytest_sdbatch.analysis.verdict import CaseVerdict, Verdict


def exact_regression(
    base: Sequence[Measured], now: Measured, *, memory_tolerance: float = MEMORY_TOLERANCE
) -> CaseVerdict | None:
    """Return why *now* is worse than the stored runs beyond doubt; None where it is not, or cannot be compared.

    Args:
        base: the case in each stored run that has it, one or more.
        now: the case as it was measured now.
        memory_tolerance: the share by which its peak memory may grow.

    """
    if any(fact.weight is not Weight.SHOWN for fact in moved_among(base, [now])):
        return None
    verdict = compare_outcomes(state_of_base(base), now)
    if verdict is None and now.peak_bytes:
        sound = [measured.peak_bytes for measured in base if measured.state == OK and measured.peak_bytes]
        verdict = compare_exact(sound, [now.peak_bytes], tolerance=memory_tolerance) if sound else None
    return verdict if verdict is not None and verdict.verdict is Verdict.REGRESSED else None
