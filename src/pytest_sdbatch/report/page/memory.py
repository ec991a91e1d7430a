"""Memory: the peaks of the stages against the batch size with their limit, and what was in use over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pytest_sdbatch import units
from pytest_sdbatch.analysis.forecast import MEMORY, Growth
from pytest_sdbatch.analysis.memory_fit import Largest
from pytest_sdbatch.records import MemoryRound, Record
from pytest_sdbatch.report.capacity import capacity, predicted
from pytest_sdbatch.report.page.figures import (
    ALLOCATOR_COLOR,
    Block,
    Figure,
    Look,
    Mark,
    Panel,
    Panels,
    Series,
    thinned,
)
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.page.subject import Group, Subject, View
from pytest_sdbatch.report.row_notes import MEMORY_SOURCES

_MOST_POINTS = 80_000  # of all time lines together
_FEWEST_POINTS, _USUAL_POINTS = 8, 240  # of one
_FARTHEST = 5  # times the largest size that was measured: a prediction is drawn so far


def stages(subject: Subject) -> Section:
    """Show the peak of each stage, the line through it, the limit, and the largest batch that is predicted to fit."""
    limit = subject.reported.memory_limit_bytes
    return Section(
        id="memory",
        title="Memory per stage",
        lead=(
            f"The highest memory of each stage of {subject.nouns.a_call}. The stage with the highest line runs out"
            " first; where a line meets a limit is the largest batch that is predicted to fit."
        ),
        blocks=tuple(
            tuple(figure for group in view.groups for figure in _stages(group, view, limit, subject.stage_colors))
            for view in subject.views
        ),
        none="The memory of no case of this selection is known.",
    )


def _stages(group: Group, view: View, limit: float | None, colors: Mapping[str, int]) -> Iterator[Block]:
    peaks = _peaks(group)
    if not peaks:
        return
    growth = next((one for one in group.growths if one.measure == MEMORY), None)
    limits = {} if growth is None or growth.limit_bytes is None else {"there was": float(growth.limit_bytes)}
    limits |= {} if limit is None else {"asked for": limit}
    largest = {name: None if growth is None else growth.largest_batch(value) for name, value in limits.items()}
    end = _end(group, largest)
    near = {name for name, one in largest.items() if one is None or one.estimate is None or one.estimate <= end}
    limits = {name: value for name, value in limits.items() if name in near}
    top = max(size for stage in peaks.values() for size in stage.values())
    if growth is not None:
        top = max(top, growth.needs(end).estimate)
    unit, factor = units.scale_of_memory(max(top, min(limits.values(), default=0.0)))
    sources = (record.memory_source for record in group.records.values())
    measure = next((source for source in sources if source is not None), None)
    yield Figure(
        title=f"Memory per stage{_of(group, view)}",
        x="batch size",
        y=f"peak memory ({unit})",
        series=(*_points(peaks, colors, factor), *(() if growth is None else _lines(growth, colors, end, factor))),
        marks=(*_marks(limits, largest, growth, end, top, factor), *_failed(group)),
        note="; ".join(filter(None, (MEMORY_SOURCES.get(measure or "", ""), capacity(list(group.records.values()))))),
    )


def _of(group: Group, view: View) -> str:
    return f", {group.source}" if len(view.groups) > 1 else ""


def _peaks(group: Group) -> dict[str, dict[int, float]]:
    """Return bytes by stage and batch size; of the whole where the stages are not known."""
    found: dict[str, dict[int, float]] = {}
    for record in group.records.values():
        made = record.memory_round
        if made is not None and made.stage_peak_bytes and record.outcome.has_numbers:
            for stage, size in made.stage_peak_bytes.items():
                own = found.setdefault(stage, {})
                own[record.case.batch_size] = max(own.get(record.case.batch_size, 0.0), float(size))
    if found:
        return found
    whole: dict[int, float] = {}
    for row in group.rows:
        if row.peak_bytes is not None:
            whole[row.batch_size] = max(whole.get(row.batch_size, 0.0), float(row.peak_bytes))
    return {"all": whole} if whole else {}


def _end(group: Group, largest: Mapping[str, Largest | None]) -> int:
    """Return the largest batch size that is drawn."""
    measured = max(row.batch_size for row in group.rows)
    wanted = [one.estimate for one in largest.values() if one is not None and one.estimate is not None]
    return max(measured, min(max(wanted, default=0) + 1, _FARTHEST * measured))


def _points(peaks: Mapping[str, Mapping[int, float]], colors: Mapping[str, int], factor: float) -> Iterator[Series]:
    for stage, sizes in peaks.items():
        ordered = sorted(sizes.items())
        yield Series(
            name=stage.replace("_", " "),
            look=Look.POINTS,
            color=colors[stage],
            x=tuple(size for size, _ in ordered),
            y=tuple(value / factor for _, value in ordered),
        )


def _lines(growth: Growth, colors: Mapping[str, int], end: int, factor: float) -> Iterator[Series]:
    for stage, line in growth.fit.stages.items():
        known = [line.predict(size) for size in (1, end)]
        color = colors[stage]
        if all(one.low is not None and one.high is not None for one in known):
            yield Series(
                name="",
                look=Look.BAND,
                color=color,
                x=(1, end),
                low=tuple((one.low or 0.0) / factor for one in known),
                high=tuple((one.high or 0.0) / factor for one in known),
            )
        yield Series(
            name="",
            look=Look.LINE if line.agreed else Look.DASHED,
            color=color,
            x=(1, end),
            y=tuple(one.estimate / factor for one in known),
        )
    if growth.margin is not None and growth.margin > 0.001:
        sizes = sorted({1, end, *range(1, end, max(end // 16, 1))})
        yield Series(
            name="with what cannot be given back",
            look=Look.DASHED,
            color=ALLOCATOR_COLOR,
            x=tuple(sizes),
            y=tuple(growth.needs(size).estimate * (1 + growth.margin) / factor for size in sizes),
        )


def _marks(
    limits: Mapping[str, float],
    largest: Mapping[str, Largest | None],
    growth: Growth | None,
    end: int,
    top: float,
    factor: float,
) -> Iterator[Mark]:
    for name, value in limits.items():
        found = largest[name]
        if value <= 1.6 * top:  # one that is far away would press the rest together; the note tells of it
            yield Mark(name=f"{name}: {units.memory(value)}", y=value / factor)
        if found is None or found.estimate is None or growth is None or not growth.fit.grows:
            continue
        if 0 < found.estimate <= end:
            said = predicted(found, growth.fit.last_probe).removeprefix("about ")
            yield Mark(name=f"predicted: {said}", x=found.estimate)


def _failed(group: Group) -> Iterator[Mark]:
    """Yield the smallest size that ran out of memory: what is predicted has to be seen beside it."""
    sizes = [row.batch_size for row in group.rows if row.outcome.did_not_fit]
    if sizes:
        yield Mark(name=f"{min(sizes)} does not fit", x=min(sizes))


def time_line(subject: Subject) -> Section:
    """Show the memory in use while one more round ran that was not timed."""
    most = max(_FEWEST_POINTS, min(_USUAL_POINTS, _MOST_POINTS // max(subject.cases, 1)))
    return Section(
        id="time-line",
        title="Memory over time",
        lead=(
            "What the driver (NVML) or, on a CPU, the system told while one more round ran that was not timed."
            " Of a device it counts all processes."
        ),
        blocks=tuple(_time_line(view, most) for view in subject.views),
        none="No memory round was made for this selection.",
    )


def _time_line(view: View, most: int) -> tuple[Block, ...]:
    made = [
        (f"b{record.case.split}{_of(group, view)}", record, record.memory_round, group.color)
        for group in view.groups
        for record in group.records.values()
        if record.memory_round is not None and record.memory_round.time_s
    ]
    if not made:
        return ()
    highest = max(max(one.used_bytes) for _, _, one, _ in made)
    unit, factor = units.scale_of_memory(highest)
    panels = tuple(_panel(name, record, one, color, most, factor) for name, record, one, color in made)
    thin = (
        ", thinned: of each stretch the highest point" if any(len(one.time_s) > most for _, _, one, _ in made) else ""
    )
    scopes = " and ".join(dict.fromkeys(_SCOPES.get(one.scope, one.scope) for _, _, one, _ in made))
    return (Panels(title="Memory over time", x="seconds", y=f"in use ({unit})", panels=panels, note=f"{scopes}{thin}"),)


_SCOPES = {"device": "all processes on the device", "process": "resident memory of the process"}


def _panel(name: str, record: Record, made: MemoryRound, color: int, most: int, factor: float) -> Panel:
    times, used = thinned(made.time_s, made.used_bytes, most)
    marks = [
        Mark(name=word, y=float(reading.value) / factor)
        for word, reading in (("loaded", made.loaded), ("peak", made.peak))
        if reading.value is not None and math.isfinite(reading.value)
    ]
    return Panel(
        title=name,
        series=(
            Series(name="in use", look=Look.LINE, color=color, x=times, y=tuple(value / factor for value in used)),
        ),
        marks=tuple(marks),
        note="; ".join(filter(None, (record.memory_round_reason, made.mark))),
    )
