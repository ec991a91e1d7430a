"""How the loss fell: against steps, examples and seconds, by batch size, in short epochs, and along the ramp."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pytest_sdbatch import units
from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.analysis.learning_runs import Clock, Part, Study, TrainingRun
from pytest_sdbatch.analysis.study_figures import of_size
from pytest_sdbatch.report.page.figures import Block, Figure, Grid, Look, Mark, Series
from pytest_sdbatch.report.page.markup import Section
from pytest_sdbatch.report.study_words import ramp_end

MOST_SEEDS = 5  # of a size that are drawn: more lie on each other
MOST_POINTS = 20_000  # of all lines of a figure
_Read = Callable[[Evaluation], float]
_LOSS = "held-out loss"


def losses(study: Study) -> Section:
    """Show the held-out loss against what it took."""
    runs = (*study.of(Part.TABLE), *study.of(Part.RAMP))
    figures: list[Block] = [
        _falling(study, runs, title=title, x=x, read=read)
        for title, x, read in (
            ("Against examples", "examples", _examples),
            ("Against steps", "optimizer steps", _steps),
            ("Against seconds", seconds_label(study), _seconds),
        )
    ]
    return Section(
        id="loss",
        title="How the loss fell",
        lead=(
            "The loss on held-out images, judged by the same noise for all. One line is one run: the further left it"
            " reaches the target, the better."
        ),
        blocks=(tuple(figures),),
        none="No run has an evaluation behind its first step.",
    )


def batch_count(study: Study) -> Section:
    """Show what short epochs of few batches did, beside epochs of all the data at the same size."""
    short = study.of(Part.COUNT)
    size = short[0].batch_size if short else 0
    whole = of_size(study.of(Part.TABLE), size)
    blocks: tuple[Block, ...] = ()
    if short and whole:
        full, few = study.data.batches_of(size), short[0].batch_count or 0

        def epochs(found: Evaluation) -> float:
            return found.steps / (full if found.batch_count is None else found.batch_count)

        names = {run.batch_count: f"count {run.batch_count or full}" for run in (*whole, *short)}
        parts = [(names[run.batch_count], k, run) for k, part in enumerate((whole, short)) for run in part]
        blocks = tuple(
            _figure(study, parts, title=title, x=x, read=read)
            for title, x, read in (
                ("Against epochs", f"epochs (of {full} or of {few} batches)", epochs),
                ("Against steps", "optimizer steps", _steps),
            )
        )
    return Section(
        id="count",
        title="What the batch count does",
        lead=(
            f"The same size, {size}, in epochs of different length. An epoch of more batches is more training; after as"
            " many steps the lines tell whether the count itself did anything."
        )
        if blocks
        else "",
        blocks=(blocks,),
        none="No run was made in epochs of fewer batches than the data have.",
    )


def ramp(study: Study) -> Section:
    """Show how size and count were raised."""
    runs = study.of(Part.RAMP)
    blocks: tuple[Block, ...] = ()
    if runs:
        series = [
            Series(
                name=f"seed {run.seed}",
                look=Look.TRACE,
                color=at,
                x=tuple(place for place, _, _ in stairs),
                y=tuple(float(height) for _, height, _ in stairs),
                texts=tuple(text for _, _, text in stairs),
            )
            for at, run in enumerate(runs[:MOST_SEEDS])
            if (stairs := list(_stairs(run)))
        ]
        blocks = (
            Figure(
                title="Batch size along the ramp",
                x="examples",
                y="batch size",
                series=tuple(series),
                by_factors=True,
                points_are="size x count",
                note="; ".join(filter(None, (*map(ramp_end, runs[:MOST_SEEDS]), _left_out(runs)))),
            ),
            Grid(
                title="Stages of the ramp",
                heads=("seed", "from examples on", "batch size", "count", "held-out loss there"),
                lines=tuple(line for run in runs[:MOST_SEEDS] for line in _stages(run)),
            ),
        )
    return Section(
        id="ramp",
        title="The ramp",
        lead="Size and count raised together as the loss fell, from a moderate size and a low count.",
        blocks=(blocks,),
        none="No ramp was run.",
    )


def loss_series(study: Study, parts: Sequence[tuple[str, int, TrainingRun]], read: _Read) -> Iterator[Series]:
    """Yield a line for each run, of those with one name at most MOST_SEEDS, without the time before the first step."""
    drawn: dict[str, int] = {}
    chosen: list[tuple[str, int, TrainingRun]] = []
    for name, color, run in parts:
        drawn[name] = drawn.get(name, 0) + 1
        chosen += [(name, color, run)] if drawn[name] <= MOST_SEEDS else []
    most = max(8, MOST_POINTS // max(len(chosen), 1))
    for name, color, run in chosen:
        points = [(read(found), found.held_out_loss) for found in run.evaluations[1:] if read(found) > 0]
        kept = points[:: -(-len(points) // most)] if points else []
        if kept and kept[-1] != points[-1]:
            kept.append(points[-1])
        if kept:
            ended = "" if run.end is End.REACHED else f", {run.end.value}"
            yield Series(
                name=name,
                look=Look.TRACE,
                color=color,
                x=tuple(x for x, _ in kept),
                y=tuple(y for _, y in kept),
                texts=(f"seed {run.seed}{ended}",) * len(kept),
            )


def seconds_label(study: Study) -> str:
    """Return what the seconds of *study* are, for an axis."""
    return "CPU seconds" if study.clock is Clock.CPU else "seconds"


def _falling(study: Study, runs: Sequence[TrainingRun], *, title: str, x: str, read: _Read) -> Figure:
    colors = {size: at for at, size in enumerate(study.sizes)}
    parts = [
        (f"ramp from {run.batch_size}", len(colors), run)
        if run.part is Part.RAMP
        else (f"batch size {run.batch_size}", colors[run.batch_size], run)
        for run in runs
    ]
    return _figure(study, parts, title=title, x=x, read=read)


def _figure(study: Study, parts: Sequence[tuple[str, int, TrainingRun]], *, title: str, x: str, read: _Read) -> Figure:
    before = [run.evaluations[0].held_out_loss for _, _, run in parts]
    notes = [f"before the first step the loss was {units.number(max(before))}", _left_out([run for _, _, run in parts])]
    return Figure(
        title=title,
        x=x,
        y=_LOSS,
        series=tuple(loss_series(study, parts, read)),
        marks=(Mark(name=f"target {units.number(study.target)}", y=study.target),),
        doubling=True,
        by_factors=True,
        points_are="run",
        note="; ".join(filter(None, notes)),
    )


def _left_out(runs: Sequence[TrainingRun]) -> str:
    seeds = {(run.part, run.batch_size, run.batch_count): 0 for run in runs}
    for run in runs:
        seeds[run.part, run.batch_size, run.batch_count] += 1
    return f"the first {MOST_SEEDS} seeds of each are drawn" if max(seeds.values()) > MOST_SEEDS else ""


def _stairs(run: TrainingRun) -> Iterator[tuple[float, int, str]]:
    """Yield where the size was what, both ends of each step of the stair."""
    before = 0
    for found in run.evaluations[1:]:
        if found.batch_size is not None:
            text = f"{found.batch_size} x {found.batch_count}"
            yield from ((float(before), found.batch_size, text), (float(found.examples), found.batch_size, text))
        before = found.examples


def _stages(run: TrainingRun) -> Iterator[tuple[str, ...]]:
    stage, before = None, run.evaluations[0]
    for found in run.evaluations[1:]:
        here = (found.batch_size, found.batch_count)
        if here != stage and found.batch_size is not None:
            yield (
                str(run.seed),
                units.count(before.examples),
                str(found.batch_size),
                str(found.batch_count),
                units.number(before.held_out_loss),
            )
        stage, before = here, found


def _steps(found: Evaluation) -> float:
    return found.steps


def _examples(found: Evaluation) -> float:
    return found.examples


def _seconds(found: Evaluation) -> float:
    return found.seconds
