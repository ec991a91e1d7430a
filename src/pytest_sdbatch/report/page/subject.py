"""What the sections of the page are made from: cases by group and source, fitted once for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_sdbatch.analysis.forecast import Growth, growths
from pytest_sdbatch.analysis.scaling import Scaling, fit
from pytest_sdbatch.analysis.spread import Timing
from pytest_sdbatch.analysis.sweet_spot import Choice, Point
from pytest_sdbatch.nouns import Nouns, either
from pytest_sdbatch.records import Record, short_name
from pytest_sdbatch.report.answer import asked_of, choose
from pytest_sdbatch.report.measured import Measured, of_runs
from pytest_sdbatch.report.page.figures import stage_colors
from pytest_sdbatch.report.sources import Reported, Source
from pytest_sdbatch.report.splits import Plan, Question, plan_of
from pytest_sdbatch.report.table import Row, numbered_notes, rows
from pytest_sdbatch.report.tiny import is_tiny

_MANY_VIEWS = 50
_MANY_CASES = 2000
_FEWEST_SIZES = 3  # for a curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The cases of one test that differ in batch size and count alone, of one source."""

    color: int  # number of the source
    source: str  # its name
    question: Question  # with the number of images that its rows split
    rows: tuple[Row, ...]
    records: Mapping[str, Record]  # by case id, the rounds of all runs together
    by_run: Mapping[str, tuple[Record, ...]]  # by case id, one record a run
    points: tuple[Point, ...]
    others: tuple[Point, ...]  # that keep no limit: they help to fit the curve, and are never named
    timed: tuple[tuple[Row, Timing], ...]  # the rows that answer, each with what its time was taken from
    choice: Choice | None  # None: no row answers, or it trains, which has no splits to choose
    plan: Plan | None  # None: no splits are asked for
    growths: tuple[Growth, ...]
    line: Scaling | None = None  # of a group that trains

    @property
    def scaling(self) -> Scaling | None:
        """The curve through its times; None: too few sizes."""
        return self.line if self.choice is None else self.choice.scaling

    @property
    def nouns(self) -> Nouns:
        """What is timed of it, and what it makes, in words."""
        return self.rows[0].nouns

    @property
    def images_of_one(self) -> int:
        """Images that a call makes for each unit of the batch size; of training that accumulates, several."""
        case = next(iter(self.records.values())).case
        return case.images // case.calls // case.batch_size

    @property
    def recommended(self) -> int | None:
        """The batch size that the answer names; None: none, or a tiny model."""
        if is_tiny(self.rows[0].model) or self.choice is None:
            return None
        if self.plan is not None:
            return None if self.plan.chosen is None else self.plan.chosen.batch_size
        return self.choice.spot.batch_size if len({point.batch_size for point in self.points}) > 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The groups that are drawn together: of one test and id, of all sources."""

    name: str
    test: str
    group: str
    groups: tuple[Group, ...]

    @property
    def nouns(self) -> Nouns:
        """What is timed of it, and what it makes, in words."""
        return self.groups[0].nouns


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that the page shows."""

    reported: Reported
    measured: tuple[Measured, ...]  # by source
    choices: Mapping[tuple[tuple[Point, ...], tuple[Point, ...], float], Choice]  # that were made, by what decides
    tables: tuple[tuple[Row, ...], ...]  # by source
    notes: tuple[Mapping[str, int], ...]  # numbers of the notes, by source
    views: tuple[View, ...]
    stage_colors: Mapping[str, int]

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources of the report."""
        return self.reported.sources

    def choose(self, points: tuple[Point, ...], others: tuple[Point, ...], within: float) -> Choice:
        """Return what was decided on *points*."""
        known = self.choices.get((points, others, within))
        return choose(points, others, within) if known is None else known

    @property
    def nouns(self) -> Nouns:
        """What is timed, and what is made, in words that hold for all of it."""
        return either(row.nouns for table in self.tables for row in table)

    @property
    def cases(self) -> int:
        """How many cases there are in all."""
        return sum(map(len, self.tables))

    @property
    def has_many_views(self) -> bool:
        """Whether each view has to do with less."""
        return len(self.views) > _MANY_VIEWS

    @property
    def has_many_cases(self) -> bool:
        """Whether each case has to do with less."""
        return self.cases > _MANY_CASES


def subject_of(reported: Reported) -> Subject:
    """Return *reported* with its cases in groups and views."""
    measured = [of_runs(source.runs) for source in reported.sources]
    tables = [rows(one.records.values()) for one in measured]
    found: dict[tuple[str, str], list[Group]] = {}
    for color, (source, of_source, table) in enumerate(zip(reported.sources, measured, tables, strict=True)):
        for key, group in _groups(color, source, of_source, table):
            found.setdefault(key, []).append(group)
    tests = {test for test, _ in found}
    return Subject(
        reported=reported,
        measured=tuple(measured),
        choices={
            (group.points, group.others, group.question.within): group.choice
            for groups in found.values()
            for group in groups
            if group.choice is not None
        },
        tables=tuple(tables),
        notes=tuple(map(numbered_notes, tables)),
        views=tuple(
            View(
                name=group if len(tests) == 1 else f"{_name(test, tests)}: {group}",
                test=test,
                group=group,
                groups=tuple(groups),
            )
            for (test, group), groups in found.items()
        ),
        stage_colors=stage_colors(_stages(measured, tables)),
    )


def _stages(measured: Sequence[Measured], tables: Sequence[Sequence[Row]]) -> Iterator[str]:
    """Yield the names of all stages whose time or memory is known, and those of what is no stage."""
    yield from ("all", "other")
    for table in tables:
        for row in table:
            yield from row.stage_shares or ()
    for one in measured:
        for record in one.records.values():
            yield from (record.memory_round and record.memory_round.stage_peak_bytes) or ()


def _name(test: str, tests: set[str]) -> str:
    short = short_name(test)
    return test if sum(short_name(other) == short for other in tests) > 1 else short


def _groups(
    color: int, source: Source, measured: Measured, table: Sequence[Row]
) -> Iterator[tuple[tuple[str, str], Group]]:
    members: dict[tuple[str, str], list[Row]] = {}
    for row in table:
        members.setdefault((row.test, row.group), []).append(row)
    by_run: dict[tuple[str, str], list[Record]] = {}
    for run in source.runs:
        for record in run.records:
            by_run.setdefault(record.key, []).append(record)
    for key, found in members.items():
        records = {row.case: measured.records[row.test, row.case] for row in found}
        trains = any(record.case.training is not None for record in records.values())  # which has no splits to choose
        asked = source.question if trains else asked_of(found, source.question)
        points = () if trains else tuple(measured.points(found))
        others = () if trains else tuple(measured.points_over_limit(found))
        timed = tuple(_timed(found, measured))
        yield (
            key,
            Group(
                color=color,
                source=source.name,
                question=asked,
                rows=tuple(found),
                records=records,
                by_run={row.case: tuple(by_run[row.test, row.case]) for row in found},
                points=points,
                others=others,
                timed=timed,
                line=_line([timing for _, timing in timed]) if trains else None,
                choice=choose(points, others, source.question.within) if points else None,
                plan=plan_of(found, measured, asked) if asked.images is not None and not trains else None,
                growths=growths(list(records.values())),
            ),
        )


def _timed(members: Sequence[Row], measured: Measured) -> Iterator[tuple[Row, Timing]]:
    for row in members:
        if row.answers and row.s_per_image is not None:
            yield row, measured.timings[row.test, row.case]


def _line(timings: Sequence[Timing]) -> Scaling | None:
    sizes = {timing.batch_size for timing in timings}
    return fit(timings) if len(sizes) >= _FEWEST_SIZES else None
