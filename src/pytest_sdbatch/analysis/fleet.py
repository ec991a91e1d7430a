"""The same cases on several devices of one kind: how far apart these lie. Descriptive; no verdict is made of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.location import location_s
from pytest_sdbatch.records import Fact, Outcome, Record, Run

_IDENTITY = ("device_uuid",)  # what tells devices of one kind apart; all else that must match does


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Cases that several devices of one kind measured. Ratios are of the slowest device over the fastest, minus 1."""

    device_name: str
    devices: int
    cases: int
    median_spread: float
    worst_spread: float
    worst_case: str  # id of the case whose devices lie furthest apart


def fleets(runs: Iterable[Run]) -> tuple[Fleet, ...]:
    """Return a fleet for each kind of device of which two or more measured the same case, at one commit.

    Args:
        runs: of any devices. Of several of one device the mean of logs counts.

    """
    found: dict[tuple[object, ...], dict[Fact, list[Run]]] = {}
    for run in runs:
        facts = run.environment.must_match
        device = facts.get("device_uuid")
        if device is None:  # a CPU, or a GPU that does not tell: nobody knows whether it is another one
            continue
        kind = (
            run.environment.shown.get("commit"),
            *sorted((k, repr(v)) for k, v in facts.items() if k not in _IDENTITY),
        )
        found.setdefault(kind, {}).setdefault(device, []).append(run)
    made = (_fleet(devices) for devices in found.values() if len(devices) > 1)
    return tuple(fleet for fleet in made if fleet is not None)


def _fleet(devices: dict[Fact, list[Run]]) -> Fleet | None:
    by_case: dict[tuple[str, str], dict[Fact, float]] = {}
    for device, runs in devices.items():
        logs: dict[tuple[str, str], list[float]] = {}
        for run in runs:
            for record in filter(_counts, run.records):
                logs.setdefault(record.key, []).append(math.log(location_s([r.wall_s for r in record.rounds])))
        for key, values in logs.items():
            by_case.setdefault(key, {})[device] = statistics.fmean(values)
    shared = {key: _apart(list(places.values())) for key, places in by_case.items() if len(places) > 1}
    if not shared:
        return None
    worst = max(shared, key=lambda key: shared[key])
    measured = {device for key in shared for device in by_case[key]}
    return Fleet(
        device_name=str(next(iter(devices.values()))[0].environment.must_match.get("device_name") or "device"),
        devices=len(measured),
        cases=len(shared),
        median_spread=statistics.median(shared.values()),
        worst_spread=shared[worst],
        worst_case=worst[1],
    )


def _counts(record: Record) -> bool:
    return (
        record.outcome is Outcome.OK
        and record.contention is None
        and all(r.wall_s > 0 for r in record.rounds)
        and bool(record.rounds)
    )


def _apart(logs: Sequence[float]) -> float:
    return math.expm1(max(logs) - min(logs))
