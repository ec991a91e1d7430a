"""The answer in one sentence per group: which split is fastest, and what a smaller batch costs and gains."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.sweet_spot import Point, best, sweet_spot
from pytest_sdbatch.records import Outcome, Record, short_name
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.table import Row, rows, throughput

_WORTH_SAYING = 1.05  # times as soon; less would read "1.0 times sooner"


def answer_sentences(records: Iterable[Record], *, within: float) -> list[str]:
    """Return what the figures answer: a sentence per test and group with at least two batch sizes.

    Only sound records of passed tests count. Tiny models carry no recommendation; a line says so.

    Args:
        records: of one run.
        within: how many fewer images per second the sweet spot may make, as a share of the best.

    """
    table = rows(records)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row.test, row.group), []).append(row)
    names = _names(dict.fromkeys(test for test, _ in groups))
    sentences = []
    for (test, group), members in groups.items():
        if is_tiny(members[0].model) or len({row.batch_size for row in members if row.counts}) < 2:
            continue
        owned = members[0].model is None or len(names) > 1
        sentences.append(f"{names[test]} {group}: " if owned else f"{group}: ")
        if len({row.batch_size for row in members if row.answers}) < 2:
            sentences[-1] += "no answer, because the outputs were not looked at: return the images"
            continue
        sentences[-1] += _sentence(members, within=within)
        if any(row.unreliable and row.answers for row in members):
            sentences[-1] += "; some of its rows are not to be relied on: measure again on a quiet machine"
    tiny = dict.fromkeys(row.model for row in table if row.model and is_tiny(row.model) and row.counts)
    if tiny:
        verb = "is" if len(tiny) == 1 else "are"
        sentences.append(
            f"{', '.join(map(plain, tiny))} {verb} for trying the tool; use --sd-models=sd15 for an answer"
        )
    return sentences


def is_tiny(model: str | None) -> bool:
    """Return whether *model*, a catalog name, folder or hub id, is one of those made for trying the tool."""
    return model is not None and re.split(r"[/\\]", model.rstrip("/\\"))[-1].startswith("tiny-")


def _names(tests: Iterable[str]) -> dict[str, str]:
    """Return each test's function name, or its whole node id where two functions share the name."""
    short = {test: short_name(test) for test in tests}
    shared = [name for name in short.values() if list(short.values()).count(name) > 1]
    return {test: plain(test if name in shared else name) for test, name in short.items()}


def _sentence(members: Sequence[Row], *, within: float) -> str:
    points = [
        Point(batch_size=row.batch_size, batch_count=row.batch_count, seconds_per_image=row.s_per_image)
        for row in members
        if row.answers and row.s_per_image is not None
    ]
    fastest, spot = best(points), sweet_spot(points, within=within)
    frames = members[0].frames  # part of the group's id, so the same for all
    named = {
        point: f"batch size {point.batch_size}"
        + (f" x count {point.batch_count}" if any(other.batch_count != 1 for other in points) else "")
        for point in points
    }
    said = f"fastest is {named[fastest]} at {throughput(fastest.images_per_s, frames)}{_beyond(members, fastest)}"
    if spot.batch_size < fastest.batch_size:
        return (
            f"{said}; {named[spot]} is within {units.share(within)}"
            f" ({throughput(spot.images_per_s, frames)}){_sooner(spot, fastest)}"
        )
    smaller = [point for point in points if point.batch_size < fastest.batch_size]
    if not smaller:
        return f"{said}; larger batch sizes are no faster"
    size = max(point.batch_size for point in smaller)
    less = best(point for point in smaller if point.batch_size == size)
    made = "images" if frames is None else "frames"
    fewer = units.share(1 - less.images_per_s / fastest.images_per_s)
    return (
        f"{said}; no smaller size is within {units.share(within)}:"
        f" {named[less]} makes {fewer} fewer {made}/s{_sooner(less, fastest)}"
    )


def _sooner(less: Point, fastest: Point) -> str:
    ratio = fastest.seconds_per_call / less.seconds_per_call
    return f" and answers {units.times(ratio)} sooner" if ratio >= _WORTH_SAYING else ""


def _beyond(members: Sequence[Row], fastest: Point) -> str:
    """Return what is known beyond the largest measured size, where that is the fastest."""
    if any(row.counts and row.batch_size > fastest.batch_size for row in members):
        return ""
    larger = [row for row in members if row.batch_size > fastest.batch_size]
    if not larger:
        return " (larger sizes were not tried)"
    # What was skipped was skipped because of another one, which says more.
    first = min(larger, key=lambda row: (row.outcome is Outcome.SKIPPED, row.batch_size))
    if first.outcome is Outcome.OK:
        ended = f"was measured in a test that {first.test_outcome}"
    else:
        ended = "ran out of memory" if first.outcome is Outcome.OOM else f"ended as {first.outcome.value}"
    return f" (batch size {first.batch_size} {ended})"
