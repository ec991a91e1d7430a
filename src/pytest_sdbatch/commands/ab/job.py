"""The command: both sides made ready, pairs run, the verdicts shown, written and returned as an exit status."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.ab import command_line
from pytest_sdbatch.commands.ab.command_line import Given
from pytest_sdbatch.commands.ab.errors import NoComparison, WrongCommandLine
from pytest_sdbatch.commands.children import stopped_by_signals
from pytest_sdbatch.commands.outlets import give_out, refuse
from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.ab import Acceptance
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.commands.ab.pairs import PairRunner
    from pytest_sdbatch.commands.ab.process import Collected
    from pytest_sdbatch.commands.ab.sides import Sides

_KEPT = 5  # jobs whose files are kept, the newest included


def ab(words: Sequence[str]) -> int:
    """Run the command and return its exit status."""
    given = command_line.read(words)
    begun_s = time.monotonic()
    say = Say(to_stderr=given.outlets.as_json)
    try:
        with stopped_by_signals():
            result = _result(given, say, begun_s)
    except KeyboardInterrupt:
        return refuse(SdbatchError("stopped before a pair was run"), given.outlets, status=ExitStatus.STOPPED)
    except SdbatchError as error:
        status = ExitStatus.USAGE if isinstance(error, WrongCommandLine) else ExitStatus.NOT_COMPARED
        return refuse(error, given.outlets, status=status)
    return give_out(
        result.comparison,
        given.outlets,
        lines=result.lines,
        invalid=result.invalid,
        interrupted=result.interrupted,
        report_only=given.report_only,
        fail_on=given.fail_on,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What a job came to."""

    comparison: Comparison
    lines: tuple[str, ...]  # what the reader should know beside the verdicts
    interrupted: bool
    invalid: str | None


class Say:
    """Prints lines of progress.

    Args:
        to_stderr: leaves standard output to machines.

    """

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr

    def __call__(self, text: str) -> None:
        """Print *text* as what this command says."""
        print(f"sdbatch: {text}", file=sys.stderr if self._to_stderr else sys.stdout, flush=True)


def _result(given: Given, say: Say, begun_s: float) -> JobResult:
    if given.on is None:
        return compare(given, say, begun_s)
    from pytest_sdbatch.commands.cluster.comparing import compare_on

    return compare_on(given, say=say, begun_s=begun_s)


def compare(given: Given, say: Say, begun_s: float) -> JobResult:
    """Compare, on this machine.

    Args:
        given: the command line.
        say: prints a line of progress.
        begun_s: ``time.monotonic()`` from which its minutes are counted.

    Raises:
        SdbatchError: where nothing can be compared.
        KeyboardInterrupt: if this process is told to stop before a pair was run.

    """
    from pytest_sdbatch.analysis.ab import accept, compare_pairs
    from pytest_sdbatch.analysis.outcomes import invalid_environment
    from pytest_sdbatch.commands.ab.budgets import budget_lines, config_for
    from pytest_sdbatch.commands.ab.one_side import code_of_this_process
    from pytest_sdbatch.commands.ab.pairs import PairRunner

    deadline_s = None if given.minutes is None else begun_s + 60 * given.minutes
    with _sides(given, say, deadline_s) as sides:
        folder = folder_for(sides.collected.root)
        say(plan_of(sides.collected, minutes=given.minutes))
        runner = PairRunner(
            sides,
            given.arguments,
            folder=folder,
            plugin=code_of_this_process((folder,), ()),
            deadline_s=deadline_s,
            fixed_steps=given.fixes_steps,
            say=say,
        )
        config = config_for(given, sides.collected.budgets)
        own = None if sides.bases_own is None else sides.bases_own.budgets
        allowed = tuple(budget_lines(given, sides.collected.budgets, own))
        try:
            comparison = compare_pairs(runner.more, config, left_out=lambda: runner.undone, lost=sides.lost)
            _check_pairs(comparison, runner)
        except SdbatchError:
            say(_where(folder))
            raise
    comparison, idle = accept(comparison, given.accept)
    invalid = invalid_environment(side for case in comparison.cases for side in (case.base, case.candidate))
    return JobResult(
        comparison=comparison,
        lines=(*allowed, *_lines(runner, idle, folder, invalid)),
        interrupted=runner.interrupted,
        invalid=invalid,
    )


def _check_pairs(comparison: Comparison, runner: PairRunner) -> None:
    """Refuse to call it a comparison where not one pair was run: each verdict would be empty, and the job green."""
    if comparison.pairs:
        return
    if runner.interrupted:
        raise KeyboardInterrupt
    raise NoComparison(
        "the time was over before a pair was run, so nothing was compared",
        why=f"{runner.hung} when it was over" if runner.hung else "",
        fix="give it more --minutes, or fewer cases",
    )


@contextmanager
def _sides(given: Given, say: Say, deadline_s: float | None) -> Iterator[Sides]:
    from pytest_sdbatch.commands.ab.sides import commits, environments

    if given.base is not None:
        made = commits(given.base, given.arguments, setup=given.setup, say=say, until_s=deadline_s)
    else:
        made = environments(given.base_python or "", given.arguments, until_s=deadline_s)
    with made as sides:
        yield sides


def folder_for(root: Path) -> Path:
    """Make the folder of this job's files, beside the journals, and remove those of old jobs."""
    from pytest_sdbatch.storage.journal import FOLDER

    folder = root / FOLDER / f"ab-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    make_room(folder)
    return folder


def make_room(folder: Path) -> None:
    """Make the *folder* of a job's files, and remove those of old jobs beside it.

    Raises:
        NoComparison: where it cannot be made.

    """
    from pytest_sdbatch.storage.journal import make_folder

    try:
        make_folder(folder.parent)
        folder.mkdir()
    except OSError as error:
        raise NoComparison(f"{folder.parent}: no files can be written there", why=str(error.strerror)) from None
    for old in sorted(folder.parent.glob("ab-*"))[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def plan_of(collected: Collected, *, minutes: float | None) -> str:
    """Return what will be run, and how long it takes as far as that is known before anything ran.

    Args:
        collected: the candidate's benchmarks.
        minutes: within which the job is to end; None: when it is done.

    """
    from pytest_sdbatch.commands.ab.schedule import CaseCost, Cost

    cases = collected.cases
    known = {name: CaseCost(rounds=1, round_s=took_s) for name, took_s in cases.items() if took_s is not None}
    limit_s = None if minutes is None else 60 * minutes
    takes = "how long it takes is known after the first pair"
    if len(known) == len(cases):
        takes = f"by stored runs {Cost(own_s=collected.took_s, cases=known).told(limit_s)}, without what loading takes"
    elif limit_s is not None:
        takes += f"; it ends within {units.duration(limit_s)}"
    pairs = "2 pairs of all, up to 8 more of those that look slower, 4 of those that look faster"
    return f"{units.count(len(cases), 'case')}: {pairs}; {takes}"


def _lines(runner: PairRunner, idle: Sequence[Acceptance], folder: Path, invalid: str | None) -> Iterator[str]:
    if invalid is not None:
        yield invalid
    if runner.interrupted:
        yield "it was stopped: what had not been decided by then is inconclusive"
    if runner.hung is not None:
        yield f"{runner.hung} when the time was over"
    if runner.out_of_time:
        yield "there was no time for more pairs: what had not been decided by then is inconclusive"
    if runner.undone and runner.whole_s is not None:
        yield f"{units.count(len(runner.undone), 'case')} left out: all would take {units.duration(runner.whole_s)}"
    if runner.gave_up is not None:
        yield f"{runner.gave_up}: what had not been decided by then is inconclusive"
    for acceptance in idle:
        yield f"--accept {acceptance.what}: nothing that regressed is called so"
    yield _where(folder)


def _where(folder: Path) -> str:
    # Also where it lies above: of a job on a node the caller has it at the same place of another folder.
    return f"runs and outputs: {os.path.relpath(folder)}"
