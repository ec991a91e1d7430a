"""A learning study in words: what was trained and on what, both laws, a row a batch size."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_sdbatch import units
from pytest_sdbatch.analysis.best_batch import seconds_to_target
from pytest_sdbatch.analysis.claim_table import measured_on
from pytest_sdbatch.analysis.claims import amount
from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Clock, Part, Study, TrainingRun
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import Figures, SizeRow
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import Cell, Column
from pytest_sdbatch.report.row_notes import MEMORY_SOURCES

_UNKNOWN = "-"
_SHARED = 1.2  # wall over CPU seconds of one thread; alone they agree
_COLUMNS = (
    Column("size", "batch\nsize"),
    Column("count", "batches of\nan epoch", drop=6),
    Column("rate", "learning\nrate"),
    Column("reached", "reached\ntarget"),
    Column("steps", "steps\nto target"),
    Column("examples", "examples\nto target"),
    Column("seconds", "seconds\nto target"),
    Column("speed", "\nexamples/s", drop=5),
    Column("peak", "peak\nmemory", drop=7),
    Column("joules", "energy per\nexample", drop=8),
    Column("accuracy", "validation\naccuracy", drop=3),
    Column("frechet", "Frechet\ndistance", drop=4),
    Column("gap", "held-out\n- train loss", drop=2),
)


def about(study: Study) -> Iterator[str]:
    """Yield what was learned, and to which loss."""
    data = study.data
    yield (
        f"{plain(data.name)}: {units.count(data.train_images, 'image')} to train on, {data.held_out_images:,} held "
        f"out; {data.side}x{data.side}, {'grey' if data.channels == 1 else 'in colour'}, {data.classes} "
        f"class{'es' if data.classes != 1 else ''}; a network of "
        f"{units.magnitude(data.parameters)} parameters"
    )
    yield (
        f"to a held-out loss of {units.number(study.target)}, at most {units.count(study.most_examples)} examples; "
        f"{units.count(len(study.seeds), 'seed')}; learning rates {study.rates_from}"
    )


def behind(study: Study) -> Iterator[str]:
    """Yield on what it was measured, and which command the options belong to that are advised."""
    yield f"Measured on {measured_on(study)}."
    if study.command:
        yield (
            f"Options that are advised here are added to: {study.command} (--tune in place of --rates; a study that is "
            "kept takes a new file, -o)"
        )


def legend(study: Study, figures: Figures) -> Iterator[str]:
    """Yield what the columns of the table mean, and what of it is doubtful."""
    clock = "CPU time" if study.clock is Clock.CPU else "wall time"
    yield f"in brackets: 95 % limits over seeds; seconds: {clock} of the steps, evaluations left out"
    if _was_shared(study):
        yield (
            "something else used the machine meanwhile: CPU seconds are then longer than on a quiet one; examples and "
            "steps are not touched"
        )
    if figures.gap_level is not None:
        yield f"held-out - train loss: where the training loss was {units.number(figures.gap_level)}"
    yield from _legend_of_device(figures)
    known = study.facts.get("classifier_accuracy")
    if isinstance(known, float):
        made = max((run.quality.images for run in study.runs if run.quality), default=0)
        yield (
            f"validation accuracy: of {units.count(made, 'generated image')} of each network, by a classifier that saw "
            "real ones only, and is right on "
            f"{units.share(known)} of those held out"
        )
    else:
        yield f"validation accuracy: not known ({figures.rows[0].accuracy.reason})"
    missed = [run for run in study.of(Part.TABLE) if run.end is not End.REACHED]
    for run in missed:
        yield f"batch size {run.batch_size}, seed {run.seed}: {run.end.value}: {run.reason}"
    untuned = [rate for rate in study.rates if not rate.interior]
    for rate in untuned:
        yield f"batch size {rate.batch_size}: the best rate lies at the end of those tried, so it may not be the best"


def _legend_of_device(figures: Figures) -> Iterator[str]:
    """Yield what peak memory means here, and why memory or energy is not known."""
    read = [row.memory for row in figures.rows if row.memory is not None]
    meanings = dict.fromkeys(MEMORY_SOURCES.get(one.measure, "") for one in read if one.peak_bytes)
    yield from (f"peak memory: {meaning}, in one more step that is not timed" for meaning in filter(None, meanings))
    reasons = dict.fromkeys(one.reason for one in read if one.reason)
    yield from (f"peak memory is not known: {plain(reason)}" for reason in reasons)
    if read and figures.rows[0].joules_per_example.value is None:
        yield f"energy is not known: {plain(figures.rows[0].joules_per_example.reason or 'the device does not tell')}"


def _was_shared(study: Study) -> bool:
    """Return whether the steps of the table waited for a core: their wall time is longer than their CPU time."""
    ends = [run.evaluations[-1] for run in study.of(Part.TABLE)]
    wall_s, cpu_s = sum(last.wall_s for last in ends), sum(last.seconds for last in ends)
    return study.clock is Clock.CPU and wall_s > _SHARED * cpu_s


def laws(study: Study, figures: Figures) -> Iterator[str]:
    """Yield the sentences of both laws and what follows from them."""
    yield law_of_examples(figures)
    yield from filter(None, (law_of_seconds(figures), soonest(figures), unmeasured(study, figures)))
    yield from (f"{ramp_end(run)}." for run in study.of(Part.RAMP))


def law_of_examples(figures: Figures) -> str:
    """Return the line through the examples to the target, or why there is none."""
    law = figures.law
    if law is None:
        return f"No law of examples: {figures.no_law}."
    fit = "two sizes lie on any line" if law.r_squared is None else f"R^2 {law.r_squared:.3f}"
    return (
        f"Examples to the target: {amount(law.fewest_examples)} + {amount(law.fewest_steps)} x batch size ({fit}); "
        f"critical batch size {amount(law.critical_batch)}."
    )


def law_of_seconds(figures: Figures) -> str:
    """Return the line through the seconds of a step; empty: there is none."""
    scaling = figures.scaling
    if scaling is None:
        return ""
    return (
        f"Seconds of a step: {units.duration(scaling.curve.call_s)} + {units.duration(scaling.curve.image_s)} x "
        f"batch size; half of the largest rate at a batch of {amount(scaling.half_saturation)} "
        f"({scaling.scope.value})."
    )


def soonest(figures: Figures) -> str:
    """Return where both lines put the size that is soonest at the target; empty: nowhere."""
    best = figures.best
    if best is None or best.size.estimate is None or best.high is None:
        return ""
    return (
        f"Soonest at a batch of {amount(best.size)}; from {units.number(best.low)} to {units.number(best.high)} it "
        "takes at most a tenth longer."
    )


def unmeasured(study: Study, figures: Figures) -> str:
    """Return the seconds to the target of sizes between and around those measured; empty: the lines give none."""
    law, scaling = figures.law, figures.scaling
    if law is None or scaling is None:
        return ""
    sizes = [size for size in _powers(study.sizes) if size not in study.sizes]
    times = [(size, seconds_to_target(law, scaling.curve, size)) for size in sizes]
    shown = "; ".join(f"{size}: {units.duration(seconds)}" for size, seconds in times if seconds is not None)
    return f"By both lines, sizes that were not measured would take: {shown}." if shown else ""


def ramp_end(run: TrainingRun) -> str:
    """Return how a run of the ramp ended."""
    return f"Ramp, seed {run.seed}: {run.end.value}; {run.reason}"


def _powers(sizes: tuple[int, ...]) -> Iterator[int]:
    """Yield the powers of two from half the smallest size to twice the largest."""
    power = 1
    while power <= 2 * sizes[-1]:
        if 2 * power >= sizes[0]:
            yield power
        power *= 2


def size_columns(figures: Figures) -> tuple[Column, ...]:
    """Return the columns of the table of sizes: without memory and energy where no size has them."""
    rows = figures.rows
    known: dict[str, list[float | None]] = {"peak": [row.peak_bytes for row in rows]}
    known["joules"] = [row.joules_per_example.value for row in rows]
    empty = {key for key, values in known.items() if not any(values)}
    return tuple(column for column in _COLUMNS if column.key not in empty)


def size_cells(row: SizeRow) -> dict[str, Cell]:
    """Return the cells of one batch size by column."""

    def known(bounds: Bounds | None) -> Cell:
        if bounds is None:
            return Cell("not-reached", "yellow")
        return Cell(amount(bounds))

    style, joules = "" if row.reached == row.runs else "yellow", row.joules_per_example.value
    return {
        "size": Cell(str(row.batch_size), "bold"),
        "count": Cell(str(row.batch_count)),
        "rate": Cell(f"{row.rate:.3g}"),
        "reached": Cell(f"{row.reached} of {row.runs}", style),
        "steps": known(row.steps),
        "examples": known(row.examples),
        "seconds": known(row.seconds),
        "speed": Cell(_UNKNOWN if row.examples_per_s is None else units.number(row.examples_per_s)),
        "peak": Cell(_UNKNOWN if row.peak_bytes is None else units.memory(row.peak_bytes)),
        "joules": Cell(_UNKNOWN if joules is None else units.energy(joules)),
        "accuracy": Cell(_UNKNOWN if row.accuracy.value is None else f"{row.accuracy.value:.3f}"),
        "frechet": Cell(_UNKNOWN if row.frechet.value is None else units.number(row.frechet.value)),
        "gap": Cell(_UNKNOWN if row.gap is None else f"{row.gap:.4f}"),
    }
