"""Runs that are stored for later comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_sdbatch.analysis.baseline import why_unfit
from pytest_sdbatch.analysis.comparable import Weight, facts_of, moved
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage.exclusive import check_target
from pytest_sdbatch.storage.run_file import read_run_file, write_run


def save_baseline(path: Path, runs: Sequence[Run], *, anyway: bool, doubt: str | None = None) -> str:
    """Write *runs* to *path* and return a line that says so.

    Args:
        path: a file that does not exist; missing folders are made.
        runs: one or more, each of a process of its own.
        anyway: whether runs that are no good baseline are stored all the same.
        doubt: why they are none, besides what they say themselves.

    Raises:
        RunFileError: where the file cannot be written, a run is no baseline and not to be stored anyway, or the runs
            are not of one place.

    """
    first = facts_of(runs[0].environment)
    apart = [str(f) for run in runs for f in moved(first, facts_of(run.environment)) if f.weight is Weight.MUST_MATCH]
    if apart:
        raise RunFileError(f"{path} was not written", why=f"its runs cannot be compared with each other: {apart[0]}")
    reasons = [doubt] if doubt is not None else []
    reasons += [
        reason if len(runs) == 1 else f"run {number} of {len(runs)}: {reason}"
        for number, run in enumerate(runs, start=1)
        if (reason := why_unfit(run)) is not None
    ]
    mend = "mend what is marked in the table and run again; --sd-report keeps any run"
    if len(runs) == 1 and runs[0].interrupted:
        mend = "go on with it by --sd-resume"
    if reasons and not anyway:
        raise RunFileError(
            f"{path} was not written",
            why="; ".join(reasons),
            fix=f"{mend}; -o sd_save_anyway=yes stores it all the same",
        )
    known = f" (no good one: {'; '.join(reasons)})" if reasons else ""
    return f"baseline: {write_run(path, runs, create_parents=True)}{known}"


def check_new_baseline(path: Path) -> None:
    """Refuse what :func:`save_baseline` could not write at *path*, before anything is measured.

    Raises:
        RunFileError: for one that is there says how it is renewed.

    """
    if path.is_file() and not path.is_symlink():
        raise RunFileError(
            f"{path} exists",
            why="a baseline is never written over",
            fix=f"to renew it remove it first, git rm {path} where it is committed, else rm; or give another name",
        )
    check_target(path, create_parents=True)


def recorded_seconds(paths: Iterable[Path]) -> tuple[dict[str, float], list[str]]:
    """Return what each case took when a run in the files *paths* last measured it, by case id, and what was not read.

    In seconds: what was timed, warm-up, and the round that reads memory.
    """
    runs: list[Run] = []
    unreadable: list[str] = []
    for path in paths:
        try:
            runs += read_run_file(path)
        except RunFileError as error:
            unreadable.append(f"not used for times: {error}")
    latest_last = sorted(runs, key=lambda run: run.started_at)
    seconds = {
        record.case.id: record.untimed_s + sum(round_.wall_s for round_ in record.rounds)
        for run in latest_last
        for record in run.records
        if record.rounds
    }
    return seconds, unreadable
