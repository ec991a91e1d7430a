"""How large a batch the memory holds, in words: what was measured, and what is predicted beyond it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_sdbatch.analysis.forecast import growths, largest_that_fits
from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.records import Outcome, Record


def capacity(records: Sequence[Record]) -> str:
    """Return the largest batch size that was measured, and the one that is predicted to fit; empty where neither ends.

    ``at least 16 fit, about 41 (36 to 44) would``, ``12 is the largest measured that fits``

    Args:
        records: of one test and group, any order.

    """
    measured = max((record.case.batch_size for record in records if record.outcome is Outcome.OK), default=None)
    if measured is None:
        return ""
    predicted = largest_that_fits(growths(records))
    most = None if predicted is None else predicted.estimate
    would = f", about {most}{_between(predicted)} would" if predicted and most is not None and most > measured else ""
    larger = [record for record in records if record.case.batch_size > measured]
    ended = any(
        record.outcome.did_not_fit
        or (record.outcome is Outcome.SKIPPED and most is not None and record.case.batch_size > most)
        for record in larger
    )
    if ended:
        return f"{measured} is the largest measured that fits{would}"
    return f"at least {measured} fit{would}" if would else ""


def _between(predicted: Largest) -> str:
    if predicted.low is None or (predicted.low == predicted.high == predicted.estimate):
        return ""
    return f" ({predicted.low} or more)" if predicted.high is None else f" ({predicted.low} to {predicted.high})"
