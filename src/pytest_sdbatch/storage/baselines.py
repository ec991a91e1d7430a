"""Runs that are stored for later comparisons, and the folder that they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_sdbatch.analysis.baseline import why_unfit, without_verdict
from pytest_sdbatch.analysis.comparable import Weight, facts_of, moved
from pytest_sdbatch.errors import RunFileError, UnfitError
from pytest_sdbatch.records import Run
from pytest_sdbatch.storage.exclusive import check_target, read_whole
from pytest_sdbatch.storage.run_file import MOST_BYTES, runs_in, write_run


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What is stored as a baseline: a run file."""

    data: bytes
    file: str  # where it was read, for messages


class Baselines(Protocol):
    """Where baselines lie: a folder, or a store. Each has a key, as :func:`pytest_sdbatch.storage.names.baseline_key`.

    Every method raises RunFileError for what cannot be read or written, with the path or the URL in it.
    """

    def where(self, key: str) -> str:
        """Return the path or the URL of *key*, a baseline's or the name before its slash, for messages."""

    def stored(self, name: str | None = None) -> list[str]:
        """Return the keys of the baselines of all devices, sorted: those of a *name*, or all."""

    def read(self, key: str) -> Content | None:
        """Return what is stored under *key*; None: nothing is."""

    def check_new(self, key: str) -> None:
        """Refuse what :meth:`write` could not write, before anything is measured."""

    def write(self, key: str, runs: Sequence[Run]) -> str:
        """Store *runs* under *key*, and return where they are, for a line that says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineFolder:
    """Baselines in a folder: run files, none of which is ever written over."""

    path: Path

    def where(self, key: str) -> str:
        """Return the path of *key*."""
        return str(self.path / key)

    def stored(self, name: str | None = None) -> list[str]:
        """Return the keys of what lies there, as :class:`Baselines` has it."""
        return [file.relative_to(self.path).as_posix() for file in sorted(self.path.glob(f"{name or '*'}/*.json"))]

    def read(self, key: str) -> Content | None:
        """Return the content of the file of *key*; None: there is none."""
        path = self.path / key
        return Content(data=read_whole(path, most_bytes=MOST_BYTES), file=str(path)) if path.exists() else None

    def check_new(self, key: str) -> None:
        """Refuse a file that is there, or cannot be made.

        Raises:
            RunFileError: for one that is there says how it is renewed.

        """
        path = self.path / key
        if path.is_file() and not path.is_symlink():
            raise RunFileError(
                f"{path} exists",
                why="a baseline is never written over",
                fix=f"to renew it remove it first, git rm {path} where it is committed, else rm; or give another name",
            )
        check_target(path, create_parents=True)

    def write(self, key: str, runs: Sequence[Run]) -> str:
        """Write *runs* to the new file of *key*, whose folders are made, and return its path."""
        return str(write_run(self.path / key, runs, create_parents=True))


def save_baseline(
    baselines: Baselines, key: str, runs: Sequence[Run], *, anyway: bool, doubt: str | None = None
) -> str:
    """Store *runs* under *key* and return a line that says so.

    Args:
        baselines: where.
        key: of the baseline; in a folder nothing must be there.
        runs: one or more, each of a process of its own.
        anyway: whether runs that are no good baseline are stored all the same.
        doubt: why they are none, besides what they say themselves.

    Raises:
        UnfitError: for a run that is no baseline and not to be stored anyway, or runs that are not of one place.
        RunFileError: where they cannot be written.

    """
    where = baselines.where(key)
    first = facts_of(runs[0].environment)
    apart = [str(f) for run in runs for f in moved(first, facts_of(run.environment)) if f.weight is Weight.MUST_MATCH]
    if apart:
        raise UnfitError(f"{where} was not written", why=f"its runs cannot be compared with each other: {apart[0]}")
    reasons = [*([doubt] if doubt is not None else []), *unfit(runs)]
    if reasons and not anyway:
        mend = "mend what is marked in the table, close what else runs, and run again; --sd-report keeps any run"
        if len(runs) == 1 and runs[0].interrupted:
            mend = "go on with it by --sd-resume"
        raise UnfitError(
            f"{where} was not written",
            why="\n".join(reasons),
            fix=f"{mend}; -o sd_save_anyway=yes stores it all the same",
        )
    known = [f"no good one: {'; '.join(reasons)}"] if reasons else []
    if (few := without_verdict(runs)) is not None:
        known.append(few)
    return f"baseline: {baselines.write(key, runs)}" + (f" ({'; '.join(known)})" if known else "")


def unfit(runs: Sequence[Run]) -> list[str]:
    """Return why *runs* together are no good baseline, a reason for each that is none."""
    return [
        reason if len(runs) == 1 else f"run {number} of {len(runs)}: {reason}"
        for number, run in enumerate(runs, start=1)
        if (reason := why_unfit(run)) is not None
    ]


def recorded_seconds(baselines: Baselines, keys: Iterable[str]) -> tuple[dict[str, float], list[str]]:
    """Return what each case took when a run under one of *keys* last measured it, by case id, and what was not read.

    In seconds: what was timed, warm-up, and the round that reads memory.
    """
    runs: list[Run] = []
    unreadable: list[str] = []
    for key in keys:
        try:
            found = baselines.read(key)
            if found is None:
                raise RunFileError(f"{baselines.where(key)} is gone")
            runs += runs_in(found.data, found.file)
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
