"""How large a batch the memory holds, in words: what was measured, and what is predicted beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, WHOLE, Growth, growths, largest_that_fits
from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.records import Outcome, Record

_ENOUGH_SIZES = 3  # for two slopes, so that it is news if they do not agree


def capacity(records: Sequence[Record]) -> str:
    """Return the largest batch size that was measured, and the one that is predicted to fit; empty where neither ends.

    ``at least 16 fit, about 41 (36 to 44) would, vae_decode runs out first``, ``12 is the largest measured that fits``,
    ``at least 4 fit; measure 8 as well to learn where memory ends: so far it does not grow evenly``

    Args:
        records: of one test and group, any order.

    """
    measured = max((record.case.batch_size for record in records if record.outcome is Outcome.OK), default=None)
    if measured is None:
        return ""
    found = growths(records)
    predicted = largest_that_fits(found)
    most = None if predicted is None else predicted.estimate
    larger = [record for record in records if record.case.batch_size > measured]
    failed = min((record.case.batch_size for record in larger if record.outcome.did_not_fit), default=None)
    would = ""
    if predicted is not None and most is not None and most > measured:
        would = f", about {most}{_between(predicted)} would{_first_out(found, most + 1)}"
        if failed is not None and failed <= most:
            would = f"; {failed} did not, though about {most}{_between(predicted)} were predicted to"
    ended = failed is not None or any(
        record.outcome is Outcome.SKIPPED and most is not None and record.case.batch_size > most for record in larger
    )
    if ended:
        return f"{measured} is the largest measured that fits{would}"
    if not would and not larger and len({record.case.batch_size for record in records}) >= _ENOUGH_SIZES:
        would = _uneven(found)
    return f"at least {measured} fit{would}" if would else ""


def _uneven(found: Sequence[Growth]) -> str:
    """Return which size would tell how memory grows, where a limit asks for it and that size may well fit."""
    probes = [
        size
        for growth in found
        if growth.limit_bytes is not None
        and (size := growth.fit.next_probe) is not None
        and growth.needs(size).estimate <= growth.limit_bytes
    ]
    if not probes:
        return ""
    return f"; measure {max(probes)} as well to learn where memory ends: so far it does not grow evenly"


def _first_out(found: Sequence[Growth], batch_size: int) -> str:
    """Return the stage that has the peak at *batch_size*, where stages are told apart and memory ends there."""
    for growth in found:
        limit = growth.limit_bytes
        if growth.measure == MEMORY and limit is not None and growth.needs(batch_size).estimate > limit:
            stage = growth.fit.highest_stage(batch_size)
            return f", {stage} runs out first" if stage not in (WHOLE, "other") else ""
    return ""


def _between(predicted: Largest) -> str:
    if predicted.low is None or (predicted.low == predicted.high == predicted.estimate):
        return ""
    return f" ({predicted.low} or more)" if predicted.high is None else f" ({predicted.low} to {predicted.high})"


def fits_within(records: Iterable[Record], limit_bytes: float) -> list[str]:
    """Return the largest batch size that is predicted to fit *limit_bytes*, or why none is, a line per test and group.

    ``with 24.0 GiB: about 41 (36 to 44) of sd15-random-fp16-512x512-s20 fit, a prediction``
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.test, record.case.group_id), []).append(record)
    return [_within(group, members, limit_bytes) for (_, group), members in groups.items()]


def _within(group: str, records: Sequence[Record], limit_bytes: float) -> str:
    found = next((growth for growth in growths(records) if growth.measure == MEMORY), None)
    limit = f"with {units.memory(limit_bytes)}"
    if found is None:
        sizes = {record.case.batch_size for record in records if record.outcome is Outcome.OK}
        if len(sizes) > 1:
            return f"{limit}: nothing can be predicted of {group}, because its memory is not known"
        return f"{limit}: {group} needs three batch sizes that ended well before it can be predicted what fits"
    if not found.fit.agreed:
        return f"{limit}: {group} needs a batch size more before it can be predicted what fits"
    largest = found.largest_batch(limit_bytes)
    if largest.estimate is None:
        return f"{limit}: {group} shows no end"
    if largest.estimate == 0:
        return f"{limit}: not one image of {group} is predicted to fit"
    return f"{limit}: about {largest.estimate}{_between(largest)} of {group} fit, a prediction"
