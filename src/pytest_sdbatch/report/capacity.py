"""How large a batch the memory holds, in words: what was measured, and what is predicted beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, WHOLE, Growth, end_of_memory, growths
from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.records import Outcome, Record
from pytest_sdbatch.report.tiny import is_tiny

_ENOUGH_SIZES = 3  # for two slopes, so that it is news if they do not agree
_FARTHEST = 8  # times the largest size that was measured: so far predictions were held against measurements
_FLAT = "{} does not measurably grow with the batch up to {}: no limit in sight"
_EXACT = 100  # batch sizes from here on are told with two digits


def capacity(records: Sequence[Record]) -> str:
    """Return the largest batch size that was measured, and the one that is predicted to fit; empty where neither ends.

    ``at least 16 fit, about 41 (36 or more) would in the 24.0 GiB there were, vae_decode runs out first``,
    ``12 is the largest measured that fits``, ``at least 16 fit, more than 128 would in the 16.5 GiB there were``,
    ``at least 4 fit; measure 8 as well to learn where memory ends: so far it does not grow evenly``

    Args:
        records: of one test and group, any order.

    """
    measured = max((record.case.batch_size for record in records if record.outcome is Outcome.OK), default=None)
    if measured is None:
        return ""
    found = growths(records)
    end = end_of_memory(found)
    most = None if end is None else end.largest.estimate
    larger = [record for record in records if record.case.batch_size > measured]
    failed = min((record.case.batch_size for record in larger if record.outcome.did_not_fit), default=None)
    would = ""
    if end is not None and most is not None and most > measured:
        said, there = predicted(end.largest, measured), _there(end.growth)
        if not end.growth.fit.grows:
            would = _flat(end.growth) if failed is None else ""
        elif failed is not None and failed <= most:
            would = f"; {failed} did not, though {said} were predicted to in {there}" if said else ""
        elif said:
            would = f", {said} would in {there}{_first_out(found, most + 1) if most <= _FARTHEST * measured else ''}"
    elif end is None:
        would = next((_flat(one) for one in found if _is_endless(one) and failed is None), "")
    ended = failed is not None or any(
        record.outcome is Outcome.SKIPPED and most is not None and record.case.batch_size > most for record in larger
    )
    if ended:
        return f"{measured} is the largest measured that fits{would}"
    tried = len({record.case.batch_size for record in records})
    if not would and not larger and tried >= _ENOUGH_SIZES and not is_tiny(records[0].case.model):
        would = _uneven(found)
    return f"at least {measured} fit{would}" if would else ""


def predicted(largest: Largest, measured: int) -> str:
    """Return how many are predicted to fit, no farther than was shown to hold; empty where nothing can be said.

    ``about 41 (36 to 44)``, ``about 120 (110 or more)``, ``more than 128``, ``perhaps more than 128``

    Args:
        largest: as the lines have it.
        measured: the largest size that ran.

    """
    end = _FARTHEST * measured
    if largest.estimate is None or largest.estimate > end:
        if largest.low is None:
            return f"more than {end}" if largest.estimate is None else f"perhaps more than {end}"
        low = min(largest.low, end)
        if low == end:
            return f"more than {end}"
        return f"{_rounded(low, down=True)} or more" if low > measured else ""
    about = f"about {_rounded(largest.estimate)}"
    if not largest.low or (largest.low == largest.estimate and largest.high in (None, largest.estimate)):
        return about
    low_text = _rounded(largest.low, down=True)
    if largest.high is None or largest.high > end:
        return f"{about} ({low_text} or more)"
    return f"{about} ({low_text} to {_rounded(largest.high)})"


def _rounded(size: int, *, down: bool = False) -> str:
    """Return a predicted batch size as exactly as it can be meant: two digits from 100 on."""
    if size < _EXACT:
        return str(size)
    step = 10 ** (len(str(size)) - 2)
    return units.count((size // step if down else round(size / step)) * step)


def _there(growth: Growth) -> str:
    """Return how much memory there was when the largest size ran."""
    what = "" if growth.measure == MEMORY else f" of {growth.measure}"
    return f"the {units.memory(growth.limit_bytes or 0)}{what} there were"


def _flat(growth: Growth) -> str:
    return f"; {_FLAT.format('memory', growth.fit.last_probe)}"


def _is_endless(growth: Growth) -> bool:
    return growth.limit_bytes is not None and growth.fit.agreed and not growth.fit.grows


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


def what_fits(records: Iterable[Record], limit_bytes: float | None = None) -> list[str]:
    """Return how large a batch the memory holds, a line per test and group, and what *limit_bytes* would."""
    said: list[str] = []
    for (_, group), members in _groups(records).items():
        sizes = [one.case.batch_size for one in members if one.counts and one.rounds]
        largest = capacity(members) or (f"at least {max(sizes)} fit" if sizes else "")
        said += [f"{group}: {largest}"] if largest else []
        said += [] if limit_bytes is None else [_within(group, members, limit_bytes)]
    return said


def _groups(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.test, record.case.group_id), []).append(record)
    return groups


def can_be_predicted(records: Iterable[Record]) -> bool:
    """Return whether enough batch sizes of some group ended well for :func:`fits_within` to tell a number."""
    found = (growth for members in _groups(records).values() for growth in growths(members))
    return any(growth.measure == MEMORY and growth.fit.agreed for growth in found)


def fits_within(records: Iterable[Record], limit_bytes: float) -> list[str]:
    """Return the largest batch size that is predicted to fit *limit_bytes*, or why none is, a line per test and group.

    ``with 24.0 GiB: about 41 (36 to 44) of sd15-random-fp16-512x512-s20 fit, a prediction``
    """
    return [_within(group, members, limit_bytes) for (_, group), members in _groups(records).items()]


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
    largest, measured = found.largest_batch(limit_bytes), found.fit.last_probe
    if largest.estimate == 0:
        return f"{limit}: not one image of {group} is predicted to fit"
    if not found.fit.grows and (largest.estimate is None or largest.estimate > measured):
        return f"{limit}: {_FLAT.format(f'memory of {group}', measured)}"
    said = predicted(largest, measured)
    return f"{limit}: {said} of {group} fit, a prediction" if said else f"{limit}: at least {measured} of {group} fit"
