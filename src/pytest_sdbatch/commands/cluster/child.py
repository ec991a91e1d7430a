"""A process that measures, collects or compares on a node: it ends with the one that started it, however that ended."""

from __future__ import annotations

import os
import pickle
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch.commands import one_process
from pytest_sdbatch.commands.cluster.collecting import Collector
from pytest_sdbatch.commands.sweep import run_pytest

if TYPE_CHECKING:
    from pytest_sdbatch.commands.ab.command_line import Given
    from pytest_sdbatch.commands.cluster.machines import Task

_COLLECTS, _MEASURES, _COMPARES = "collect", "measure", "compare"
TIDY_S = 10.0  # for one that compares, when nobody is left who would know
SAYS = "sdbatch: "  # how a line begins that is for the reader at once


def command(run_file: Path, task: Task) -> list[str]:
    """Return the command of *task*, which writes what comes of it to *run_file* and beside it."""
    what = _COMPARES if task.compares is not None else _COLLECTS if task.names is None else _MEASURES
    return [sys.executable, "-P", "-m", __name__, what, str(run_file), *task.arguments]


def give(run_file: Path, given: Given) -> None:
    """Leave the process that compares, and writes beside *run_file*, what it is *given*."""
    _given_of(run_file).write_bytes(pickle.dumps(given))


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
    run_file, pipe = Path(path), _taken_from_input()
    threading.Thread(target=_end_with, args=(pipe, what, run_file), daemon=True).start()
    if what == _COMPARES:
        return _compare(run_file, pipe)
    if what == _COLLECTS:
        return run_pytest([*arguments, "--collect-only", "-q"], Collector(run_file, plan_of(run_file)))
    return one_process.main(path, arguments, journals=journals_of(run_file))


def _compare(run_file: Path, pipe: int) -> int:
    from pytest_sdbatch.commands.cluster.comparing import compare_here

    came = compare_here(pickle.loads(_given_of(run_file).read_bytes()))
    comparison_of(run_file).write_bytes(pickle.dumps(came))
    if select.select([pipe], [], [], 0)[0]:  # it has ended: nobody is left who would remove this
        shutil.rmtree(run_file.parent, ignore_errors=True)
    return 0


def _taken_from_input() -> int:
    """Return the pipe that is the input of this process, and leave it one that has ended: a benchmark may read it."""
    pipe, nothing = os.dup(sys.stdin.fileno()), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    return pipe


def _end_with(pipe: int, what: str, run_file: Path) -> None:
    """End this process, and what it has started, when nobody is left who holds the other end of *pipe*.

    Its parent may be killed without a word, and with it goes whoever waited for the result.
    """
    os.read(pipe, 1)
    if what == _COMPARES:  # what it has started are groups of their own: told twice it kills them, and tidies up
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(TIDY_S / 2)
        shutil.rmtree(run_file.parent, ignore_errors=True)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # it leads its group
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
