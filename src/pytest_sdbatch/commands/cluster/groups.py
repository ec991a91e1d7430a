"""Groups: the cases that one node measures in one process, so that each pipeline is loaded once for all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.grid.case import loaded_once
from pytest_sdbatch.grid.shards import deal
from pytest_sdbatch.records import Record, full_name, short_name

Curve = tuple[str, str]  # a test, and the group of cases whose figures are one curve over batch size


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Cases that are measured together."""

    title: str  # for the reader
    names: tuple[str, ...]  # of the cases: node ids with the parameters
    weight: float  # what it takes, in seconds or in a unit that all groups share


def groups_of(records: Sequence[Record], seconds: Sequence[float], *, places: int) -> tuple[Group, ...]:
    """Return the groups of the cases of *records*, the longest first.

    A pipeline is one group. Where there are fewer of them than *places* the longest are parted, as far as there are
    places for the parts and a curve stays whole: its figures are for comparing with each other, so they are of one
    process on one device.

    Args:
        records: of the cases, in the order in which they would be measured.
        seconds: that each of them takes, or figures in the same ratio.
        places: groups that can be measured at once.

    """
    weights: dict[Curve, float] = {}
    members: dict[Curve, list[Record]] = {}
    pipelines: dict[object, dict[Curve, None]] = {}
    for record, value in zip(records, seconds, strict=True):
        curve = curve_of(record)
        weights[curve] = weights.get(curve, 0.0) + value
        members.setdefault(curve, []).append(record)
        pipelines.setdefault(loaded_once(record.test, record.case), {})[curve] = None
    parts = [tuple(curves) for curves in pipelines.values()]
    while len(parts) < places and any(len(part) > 1 for part in parts):
        longest = max((part for part in parts if len(part) > 1), key=lambda part: _sum(part, weights))
        at = parts.index(longest)
        parts[at : at + 1] = _halves(longest, weights)
    whole = {tuple(curves) for curves in pipelines.values()}
    groups = [
        Group(
            title=_title(part, members, is_whole=part in whole),
            names=tuple(full_name(record.test, record.case) for curve in part for record in members[curve]),
            weight=_sum(part, weights),
        )
        for part in parts
    ]
    return tuple(sorted(groups, key=lambda group: -group.weight))  # stable: equals stay in the order of the grid


def curve_of(record: Record) -> Curve:
    """Return the curve over batch size that *record* is a point of."""
    return record.test, record.case.group_id


def _sum(part: Sequence[Curve], weights: Mapping[Curve, float]) -> float:
    return math.fsum(weights[curve] for curve in part)


def _halves(part: Sequence[Curve], weights: Mapping[Curve, float]) -> list[tuple[Curve, ...]]:
    """Return two parts of *part*, neither of them empty, that take about as long as each other."""
    dealt = deal(((curve, weights[curve]) for curve in part), 2)
    return [tuple(curve for curve in part if dealt[curve] == number) for number in (1, 2)]


def _title(part: Sequence[Curve], members: Mapping[Curve, Sequence[Record]], *, is_whole: bool) -> str:
    first = members[part[0]][0]
    case = first.case
    if case.model is None:
        return short_name(first.test) if is_whole else ", ".join(f"{short_name(test)} {group}" for test, group in part)
    if not is_whole:
        return ", ".join(dict.fromkeys(group for _, group in part))
    return f"{case.label} {case.dtype}" + ("" if case.variant == "eager" else f" {case.variant}")
