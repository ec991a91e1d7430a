"""A learning study on screen, for machines, and as Markdown: a row a batch size, both laws, the claims, one advice."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pytest_sdbatch import units
from pytest_sdbatch.analysis.best_batch import seconds_to_target
from pytest_sdbatch.analysis.claim_table import claim_table, measured_on
from pytest_sdbatch.analysis.claims import Claim, Standing, amount
from pytest_sdbatch.analysis.learning_curve import End, convergence_rate
from pytest_sdbatch.analysis.learning_runs import Clock, Part, Study, TrainingRun
from pytest_sdbatch.analysis.recommendation import Recommendation, recommendation
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.analysis.study_figures import Figures, SizeRow, figures_of
from pytest_sdbatch.report.escape import markdown, plain
from pytest_sdbatch.report.layout import Block, Cell, Column, lay_out, to_string
from pytest_sdbatch.report.markdown_table import table_head, table_row
from pytest_sdbatch.report.table import MEMORY_SOURCES

SCHEMA = 1
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
_STYLES = {Standing.SUPPORTED: "green", Standing.NOT_SUPPORTED: "yellow", Standing.CANNOT_TELL: "dim"}


def render_study(study: Study, *, width: int, color: bool, encoding: str = "utf-8") -> str:
    """Return what is shown of *study*, without a newline at the end.

    Args:
        study: as measured, or as read from a file.
        width: columns of the screen.
        color: whether to use ANSI colours.
        encoding: of the screen; what it lacks is replaced.

    """
    from rich.text import Text

    figures = figures_of(study)
    claims = claim_table(study, figures)
    lines = [Text(line) for text in about(study) for line in _wrapped(text, width)]
    block = Block(heading=(), rows=tuple(size_cells(row) for row in figures.rows))
    lines += lay_out(size_columns(figures), [block], width=width, encoding=encoding)
    lines += [Text(line, "dim") for text in legend(study, figures) for line in _wrapped(text, width)]
    lines += [Text(line) for text in laws(study, figures) for line in _wrapped(text, width)]
    for heading, group in groupby(claims, key=lambda claim: claim.heading):
        lines += [Text(""), Text(heading, "bold")]
        for claim in group:
            lines += _claim_lines(claim, width)
    advice = recommendation(study, figures, claims)
    lines += [Text(""), *(Text(line, "bold") for line in _wrapped(f"Recommended: {advice.sentence}", width))]
    lines += [Text(line) for text in advice.reasons for line in _wrapped(f"- {text}", width)]
    lines += [Text(line, "dim") for text in behind(study) for line in _wrapped(text, width)]
    return to_string(lines, color=color, encoding=encoding)


def study_data(study: Study) -> dict[str, Any]:
    """Return what follows from *study* for machines; unknown is null with a reason beside it."""
    figures = figures_of(study)
    claims = claim_table(study, figures)
    advice = recommendation(study, figures, claims)
    best = figures.best
    return {
        "schema": SCHEMA,
        "target": study.target,
        "clock": study.clock.value,
        "rates": {"policy": study.policy.value, "from": study.rates_from, "tuned_here": study.tuned_here},
        "sizes": [_row_data(row) for row in figures.rows],
        "runs": [_run_data(run) for run in study.runs],
        "law": None
        if figures.law is None
        else {
            "fewest_examples": _bounds(figures.law.fewest_examples),
            "fewest_steps": _bounds(figures.law.fewest_steps),
            "critical_batch": _bounds(figures.law.critical_batch),
            "r_squared": figures.law.r_squared,
        },
        "no_law": figures.no_law or None,
        "half_saturation": None if figures.scaling is None else _bounds(figures.scaling.half_saturation),
        "best_batch": None
        if best is None
        else {"size": _bounds(best.size), "within_a_tenth": [best.low, best.high], "seconds": best.seconds},
        "claims": [
            {
                "key": claim.key.value,
                "heading": claim.heading,
                "claim": claim.claim,
                "standing": claim.standing.value,
                "sentence": claim.sentence,
                "figures": list(claim.figures),
                "settles": claim.settles,
            }
            for claim in claims
        ],
        "recommendation": {"sentence": advice.sentence, "reasons": list(advice.reasons)},
        "measured_on": measured_on(study),
        "command": study.command or None,
    }


def study_markdown(study: Study) -> str:
    """Return *study* as Markdown, all text from outside escaped."""
    figures = figures_of(study)
    claims = claim_table(study, figures)
    lines = [f"{markdown(text)}  " for text in about(study)]
    columns = size_columns(figures)
    lines += ["", *table_head(columns)]
    for row in figures.rows:
        shown = size_cells(row)
        lines.append(table_row(shown[column.key].text for column in columns))
    lines += ["", *(f"{markdown(text)}  " for text in (*legend(study, figures), *laws(study, figures)))]
    lines += ["", *(f"{markdown(text)}  " for text in behind(study)), ""]
    for heading, group in groupby(claims, key=lambda claim: claim.heading):
        lines += [f"### {heading}", "", "| claim | verdict | figures | what would settle it |", "|---|---|---|---|"]
        lines += [_claim_row(claim) for claim in group]
        lines.append("")
    lines += [*_advice(recommendation(study, figures, claims)), ""]
    return "\n".join(lines)


def study_document(study: Study, *, file: str) -> str:
    """Return *study* as a document of its own in Markdown; *file* is its name, as the user wrote it."""
    where = ", ".join(map(markdown, filter(None, (study.command, study.started_at[:10], file))))
    return f"# sdbatch study\n\n{where}\n\n{study_markdown(study)}"


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


def _claim_lines(claim: Claim, width: int) -> Iterator[Any]:
    from rich.text import Text

    for line in _wrapped(claim.claim, width, indent="  "):
        yield Text(line)
    words = f"{claim.standing.value}: {claim.sentence}"
    for number, line in enumerate(_wrapped(words, width, indent="    ")):
        text = Text(line)
        if not number:
            text.stylize(f"bold {_STYLES[claim.standing]}", 4, 4 + len(claim.standing.value))
        yield text
    for figure in (*claim.figures, f"what would settle it: {claim.settles}"):
        for line in _wrapped(figure, width, indent="      "):
            yield Text(line, "dim")


def _claim_row(claim: Claim) -> str:
    figures = "<br>".join(map(markdown, claim.figures))
    verdict = f"**{claim.standing.value}**: {markdown(claim.sentence)}"
    return f"| {markdown(claim.claim)} | {verdict} | {figures} | {markdown(claim.settles)} |"


def _advice(advice: Recommendation) -> Iterator[str]:
    yield f"**Recommended: {markdown(advice.sentence)}**"
    yield ""
    yield from (f"- {markdown(text)}" for text in advice.reasons)


def _row_data(row: SizeRow) -> dict[str, Any]:
    return {
        "batch_size": row.batch_size,
        "batch_count": row.batch_count,
        "rate": row.rate,
        "runs": row.runs,
        "reached": row.reached,
        "diverged": row.diverged,
        "best_loss": row.best_loss,
        "steps": _bounds(row.steps),
        "examples": _bounds(row.examples),
        "seconds": _bounds(row.seconds),
        "step_s": row.step_s,
        "examples_per_s": row.examples_per_s,
        "gap": row.gap,
        "peak_bytes": row.peak_bytes,
        "peak_bytes_by_phase": None if row.memory is None else dict(row.memory.phase_bytes),
        "peak_measure": None if row.memory is None else row.memory.measure,
        "joules_per_example": row.joules_per_example.value,
        "joules_reason": row.joules_per_example.reason,
        "accuracy": row.accuracy.value,
        "accuracy_reason": row.accuracy.reason,
        "frechet": row.frechet.value,
        "frechet_reason": row.frechet.reason,
    }


def _run_data(run: TrainingRun) -> dict[str, Any]:
    last = run.evaluations[-1]
    return {
        "name": run.name,
        "outcome": run.end.value,
        "reason": run.reason,
        "steps": last.steps,
        "examples": last.examples,
        "seconds": last.seconds,
        "held_out_loss": last.held_out_loss,
        "fall_of_ln_loss_per_s": convergence_rate(run.evaluations, lambda found: found.seconds),
        "fall_of_ln_loss_per_example": convergence_rate(run.evaluations, lambda found: found.examples),
    }


def _bounds(bounds: Bounds | None) -> dict[str, float | None] | None:
    return None if bounds is None else {"estimate": bounds.estimate, "low": bounds.low, "high": bounds.high}


def _wrapped(text: str, width: int, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        plain(text),
        max(width, 20 + len(indent)),
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
    )
