"""Where the runs of a report were made: a table of facts, those that differ first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_sdbatch import units
from pytest_sdbatch.analysis.comparable import Weight, fact_name, fact_text
from pytest_sdbatch.records import Fact
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.sources import Source

_UNKNOWN = "unknown"
_PARTS = {Weight.MUST_MATCH: "must_match", Weight.DRIFT: "drift", Weight.SHOWN: "shown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact of every source, in words."""

    name: str
    weight: Weight  # what a difference of it does to a comparison
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the sources do not agree on it."""
        return len(set(self.values)) > 1


def fact_rows(sources: Sequence[Source]) -> tuple[FactRow, ...]:
    """Return all facts that are known of *sources*: what differs first, the heaviest of each kind first."""
    found = [row for weight in _PARTS for row in _rows(sources, weight) if set(row.values) != {_UNKNOWN}]
    return tuple(sorted(found, key=lambda row: not row.differs))


def origin(source: Source) -> str:
    """Return of which files the runs of *source* are, when the first one began, and whether any was cut short."""
    began = f"{source.runs[0].started_at[:16].replace('T', ' ')} UTC"
    runs = units.count(len(source.runs), "run")
    return f"{source.name}: {runs} of {plain(', '.join(source.files))}, {plain(began)}{cut_short(source)}"


def side_by_side(sources: Sequence[Source]) -> Iterator[str]:
    """Yield how far devices of one kind lie apart on the cases that several of them measured: a sentence a kind."""
    from pytest_sdbatch.analysis.fleet import fleets

    for fleet in fleets(run for source in sources for run in source.runs):
        same = "the same case" if fleet.cases == 1 else f"the same {units.count(fleet.cases, 'case')}"
        apart = f"{units.share(fleet.median_spread)} between the fastest and the slowest"
        if fleet.cases > 1:
            apart += f" (median), {units.share(fleet.worst_spread)} at worst: {fleet.worst_case}"
        yield plain(f"{fleet.device_name}: {same} on {fleet.devices} of them: {apart}")


def cut_short(source: Source) -> str:
    """Return what the reader must know of a source that has a run which was interrupted; empty: it has none."""
    return "; interrupted: cases are missing" if any(run.interrupted for run in source.runs) else ""


def unknown(source: Source) -> Iterator[str]:
    """Yield why facts and figures are not known there, a line per reason."""
    by_reason: dict[str, list[str]] = {}
    for key, reason in source.environment.unknown.items():
        by_reason.setdefault(reason, []).append(fact_name(key))
    for reason, keys in by_reason.items():
        yield plain(f"{', '.join(keys)}: {reason}")


def _rows(sources: Sequence[Source], weight: Weight) -> Iterator[FactRow]:
    sides = [getattr(source.environment, _PARTS[weight]) for source in sources]
    for key in dict.fromkeys(key for facts in sides for key in facts):
        values = tuple(_value(key, facts.get(key)) for facts in sides)
        yield FactRow(name=plain(fact_name(key)), weight=weight, values=values)


def _value(key: str, fact: Fact) -> str:
    if isinstance(fact, bool) and fact_text(key, fact) == str(fact):
        return "yes" if fact else "no"
    return plain(fact_text(key, fact))
