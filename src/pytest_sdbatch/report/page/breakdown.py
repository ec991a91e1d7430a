"""Where the time of an image goes, what each choice trades for what, and every round in its order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from pytest_sdbatch import units
from pytest_sdbatch.nouns import Nouns
from pytest_sdbatch.records import Record
from pytest_sdbatch.report.front import Entrant, front_of_entrants
from pytest_sdbatch.report.layout import UNKNOWN
from pytest_sdbatch.report.page.figures import Bars, Block, Figure, Grid, Look, Mark, Panel, Panels, Series
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.page.subject import Group, Subject, View
from pytest_sdbatch.report.table import Row

_OTHER = "other"
_MOST_CHOICES = 500  # each is compared with each
_MOST_LABELS = 16  # beside points
_IMAGES = 1000  # that a price is told of


def stage_split(subject: Subject) -> Section:
    """Show the seconds of an image by stage."""
    return Section(
        id="stages",
        title="Where the time goes",
        lead=f"Time of one {subject.nouns.image} by stage. What shrinks from bar to bar is what batching saves.",
        blocks=tuple(_stage_split(view, subject.stage_colors) for view in subject.views),
        none="No case of this selection has its time by stage.",
    )


def _stage_split(view: View, colors: Mapping[str, int]) -> tuple[Block, ...]:
    rows = [
        (f"b{row.split}{_of(group, view)}", row, row.stage_shares)
        for group in view.groups
        for row in group.rows
        if row.stage_shares is not None and row.s_per_image is not None
    ]
    if not rows:
        return ()
    unit, factor = units.scale_of_duration(max(row.s_per_image or 0.0 for _, row, _ in rows))
    stages = dict.fromkeys(stage for _, _, shares in rows for stage in shares)
    parts = [
        (stage.replace("_", " "), tuple(_part(row, shares.get(stage), factor) for _, row, shares in rows))
        for stage in stages
    ]
    rest = tuple(_part(row, 1 - math.fsum(shares.values()), factor) for _, row, shares in rows)
    kind = view.nouns.image if rows[0][1].frames is None else "video"
    names = tuple(name for name, _, _ in rows)
    return (
        Bars(
            title="Where the time goes",
            x=f"per {kind} ({unit})",
            names=names,
            parts=(*parts, (_OTHER, rest)),
            colors=tuple(colors[stage] for stage in (*stages, _OTHER)),
        ),
    )


def _part(row: Row, share: float | None, factor: float) -> float | None:
    return None if share is None or row.s_per_image is None else share * row.s_per_image / factor


def _of(group: Group, view: View) -> str:
    return f", {group.source}" if len(view.groups) > 1 else ""


def trade_offs(subject: Subject) -> Section:
    """Show which choices are not beaten in everything at once."""
    nouns = subject.nouns
    return Section(
        id="pareto",
        title="Trade-offs",
        lead=(
            "A choice is on the Pareto front if no other one is as good in everything and surely better in something:"
            f" time of {nouns.a_call}, time of one {nouns.image}, memory, energy and, with a price, dollars."
        ),
        blocks=tuple(_trade_offs(view) for view in subject.views),
        none="No case of this selection may answer.",
    )


def _trade_offs(view: View) -> tuple[Block, ...]:
    choices = [(group, row, timing) for group in view.groups for row, timing in group.timed]
    if not choices or len(choices) > _MOST_CHOICES:
        return ()
    front = front_of_entrants(
        [
            Entrant(
                key=at,
                row=row,
                timing=timing,
                record=group.records[row.case],
                price_per_s=group.question.price_per_s,
            )
            for at, (group, row, timing) in enumerate(choices)
        ],
        view.nouns,
    )
    unit, factor = units.scale_of_duration(max(row.call_s or 0.0 for _, row, _ in choices))
    series = [
        Series(
            name=f"{word}{_of(group, view)}",
            look=look,
            color=group.color,
            x=tuple((row.call_s or 0.0) / factor for row in found),
            y=tuple((row.images_per_s or 0.0) * (row.frames or 1) for row in found),
            texts=tuple(f"b{row.split}" for row in found),
        )
        for group in view.groups
        for word, look, on in (("on the front", Look.POINTS, True), ("beaten", Look.FAINT, False))
        if (found := [row for at, (owner, row, _) in enumerate(choices) if owner is group and (at in front.best) is on])
    ]
    frames = choices[0][1].frames
    lines = tuple(
        (f"b{row.split}{_of(group, view)}", "yes" if at in front.best else "no", *_texts(group, row))
        for at, (group, row, _) in enumerate(choices)
    )
    of = ", ".join(front.figures)
    return (
        Figure(
            title="Throughput against waiting",
            x=f"{view.nouns.a_call} takes ({unit})",
            y=view.nouns.rate if frames is None else "frames/s",
            series=tuple(series),
            labelled=len(choices) <= _MOST_LABELS,
        ),
        _known(
            Grid(
                title="Trade-offs",
                heads=("case", "on the front", *_heads(view.nouns)),
                lines=lines,
                note=f"compared: {of}",
            )
        ),
    )


def _known(grid: Grid) -> Grid:
    """Return *grid* without the columns of which no line has a figure."""
    kept = [at for at in range(len(grid.heads)) if any(line[at] != UNKNOWN for line in grid.lines)]
    lines = tuple(tuple(line[at] for at in kept) for line in grid.lines)
    return replace(grid, heads=tuple(grid.heads[at] for at in kept), lines=lines)


def _heads(nouns: Nouns) -> tuple[str, ...]:
    image = f"per {nouns.image}"
    return (f"{nouns.a_call} takes", image, "peak memory", f"energy {image}", f"$ per {_IMAGES}, once loaded")


def _texts(group: Group, row: Row) -> Iterator[str]:
    yield units.duration(row.call_s or 0.0)
    yield units.duration(row.s_per_image or 0.0)
    yield UNKNOWN if row.peak_bytes is None else units.memory(row.peak_bytes)
    yield UNKNOWN if row.joules_per_image is None else units.energy(row.joules_per_image)
    price = group.question.price_per_s
    yield UNKNOWN if price is None else f"${units.number((row.s_per_image or 0.0) * price * _IMAGES)}"


def every_round(subject: Subject) -> Section:
    """Show the warm-up calls and the rounds of every case in the order in which they ran."""
    nouns = subject.nouns
    return Section(
        id="rounds",
        title="Every round",
        lead=(
            f"Seconds {nouns.per_call} in the order in which they ran: warm-up first, which does not count, then the"
            " rounds; the line is the figure of the table. A slope is a drift, a jump is something else that ran."
        ),
        blocks=tuple(_every_round(view) for view in subject.views),
        none="No case of this selection has rounds.",
    )


def _every_round(view: View) -> tuple[Block, ...]:
    timed = [
        (group, row, group.by_run[row.case])
        for group in view.groups
        for row in group.rows
        if row.call_s is not None and any(record.rounds for record in group.by_run[row.case])
    ]
    if not timed:
        return ()
    return (
        Panels(
            title="Every round",
            x=f"{view.nouns.call} or round",
            y=f"seconds {view.nouns.per_call}",
            panels=tuple(_panel(group, row, records, view) for group, row, records in timed),
        ),
    )


def _panel(group: Group, row: Row, records: Sequence[Record], view: View) -> Panel:
    unit, factor = units.scale_of_duration(row.call_s or 0.0)
    series: list[Series] = []
    for number, record in enumerate(records, start=1):
        run = f", run {number}" if len(records) > 1 else ""
        warm = tuple(seconds / factor for seconds in record.warmup_s)
        walls = tuple(reading.wall_s / record.case.calls / factor for reading in record.rounds)
        series += [Series(name=f"warm-up{run}", look=Look.FAINT, color=group.color, y=warm)] if warm else []
        series.append(Series(name=f"rounds{run}", look=Look.TRACE, color=group.color, first=len(warm) + 1, y=walls))
    return Panel(
        title=f"b{row.split}{_of(group, view)} ({unit})",
        series=tuple(series),
        marks=(Mark(name=units.duration(row.call_s or 0.0), y=(row.call_s or 0.0) / factor),),
        note="; ".join(row.notes),
    )
