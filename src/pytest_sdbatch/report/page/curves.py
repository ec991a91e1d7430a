"""Throughput and seconds per call against the batch size, with the fitted curve; and how far it is off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.scaling import Scaling
from pytest_sdbatch.records import Outcome
from pytest_sdbatch.report.measured import doubted
from pytest_sdbatch.report.page.figures import Block, Figure, Look, Mark, Series
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.page.subject import Group, Subject, View
from pytest_sdbatch.report.table import Row

_SAMPLES, _FEW_SAMPLES = 33, 9  # of a curve
_DOUBLING_FROM = 8.0  # largest over smallest size: below it the sizes stand as they are
_SIZE = "batch size"


def throughput(subject: Subject) -> Section:
    """Show how many images a second each batch size makes."""
    nouns = subject.nouns
    return Section(
        id="throughput",
        title="Throughput",
        lead=(
            f"{nouns.images.capitalize()} per second against the batch size. The curve follows from the line below, the"
            " band is its 95 % interval, faint points are single rounds."
        ),
        blocks=tuple((_throughput(view, subject),) if _has_times(view) else () for view in subject.views),
        none="No case of this selection has times.",
    )


def seconds(subject: Subject) -> Section:
    """Show how the seconds of a call grow, and what the line leaves."""
    nouns = subject.nouns
    return Section(
        id="seconds",
        title=f"Seconds {nouns.per_call}",
        lead=(
            f"{nouns.a_call.capitalize()} of b {nouns.images} takes about a + c b: a is paid {nouns.per_call}, c per"
            f" {nouns.image}. Below: measured over fitted."
        ),
        blocks=tuple(tuple(_seconds(view, subject)) if _has_times(view) else () for view in subject.views),
        none="No case of this selection has times.",
    )


def _has_times(view: View) -> bool:
    return any(row.call_s is not None for group in view.groups for row in group.rows)


def _throughput(view: View, subject: Subject) -> Figure:
    series: list[Series] = []
    for group in view.groups:
        frames = (group.rows[0].frames or 1) * group.images_of_one
        timed = [row for row in group.rows if row.images_per_s is not None and row.call_s is not None]
        series += _curve(group, subject, frames=frames, as_rate=True)
        if not subject.has_many_cases:
            series += _rounds(group, group.rows[0].frames or 1)
        limits = [_limits(row) for row in timed]
        series.append(
            Series(
                name=group.source,
                look=Look.POINTS,
                color=group.color,
                x=tuple(row.batch_size for row in timed),
                y=tuple(row.batch_size * frames / (row.call_s or 1.0) for row in timed),
                low=tuple(row.batch_size * frames / high for row, (_, high) in zip(timed, limits, strict=True)),
                high=tuple(row.batch_size * frames / low for row, (low, _) in zip(timed, limits, strict=True)),
                texts=tuple(f"b{row.split}{'' if row.counts else f', {row.outcome_text}'}" for row in timed),
            )
        )
    return Figure(
        title="Throughput",
        x=_SIZE,
        y=view.nouns.rate if view.groups[0].rows[0].frames is None else "frames/s",
        series=tuple(series),
        marks=tuple(_marks(view)),
        doubling=_doubles(view),
        note="; ".join(_notes(view)),
    )


def _marks(view: View) -> Iterator[Mark]:
    several = len(view.groups) > 1
    for group in view.groups:
        color = group.color if several else None
        if group.recommended is not None:
            word = "recommended" if group.plan is not None else "sweet spot"
            yield Mark(name=f"{word}: {group.recommended}", x=group.recommended, color=color)
        ended = [row.batch_size for row in group.rows if row.outcome in (Outcome.OOM, Outcome.SPILLED)]
        if ended:
            yield Mark(name=f"{min(ended)} does not fit", x=min(ended), color=color)


def _notes(view: View) -> Iterator[str]:
    for group in view.groups:
        where = f"{group.source}: " if len(view.groups) > 1 else ""
        if (said := doubted(group.rows)) is not None:
            yield f"{where}{said}"
        scaling = group.scaling
        if scaling is None:
            yield f"{where}it takes three batch sizes for a curve"
        elif scaling.rejected:
            yield f"{where}the times lie on no line (dashed), so that only measured ones were compared"
        elif scaling.half_saturation.estimate is not None:
            half = scaling.half_saturation
            between = "" if half.low is None else f" ({units.number(half.low)} to {_or_more(half.high)})"
            yield f"{where}half of the largest throughput is reached at {units.number(half.estimate or 0.0)}{between}"


def _or_more(high: float | None) -> str:
    return "no end" if high is None else units.number(high)


def _doubles(view: View) -> bool:
    sizes = [row.batch_size for group in view.groups for row in group.rows]
    return max(sizes) / min(sizes) >= _DOUBLING_FROM


def _limits(row: Row) -> tuple[float, float]:
    """Return the interval of the seconds of a call; both ends are the estimate where there is none."""
    call_s = row.call_s or 0.0
    return (call_s, call_s) if row.call_interval is None else (row.call_interval.low, row.call_interval.high)


def _rounds(group: Group, frames: int) -> Iterator[Series]:
    found = [
        (record.case.batch_size, record.case.images * frames / reading.wall_s)
        for record in group.records.values()
        if record.outcome.has_numbers
        for reading in record.rounds
        if reading.wall_s > 0
    ]
    if found:
        yield Series(
            name="rounds",
            look=Look.FAINT,
            color=group.color,
            x=tuple(size for size, _ in found),
            y=tuple(rate for _, rate in found),
        )


def _samples(scaling: Scaling, count: int) -> list[float]:
    """Return batch sizes along the curve, as far as it was measured, its bend among them."""
    low, high = scaling.sizes[0], scaling.sizes[-1]
    found = {low * (high / low) ** (k / (count - 1)) for k in range(count)}
    bend = None
    if scaling.curve.floor_s is not None and scaling.curve.image_s > 0:
        bend = (scaling.curve.floor_s - scaling.curve.call_s) / scaling.curve.image_s
    return sorted(found | ({bend} if bend is not None and low < bend < high else set()))


def _curve(group: Group, subject: Subject, *, frames: int = 1, as_rate: bool, scale: float = 1.0) -> Iterator[Series]:
    scaling = group.scaling
    if scaling is None:
        return
    sizes = _samples(scaling, _FEW_SAMPLES if subject.has_many_views else _SAMPLES)
    fitted = [scaling.curve.seconds(size) for size in sizes]
    whole = sorted({round(size) for size in sizes} | set(scaling.sizes))
    bounds = [scaling.seconds(size) for size in whole]

    def shown(size: float, call_s: float) -> float:
        return size * frames / call_s if as_rate else call_s * scale

    if not scaling.rejected and all(bound.low is not None and bound.high is not None for bound in bounds):
        ends = [
            sorted((shown(size, bound.low or 0.0), shown(size, bound.high or 0.0)))
            for size, bound in zip(whole, bounds, strict=True)
        ]
        yield Series(
            name=f"95 % of the curve, {scaling.scope.value}",
            look=Look.BAND,
            color=group.color,
            x=tuple(whole),
            low=tuple(low for low, _ in ends),
            high=tuple(high for _, high in ends),
        )
    yield Series(
        name="",
        look=Look.DASHED if scaling.rejected else Look.LINE,
        color=group.color,
        x=tuple(sizes),
        y=tuple(shown(size, call_s) for size, call_s in zip(sizes, fitted, strict=True)),
    )


def _seconds(view: View, subject: Subject) -> Iterator[Block]:
    longest_s = max(row.call_s for group in view.groups for row in group.rows if row.call_s is not None)
    unit, factor = units.scale_of_duration(longest_s)
    series: list[Series] = []
    for group in view.groups:
        timed = [row for row in group.rows if row.call_s is not None]
        limits = [_limits(row) for row in timed]
        series += _curve(group, subject, as_rate=False, scale=1 / factor)
        series.append(
            Series(
                name=group.source,
                look=Look.POINTS,
                color=group.color,
                x=tuple(row.batch_size for row in timed),
                y=tuple((row.call_s or 0.0) / factor for row in timed),
                low=tuple(low / factor for low, _ in limits),
                high=tuple(high / factor for _, high in limits),
                texts=tuple(f"b{row.split}" for row in timed),
            )
        )
    yield Figure(
        title=f"Seconds {view.nouns.per_call}",
        x=_SIZE,
        y=f"{view.nouns.a_call} ({unit})",
        series=tuple(series),
        note="; ".join(_parameters(view.groups)),
    )
    left = tuple(found for group in view.groups if (found := _residuals(group)) is not None)
    if left:
        yield Figure(
            title="Measured over fitted",
            x=_SIZE,
            y="residual (%)",
            series=left,
            marks=(Mark(name="", y=0.0),),
            doubling=_doubles(view),
            low=True,
            around_zero=True,
        )


def _parameters(groups: Sequence[Group]) -> Iterator[str]:
    for group in groups:
        scaling = group.scaling
        if scaling is None:
            continue
        where = f"{group.source}: " if len(groups) > 1 else ""
        floor = scaling.curve.floor_s
        least = "" if floor is None else f", at least {units.duration(floor)}"
        worst = units.share(scaling.worst_misfit)
        yield (
            f"{where}a = {units.duration(scaling.curve.call_s)}, c = {units.duration(scaling.curve.image_s)}{least};"
            f" at most {worst} off"
        )


def _residuals(group: Group) -> Series | None:
    if group.scaling is None or len(group.timed) != len(group.scaling.residuals):
        return None
    return Series(
        name=group.source,
        look=Look.POINTS,
        color=group.color,
        x=tuple(row.batch_size for row, _ in group.timed),
        y=tuple(100 * value for value in group.scaling.residuals),
        texts=tuple(f"b{row.split}" for row, _ in group.timed),
    )
