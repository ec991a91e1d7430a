"""How large a batch the memory holds, in words: what was measured, and what is predicted beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, growths, largest_that_fits
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


def fits_within(records: Iterable[Record], limit_bytes: float) -> list[str]:
    """Return the largest batch size that is predicted to fit *limit_bytes*, a line per test and group that can tell.

    ``with 24.0 GiB: about 41 (36 to 44) of sd15-random-fp16-512x512-s20 fit, a prediction``
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.test, record.case.group_id), []).append(record)
    return [said for (_, group), members in groups.items() if (said := _within(group, members, limit_bytes))]


def _within(group: str, records: Sequence[Record], limit_bytes: float) -> str:
    found = next((growth for growth in growths(records) if growth.measure == MEMORY), None)
    if found is None:
        return ""
    limit = f"with {units.memory(limit_bytes)}"
    if not found.fit.agreed:
        return f"{limit}: {group} needs a batch size more before it can be predicted what fits"
    largest = found.largest_batch(limit_bytes)
    if largest.estimate is None:
        return f"{limit}: {group} shows no end"
    if largest.estimate == 0:
        return f"{limit}: not one image of {group} is predicted to fit"
    return f"{limit}: about {largest.estimate}{_between(largest)} of {group} fit, a prediction"
