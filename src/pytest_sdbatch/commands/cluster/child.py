"""A process that measures, collects or compares on a node: it ends with the one that started it, however that ended."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.commands import one_process
from pytest_sdbatch.commands.cluster.collecting import Collector
from pytest_sdbatch.commands.sweep import run_pytest
from pytest_sdbatch.commands.tied import tie

if TYPE_CHECKING:
    from pytest_sdbatch.commands.ab.command_line import Given
    from pytest_sdbatch.commands.cluster.machines import Task

_COLLECTS, _MEASURES, _COMPARES = "collect", "measure", "compare"
TIDY_S, _TOLD_AGAIN_S = 10.0, 2.0  # for one that compares, when nobody is left who would know
SAYS = "sdbatch: "  # how a line begins that is for the reader at once


def command(run_file: Path, task: Task) -> list[str]:
    """Return the command of *task*, which writes what comes of it to *run_file* and beside it."""
    what = _COMPARES if task.compares is not None else _COLLECTS if task.names is None else _MEASURES
    return [sys.executable, "-P", "-m", __name__, what, str(run_file), *task.arguments]


def give(run_file: Path, given: Given, *, begun_s: float) -> None:
    """Leave the process that compares, and writes beside *run_file*, what it is *given*.

    Args:
        run_file: of that process.
        given: the command line.
        begun_s: ``time.monotonic()``, one clock for all processes, from which its minutes are counted.

    """
    _given_of(run_file).write_bytes(pickle.dumps((given, begun_s)))


def _given_of(run_file: Path) -> Path:
    return run_file.with_suffix(".given")


def comparison_of(run_file: Path) -> Path:
    """Return where a process that compares says what came of it: a pickled object of this package's classes."""
    return run_file.with_suffix(".comparison")


def journals_of(run_file: Path) -> Path:
    """Return the folder of the journal of the process that writes *run_file*."""
    return run_file.with_suffix(".journals")


def plan_of(run_file: Path) -> Path:
    """Return where the process that collects for *run_file* says what it knows of the cases beside the run."""
    return run_file.with_suffix(".plan")


def main(what: str, path: str, arguments: Sequence[str]) -> int:
    """Do *what*: run pytest with *arguments*, whose run file is *path*, or compare."""
    # A job in the background of a shell ignores it, a cluster's own processes may block it, and so would this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    run_file = Path(path)
    if what == _COMPARES:
        return _compare(run_file, tie(partial(_tidy_up, run_file)))
    tie()
    if what == _COLLECTS:
        return run_pytest([*arguments, "--collect-only", "-q"], Collector(run_file, plan_of(run_file)))
    return one_process.main(path, arguments, journals=journals_of(run_file))


def _compare(run_file: Path, pipe: int) -> int:
    from pytest_sdbatch.commands.cluster.comparing import compare_here

    given, begun_s = pickle.loads(_given_of(run_file).read_bytes())
    came = compare_here(given, begun_s)
    comparison_of(run_file).write_bytes(pickle.dumps(came))
    if select.select([pipe], [], [], 0)[0]:  # it has ended: nobody is left who would remove this
        shutil.rmtree(run_file.parent, ignore_errors=True)
    return 0


def _tidy_up(run_file: Path) -> None:
    """Let a comparison end: what it has started are groups of their own. Told twice it kills them, and tidies up."""
    for wait_s in (_TOLD_AGAIN_S, TIDY_S - _TOLD_AGAIN_S):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(wait_s)
    shutil.rmtree(run_file.parent, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
