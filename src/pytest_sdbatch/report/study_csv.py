"""A learning study as comma-separated values: a line for each evaluation of each run."""

from __future__ import annotations

from pytest_sdbatch.analysis.learning_curve import Evaluation
from pytest_sdbatch.analysis.learning_runs import Study, TrainingRun
from pytest_sdbatch.report.csv_table import Value, comma_separated


def study_csv(study: Study, *, file: str) -> str:
    """Return every evaluation of *study*; *file* is its name, as the user wrote it."""
    lines = [_line(study, run, found, file) for run in study.runs for found in run.evaluations]
    return comma_separated(list(lines[0]), lines)


def _line(study: Study, run: TrainingRun, found: Evaluation, file: str) -> dict[str, Value]:
    size = found.batch_size or run.batch_size
    count = found.batch_count or run.batch_count or study.data.batches_of(size)
    return {
        "file": file,
        "run": run.name,
        "started_at": study.started_at,
        "test": "sdbatch study",
        "case": f"b{size}x{count}",
        "part": run.part.value,
        "data": run.data,
        "batch_size": size,
        "batch_count": count,
        "seed": run.seed,
        "first_rate": run.rate,
        "end": run.end.value,
        "steps": found.steps,
        "examples": found.examples,
        "seconds": found.seconds,
        "wall_s": found.wall_s,
        "held_out_loss": found.held_out_loss,
        "train_loss": found.train_loss,
    }
