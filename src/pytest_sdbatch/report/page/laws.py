"""What a batch size costs to the same loss: examples, steps and seconds with their lines, and the noise scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.best_batch import seconds_to_target, time_to_target
from pytest_sdbatch.analysis.claims import amount
from pytest_sdbatch.analysis.convergence import Law
from pytest_sdbatch.analysis.learning_curve import ToTarget
from pytest_sdbatch.analysis.learning_runs import NoiseReading, Part, Study
from pytest_sdbatch.analysis.noise_scale import NoiseScale
from pytest_sdbatch.analysis.scaling import Bounds, Scaling
from pytest_sdbatch.analysis.study_figures import Figures, SizeRow, over_seeds, took
from pytest_sdbatch.report.page.figures import Bars, Block, Figure, Grid, Look, Mark, Series
from pytest_sdbatch.report.page.learning import seconds_label
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.row_notes import MEMORY_SOURCES
from pytest_sdbatch.report.study_words import law_of_examples, law_of_seconds, soonest, unmeasured

_SAMPLES = 33  # of a curve
_DOUBLING_FROM = 8.0  # largest over smallest size: below it the sizes stand as they are
_SIZE = "batch size"
_PARTS = {"all": "all images", "one-class": "one class", "three-classes": "three classes", "small": "a tenth of them"}


def examples(study: Study, figures: Figures) -> Section:
    """Show examples and steps to the target by batch size, with the law through them."""
    reached = [row for row in figures.rows if row.examples is not None]
    blocks: tuple[Block, ...] = ()
    if reached:
        law = figures.law
        critical = () if law is None else tuple(_at(law.critical_batch, "critical batch size", study))
        blocks = (
            _against(
                study, reached, title="Examples to the loss", y="examples", row=lambda row: row.examples,
                each=lambda found: found.examples, law=None if law is None else law.examples, marks=critical,
                note=law_of_examples(figures),
            ),
            _against(
                study, reached, title="Steps to the loss", y="optimizer steps", row=lambda row: row.steps,
                each=lambda found: found.steps, law=None if law is None else law.steps, marks=critical, by_factors=True,
            ),
        )  # fmt: skip
    return Section(
        id="examples",
        title="Examples and steps to the loss",
        lead=(
            "Far below the critical batch size a larger batch saves steps and costs no more examples; far above it, it"
            " costs examples and saves no steps. The band is the 95 % interval of the line, faint points are single"
            " runs."
        ),
        blocks=(blocks,),
        none="No batch size reached the target.",
    )


def seconds(study: Study, figures: Figures) -> Section:
    """Show the seconds to the target by batch size, and what follows from both lines."""
    reached = [row for row in figures.rows if row.seconds is not None]
    law, scaling, best = figures.law, figures.scaling, figures.best
    marks = list(_ramps(study))
    if best is not None:
        marks += _at(best.size, "soonest", study)
    line = None
    if law is not None and scaling is not None:
        known = (law, scaling)
        line = lambda size: _seconds_at(*known, size)  # noqa: E731 - narrowed here, not in a function
    blocks: tuple[Block, ...] = ()
    if reached:
        blocks = (
            _against(
                study, reached, title="Seconds to the loss", y=seconds_label(study), row=lambda row: row.seconds,
                each=lambda found: found.seconds, law=line, marks=marks,
                note=" ".join(filter(None, (soonest(figures), unmeasured(study, figures)))),
            ),
        )  # fmt: skip
    return Section(
        id="seconds",
        title="Seconds to the loss",
        lead="Steps to the loss times seconds of a step. It is flat around the best size: a range will do.",
        blocks=(blocks,),
        none="No batch size reached the target.",
    )


def speed(study: Study, figures: Figures) -> Section:
    """Show the seconds of a step and the examples a second by batch size."""
    timed = [(row.batch_size, row.step_s) for row in figures.rows if row.step_s is not None]
    scaling = figures.scaling
    blocks: tuple[Block, ...] = ()
    if timed:
        unit, factor = units.scale_of_duration(max(step_s for _, step_s in timed))
        sizes = tuple(float(size) for size, _ in timed)
        texts = tuple(f"size {size}" for size, _ in timed)
        points = Series(name="measured", look=Look.POINTS, x=sizes, texts=texts)
        of_step = _with(points, tuple(step_s / factor for _, step_s in timed))
        of_rate = _with(points, tuple(size / step_s for size, step_s in timed))
        lines: tuple[list[Series], list[Series]] = ([], [])
        if scaling is not None:
            lines = (
                list(_curve(study, lambda size: _scaled(scaling.seconds(size), 1 / factor))),
                list(_curve(study, lambda size: _rate(scaling.seconds(size), size))),
            )
        doubling = _doubles(study)
        blocks = (
            Figure(
                title="Seconds of a step",
                x=_SIZE,
                y=f"a step ({unit})",
                series=(*lines[0], of_step),
                note=law_of_seconds(figures),
            ),
            Figure(
                title="Examples per second", x=_SIZE, y="examples/s", series=(*lines[1], of_rate), doubling=doubling
            ),
        )
    return Section(
        id="speed",
        title="How fast each size computes",
        lead="A step of b examples takes about a + c b seconds: a is paid per step, c per example.",
        blocks=(blocks,),
        none="No step was timed.",
    )


def memory(study: Study, figures: Figures) -> Section:
    """Show the peaks of a step by phase and batch size."""
    known = [row.memory for row in figures.rows if row.memory is not None and row.memory.phase_bytes]
    blocks: tuple[Block, ...] = ()
    if known:
        unit, factor = units.scale_of_memory(max(one.peak_bytes or 0 for one in known))
        series = tuple(
            Series(
                name=phase,
                look=Look.POINTS,
                color=color,
                x=tuple(float(one.batch_size) for one in known if phase in one.phase_bytes),
                y=tuple(one.phase_bytes[phase] / factor for one in known if phase in one.phase_bytes),
            )
            for color, phase in enumerate(dict.fromkeys(phase for one in known for phase in one.phase_bytes))
        )
        meaning = MEMORY_SOURCES.get(known[0].measure, "")
        blocks = (
            Figure(
                title="Memory of a step",
                x=_SIZE,
                y=f"peak memory ({unit})",
                series=series,
                doubling=_doubles(study),
                points_are="phase",
                note=meaning,
            ),
        )
    return Section(
        id="memory",
        title="Memory of a step",
        lead="The peak of each phase, in one more step that is not timed.",
        blocks=(blocks,),
        none="Peak memory is not known here.",
    )


def noise(study: Study, figures: Figures) -> Section:
    """Show the gradient noise scale along a run, of parts of the data, and where the variance comes from."""
    blocks: list[Block] = []
    along = [reading for reading in study.noise if reading.data == "all"]
    if along:
        scales = [("gradient", 0, [(one, one.plain) for one in along])]
        scales += [("gradient in Adam's measure", 1, [(one, one.adam) for one in along if one.adam is not None])]
        law = figures.law
        critical = None if law is None else law.critical_batch.estimate
        blocks.append(
            Figure(
                title="Noise scale along a run",
                x="examples seen",
                y="as a batch size",
                series=tuple(_scale(name, color, found) for name, color, found in scales if any(map(_told, found))),
                marks=()
                if critical is None
                else (Mark(name=f"critical batch size {units.number(critical)}", y=critical),),
                by_factors=all(_value(scale) > 0 for _, _, found in scales for _, scale in found if scale),
                points_are="look",
                note="a reading whose gradient does not stand out of its noise is a lower limit: at least",
            )
        )
    most = max((reading.examples for reading in study.noise), default=0)
    parts = {reading.data: reading for reading in study.noise if reading.examples == most}
    if len(parts) > 1:
        lines = tuple((_PARTS.get(name, name), amount(one.plain.size)) for name, one in parts.items())
        blocks.append(Grid(title="By part of the data", heads=("gradients of", "noise scale at the end"), lines=lines))
    if study.split is not None:
        split = study.split
        shares = (("drawn noise", split.noise), ("timestep", split.timestep), ("image", split.image))
        blocks.append(
            Bars(
                title="Where the variance of a gradient comes from",
                x="share (%)",
                names=("variance",),
                parts=tuple((name, (100 * (bounds.estimate or 0.0),)) for name, bounds in shares),
                note="; ".join(f"{name}: {amount(_scaled(bounds, 100))} %" for name, bounds in shares),
            )
        )
    return Section(
        id="noise",
        title="Gradient noise scale",
        lead=(
            "The batch whose gradient is as large as its noise: a first guess at the critical batch size, good to a"
            " factor of 2 to 5. It swings along a run; time to the loss decides."
        ),
        blocks=(tuple(blocks),),
        none="No gradient was read.",
    )


def _against(
    study: Study,
    rows: Sequence[SizeRow],
    *,
    title: str,
    y: str,
    row: Callable[[SizeRow], Bounds | None],
    each: Callable[[ToTarget], float | None],
    law: Callable[[int], Bounds | None] | None,
    marks: Sequence[Mark] = (),
    by_factors: bool = False,
    note: str = "",
) -> Figure:
    """Return what the sizes took to the target, single runs behind, with the line of *law*."""
    bounds = [(one.batch_size, found) for one in rows if (found := row(one)) is not None]
    single = [
        (run.batch_size, value)
        for run in study.of(Part.TABLE)
        if (value := each(took(run, study.target))) is not None and value > 0
    ]
    series = list(_curve(study, law)) if law is not None else []
    series.append(
        Series(name="runs", look=Look.FAINT, x=tuple(size for size, _ in single), y=tuple(value for _, value in single))
    )
    series.append(
        Series(
            name="mean of seeds, 95 % limits",
            look=Look.POINTS,
            x=tuple(size for size, _ in bounds),
            y=tuple(found.estimate or 0.0 for _, found in bounds),
            low=tuple(found.low or found.estimate or 0.0 for _, found in bounds),
            high=tuple(found.high or found.estimate or 0.0 for _, found in bounds),
            texts=tuple(f"{one.reached} of {one.runs} runs reached it" for one in rows),
        )
    )
    return Figure(
        title=title,
        x=_SIZE,
        y=y,
        series=tuple(series),
        marks=tuple(marks),
        doubling=_doubles(study),
        by_factors=by_factors,
        points_are="runs",
        note=note,
    )


def _curve(study: Study, law: Callable[[int], Bounds | None]) -> Iterator[Series]:
    """Yield a line with its band between the sizes measured, and dashed from half the smallest to twice the largest."""
    low, high = study.sizes[0], study.sizes[-1]
    first, last = max(1, low // 2), 2 * high
    sizes = sorted({round(first * (last / first) ** (k / _SAMPLES)) for k in range(_SAMPLES + 1)} | {*study.sizes})
    found = [(size, bounds) for size in sizes if (bounds := law(size)) is not None and (bounds.estimate or 0.0) > 0]
    inside = [(size, bounds) for size, bounds in found if low <= size <= high]
    if inside and all(bounds.low and bounds.high and bounds.low > 0 for _, bounds in inside):
        yield Series(
            name="95 % of the line",
            look=Look.BAND,
            x=tuple(size for size, _ in inside),
            low=tuple(bounds.low or 0.0 for _, bounds in inside),
            high=tuple(bounds.high or 0.0 for _, bounds in inside),
        )
    for look, part in (
        (Look.LINE, inside),
        (Look.DASHED, [one for one in found if one[0] <= low]),
        (Look.DASHED, [one for one in found if one[0] >= high]),
    ):
        if len(part) > 1:
            values = tuple(bounds.estimate or 0.0 for _, bounds in part)
            yield Series(name="", look=look, x=tuple(size for size, _ in part), y=values)


def _ramps(study: Study) -> Iterator[Mark]:
    found = over_seeds([value for run in study.of(Part.RAMP) if (value := took(run, study.target).seconds)])
    if found is not None and found.estimate is not None:
        yield Mark(name=f"ramp {amount(found)} s", y=found.estimate, color=1)


def _at(bounds: Bounds, name: str, study: Study) -> Iterator[Mark]:
    """Yield a line at a batch size, where it lies within reach of those measured."""
    if bounds.estimate is not None and study.sizes[0] / 4 <= bounds.estimate <= 4 * study.sizes[-1]:
        yield Mark(name=f"{name} {units.number(bounds.estimate)}", x=bounds.estimate)


def _seconds_at(law: Law, scaling: Scaling, size: int) -> Bounds | None:
    if seconds_to_target(law, scaling.curve, size) is None:
        return None
    return time_to_target(law, scaling, size)


def _scale(name: str, color: int, found: Sequence[tuple[NoiseReading, NoiseScale | None]]) -> Series:
    known = [(reading, scale) for reading, scale in found if scale is not None and _value(scale) > 0]
    return Series(
        name=name,
        look=Look.POINTS,
        color=color,
        x=tuple(float(reading.examples) for reading, _ in known),
        y=tuple(_value(scale) for _, scale in known),
        low=tuple(scale.size.low or _value(scale) for _, scale in known),
        high=tuple(scale.size.high or _value(scale) for _, scale in known),
        texts=tuple(
            f"{'at least, ' if scale.size.estimate is None else ''}at a held-out loss of "
            f"{units.number(reading.held_out_loss)}"
            for reading, scale in known
        ),
    )


def _told(pair: tuple[NoiseReading, NoiseScale | None]) -> bool:
    return pair[1] is not None and _value(pair[1]) > 0


def _value(scale: NoiseScale) -> float:
    """Return the noise scale, or its lower limit where that is all there is; 0: nothing is known."""
    return scale.size.estimate or scale.size.low or 0.0


def _with(series: Series, y: tuple[float, ...]) -> Series:
    return Series(name=series.name, look=series.look, x=series.x, y=y, texts=series.texts)


def _scaled(bounds: Bounds, factor: float) -> Bounds:
    values = (None if value is None else value * factor for value in (bounds.estimate, bounds.low, bounds.high))
    estimate, low, high = values
    return Bounds(estimate=estimate, low=low, high=high)


def _rate(step_s: Bounds, size: int) -> Bounds:
    """Return examples a second: its limits change places."""
    estimate, low, high = (None if not value else size / value for value in (step_s.estimate, step_s.high, step_s.low))
    return Bounds(estimate=estimate, low=low, high=high)


def _doubles(study: Study) -> bool:
    return study.sizes[-1] / study.sizes[0] >= _DOUBLING_FROM
