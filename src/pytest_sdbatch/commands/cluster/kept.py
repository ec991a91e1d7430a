"""What a sweep on a cluster keeps on the disk: what was planned, and the run of each group as soon as it came.

``.sdbatch/sweep-TIME/`` beside the journals, for ``--sd-resume``. The nodes keep no result.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pytest_sdbatch.analysis.comparable import differing
from pytest_sdbatch.analysis.limits import has_to_be_measured_again
from pytest_sdbatch.commands.cluster.errors import ClusterError
from pytest_sdbatch.commands.cluster.groups import Curve, curve_of
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.options import TABLE
from pytest_sdbatch.records import Fact, Outcome, Record, Run
from pytest_sdbatch.session import run_id
from pytest_sdbatch.storage.exclusive import failure, open_to_append, place_new
from pytest_sdbatch.storage.journal import FOLDER, Stored, is_live, lock, make_folder, read_journal
from pytest_sdbatch.storage.resume import check_same_options, is_settled
from pytest_sdbatch.storage.run_file import read_run_file, runs_in, write_run

_KEPT = 5  # sweeps whose files are kept, the newest included
_PLAN, _ASKED, _WHOLE = "cases.json", "asked.json", "whole"
_PREFIX = "sweep-"
# Of where it was planned: what must be as it was, on whatever node. A node's device and system are facts of its runs.
_SAME = ("commit", "torch", "diffusers", "transformers", "pytest-sdbatch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A sweep that did not come to its end."""

    plan: Run  # its cases, none of them measured
    runs: tuple[Run, ...]  # of the groups that came


class Kept:
    """The files of one sweep, in a folder of its own."""

    def __init__(self, folder: Path, asked: int) -> None:
        self.folder = folder
        self._asked: int | None = asked  # open, and locked, for as long as the sweep goes on

    @classmethod
    def begin(cls, root: Path, plan: Run, old: Sequence[Run] = (), *, selection: str) -> Kept:
        """Make the folder, and remove those of old sweeps.

        Args:
            root: of the project.
            plan: the cases, none of them measured.
            old: runs of an earlier sweep that this one goes on with.
            selection: which tests were asked for, as text; only the same may go on with them.

        Raises:
            ClusterError: where it cannot be made.
            RunFileError: where the disk is full. Then the earlier sweep is still the last one.

        """
        parent = root / FOLDER
        try:
            make_folder(parent)
            folder = parent / f"{_PREFIX}{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
            folder.mkdir()
        except OSError as error:
            raise ClusterError(f"{parent}: no files can be written there", why=str(error.strerror)) from None
        try:
            asked = _fill(folder, plan, old, selection)
        except BaseException:  # Ctrl-C, too
            shutil.rmtree(folder, ignore_errors=True)
            raise
        for other in sorted(parent.glob(f"{_PREFIX}*"))[:-_KEPT]:
            if not is_live(other / _ASKED):
                shutil.rmtree(other, ignore_errors=True)
        return cls(folder, asked)

    def add(self, run: Run, *, said: str = "") -> None:
        """Keep *run*, and beside it what its process *said* last.

        Raises:
            RunFileError: where the disk is full, or not there.

        """
        path = _write(self.folder, run)
        if said:
            log = path.with_suffix(".log")
            try:
                log.write_text(f"{said}\n", encoding="utf-8")
            except OSError as error:
                raise failure(log, error) from None

    def read_run(self, data: bytes) -> Run:
        """Return the run of a process that handed in *data*.

        Raises:
            RunFileError: for what is no run file of one run.

        """
        runs = runs_in(data, "the file")
        if len(runs) != 1:
            raise RunFileError(f"{len(runs)} runs came of one process")
        return runs[0]

    def read_journal(self, data: bytes) -> Run | None:
        """Return the run of a process that died, of which the journal is *data*; None: it had finished no case.

        Raises:
            RunFileError: for a journal that is damaged, or cannot be put on the disk.

        """
        path = self.folder / "arrived"
        try:
            path.write_bytes(data)
        except OSError as error:
            raise failure(path, error) from None
        found: Stored | None = read_journal(path)
        if found is None or not found.entries:
            return None
        last = {entry.record.key: entry.record for entry in found.entries}
        return replace(found.run, records=tuple(last.values()))

    def end(self, *, whole: bool) -> None:
        """Say whether every group has its outcome: then nothing is to go on with. This process is done with it."""
        with contextlib.suppress(OSError):  # it is measured anew where nobody can say that it is whole
            (self.folder / "arrived").unlink(missing_ok=True)
            if whole:
                (self.folder / _WHOLE).touch()
        if self._asked is not None:
            os.close(self._asked)
            self._asked = None


def earlier(root: Path, *, selection: str) -> Earlier | str:
    """Return the last sweep that was asked for the same tests, or in words why there is nothing to go on with.

    Raises:
        RunFileError: for a file of it that cannot be believed, or a sweep that still goes on.

    """
    found = [folder for folder in sorted((root / FOLDER).glob(f"{_PREFIX}*"), reverse=True) if _is_begun(folder)]
    same = next((folder for folder in found if _selection(folder) == selection), None)
    if same is None:
        return "no sweep of these tests was begun here" if found else "no sweep was begun here"
    if is_live(same / _ASKED):
        raise RunFileError(
            f"{same} cannot be resumed", why="its sweep has not ended", fix="wait for it, or leave --sd-resume out"
        )
    if (same / _WHOLE).exists():
        return "the last sweep of these tests ended whole"
    (plan,) = read_run_file(same / _PLAN)
    names = sorted(path for path in same.glob("*.json") if path.name not in (_PLAN, _ASKED))
    return Earlier(plan=plan, runs=tuple(run for path in names for run in read_run_file(path)))


def check_same(then: Run, now: Run) -> None:
    """Refuse to go on with the sweep that was planned as *then* where another one is planned *now*.

    Raises:
        RunFileError: names what moved, with both values.

    """
    measuring = {row.name for row in TABLE if row.group == "measure"}
    options = ({name: text for name, text in run.options.items() if name in measuring} for run in (then, now))
    check_same_options(then, *options)
    for key, before, after in differing(code_of(then), code_of(now)):
        raise RunFileError(
            f"--sd-resume: {key} was {before} and is {after}",
            why=f"the groups of the sweep of {then.started_at} cannot stand beside new ones",
            fix="put it back, or leave --sd-resume out: all cases are measured anew",
        )


def settled(runs: Sequence[Run], plan: Run, limits: Mapping[str, float], now: datetime) -> tuple[Run, ...]:
    """Return what of *runs* needs no second measurement; a run that loses a case goes on under a new id.

    A curve over batch size is kept whole or not at all: its figures are for comparing, so they are of one process.

    Args:
        runs: of an earlier sweep.
        plan: every case of now; what is not among them any more is left out.
        limits: what each metric must keep now: a case that does not is measured again.
        now: when they are taken over.

    """
    planned: dict[Curve, set[str]] = {}
    for one in plan.records:
        planned.setdefault(curve_of(one), set()).add(one.case.id)
    found = []
    for run in runs:
        curves: dict[Curve, list[Record]] = {}
        there = [one for one in run.records if one.case.id in planned.get(curve_of(one), ())]
        for one in there:
            curves.setdefault(curve_of(one), []).append(one)
        whole = {
            curve
            for curve, members in curves.items()
            if {one.case.id for one in members} == planned[curve] and _is_settled(members, limits)
        }
        records = tuple(one for one in there if curve_of(one) in whole)
        if len(records) == len(run.records):
            found.append(run)
        elif records:
            found.append(replace(run, id=run_id(now), records=records, resumed_from=run.id))
    return tuple(found)


def _is_settled(curve: Sequence[Record], limits: Mapping[str, float]) -> bool:
    """Return whether no case of *curve* is measured again; one that was not tried, because less did not fit, is not."""
    is_full = any(one.outcome.did_not_fit for one in curve)
    return all(
        (is_settled(one) or (is_full and one.outcome is Outcome.SKIPPED)) and not has_to_be_measured_again(one, limits)
        for one in curve
    )


def may_differ(then: Run, now: Run) -> str:
    """Return, in words, why the code of two plans may differ although nothing says that it does; no text: it does not.

    A commit tells it only where nothing was changed since.
    """
    for plan in (then, now):
        shown = plan.environment.shown
        if shown.get("commit") is None or shown.get("dirty") is not False:
            return "there are changes that are not committed: the kept cases may have run other code"
    return ""


def code_of(run: Run) -> Mapping[str, Fact]:
    """Return which code *run* measured: the commit and the versions, as far as nodes of one cluster must have the same.

    A build for another device is the same code, and a Python with another last part of its number is the same Python.
    """
    known = {**run.environment.shown, **run.environment.drift}
    code = {key: text.partition("+")[0] if isinstance(text := known.get(key), str) else text for key in _SAME}
    python = known.get("python")
    return {**code, "python": python.rpartition(".")[0] if isinstance(python, str) else None}


def _fill(folder: Path, plan: Run, old: Sequence[Run], selection: str) -> int:
    """Write what a sweep begins with, and return the file that it holds open, locked.

    That file is last: by it the folder counts as a sweep, which then has all that the one before it had.
    """
    write_run(folder / _PLAN, [plan])
    for run in old:
        _write(folder, run)
    path = folder / _ASKED
    try:
        place_new(path, json.dumps({"selection": selection}).encode())
        asked = open_to_append(path)
    except OSError as error:
        raise failure(path, error) from None
    lock(asked)
    return asked


def _write(folder: Path, run: Run) -> Path:
    return write_run(folder / f"{run.id}.json", [run])


def _is_begun(folder: Path) -> bool:
    """Return whether all that a sweep begins with is there; a process that was killed may have left a part of it."""
    return (folder / _PLAN).exists() and (folder / _ASKED).exists()


def _selection(folder: Path) -> str | None:
    try:
        told = json.loads((folder / _ASKED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return told.get("selection") if isinstance(told, dict) else None
