"""A process that measures, or collects, on a node: it ends with the one that started it, however that ended."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from pytest_sdbatch.commands import one_process
from pytest_sdbatch.commands.cluster.collecting import Collector
from pytest_sdbatch.commands.sweep import run_pytest

_COLLECTS, _MEASURES = "collect", "measure"


def command(run_file: Path, arguments: Sequence[str], *, collects: bool) -> list[str]:
    """Return the command of a pytest with *arguments* that writes its run to *run_file*, or only what it would run."""
    return [sys.executable, "-P", "-m", __name__, _COLLECTS if collects else _MEASURES, str(run_file), *arguments]


def journals_of(run_file: Path) -> Path:
    """Return the folder of the journal of the process that writes *run_file*."""
    return run_file.with_suffix(".journals")


def plan_of(run_file: Path) -> Path:
    """Return where the process that collects for *run_file* says what it knows of the cases beside the run."""
    return run_file.with_suffix(".plan")


def main(what: str, path: str, arguments: Sequence[str]) -> int:
    """Run pytest with *arguments*; its run file is *path*."""
    # A job in the background of a shell ignores it, and so would this process.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with, args=(_taken_from_input(),), daemon=True).start()
    run_file = Path(path)
    if what == _COLLECTS:
        return run_pytest([*arguments, "--collect-only", "-q"], Collector(run_file, plan_of(run_file)))
    return one_process.main(path, arguments, journals=journals_of(run_file))


def _taken_from_input() -> int:
    """Return the pipe that is the input of this process, and leave it one that has ended: a benchmark may read it."""
    pipe, nothing = os.dup(sys.stdin.fileno()), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, sys.stdin.fileno())
    os.close(nothing)
    return pipe


def _end_with(pipe: int) -> None:
    """End this process, and what it has started, when nobody is left who holds the other end of *pipe*.

    Its parent may be killed without a word, and with it goes whoever waited for the result.
    """
    os.read(pipe, 1)
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)  # it leads its group
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
