"""Child processes that measure: each is pytest, hands its run in as a file, and is told once when to stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_GRACE_S = 60.0  # for a child whose time is over, to write what it has


def one_process(run_file: Path, arguments: Sequence[str], *, python: str = sys.executable) -> list[str]:
    """Return the command of a pytest with *arguments* that writes its run to *run_file*."""
    return [python, "-P", "-m", "pytest_sdbatch.commands.one_process", str(run_file), *arguments]


def select(run_file: Path, names: Iterable[str]) -> None:
    """Let the process that will write *run_file* run only the cases with these *names*: node ids with the parameters.

    It collects what its arguments say, so that options, markers and ``-k`` mean what they meant, and leaves out the
    rest.
    """
    selection_of(run_file).write_text(json.dumps(list(names)), encoding="utf-8")


def selection_of(run_file: Path) -> Path:
    """Return where the selection for *run_file* lies, if there is one."""
    return run_file.with_suffix(".selection")


def promise(run_file: Path, *, name: str) -> None:
    """Let the process that will write *run_file* refuse to begin where the baseline *name* cannot be written.

    For which device it is only that process knows, once it has collected.
    """
    promise_of(run_file).write_text(json.dumps(name), encoding="utf-8")


def promise_of(run_file: Path) -> Path:
    """Return where it stands that the run in *run_file* is for a baseline, if it is."""
    return run_file.with_suffix(".baseline")


def run_child(
    command: Sequence[str] | str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: BinaryIO | None = None,
    until_s: float | None = None,
    grace_s: float = _GRACE_S,
    tied: bool = False,
) -> tuple[int, bool]:
    """Return the exit status of *command*, and whether it was told to stop before it had ended.

    The child leads a session of its own, so that it is told once, by this process, and can keep what it has. Told
    again, it is killed. What it has started, and left behind at its end, is killed, too.

    Args:
        command: program and arguments; a text is run by the shell, and then all that the shell has started is told.
        env: its environment; None: this one.
        cwd: its folder; None: this one.
        output: where what it prints goes; None: where this process prints.
        until_s: ``time.monotonic()`` at which it is told to stop.
        grace_s: for a child whose time is over, to write what it has.
        tied: whether it ends by itself where this process is killed, by :func:`~.tied.tie`.

    """
    shell = isinstance(command, str)
    errors = None if output is None else subprocess.STDOUT
    child = subprocess.Popen(
        command, shell=shell, stdin=subprocess.PIPE if tied else subprocess.DEVNULL, stdout=output, stderr=errors,
        start_new_session=True, env=env, cwd=cwd,
    )  # fmt: skip
    try:
        return _wait(child, until_s, grace_s, tell_all=shell)
    finally:
        kill_group(child)
        if child.stdin is not None:
            child.stdin.close()


def _wait(child: subprocess.Popen[bytes], until_s: float | None, grace_s: float, *, tell_all: bool) -> tuple[int, bool]:
    stopped = False
    while True:
        left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
        try:
            status = child.wait(left_s)
            return (status if status >= 0 else 128 - status), stopped
        except (KeyboardInterrupt, subprocess.TimeoutExpired) as told:
            if stopped:
                kill_group(child)
            elif os.name == "posix" and tell_all:
                os.killpg(child.pid, signal.SIGTERM)  # shells let what they run ignore SIGINT
            elif os.name == "posix":
                child.send_signal(signal.SIGINT)
            elif isinstance(told, subprocess.TimeoutExpired):  # of Ctrl-C the console has told it
                child.terminate()
            stopped = True
            until_s = time.monotonic() + grace_s if isinstance(told, subprocess.TimeoutExpired) else None


def kill_group(child: subprocess.Popen[bytes]) -> None:
    """Kill the child and all that it has started, if something is left of them."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)  # it leads the group
    elif child.poll() is None:
        child.kill()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let what ends a process in CI or with its terminal stop this one as Ctrl-C does."""
    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {getattr(signal, name): signal.signal(getattr(signal, name), signal.default_int_handler) for name in names}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
