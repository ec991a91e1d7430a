"""Child processes that measure: each is pytest, hands its run in as a file, and is told once when to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


def one_process(run_file: Path, arguments: Sequence[str], *, python: str = sys.executable) -> list[str]:
    """Return the command of a pytest with *arguments* that writes its run to *run_file*."""
    return [python, "-P", "-m", "pytest_sdbatch.commands.one_process", str(run_file), *arguments]


def run_child(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    output: Path | None = None,
    until_s: float | None = None,
) -> tuple[int, bool]:
    """Return the exit status of *command*, and whether it was told to stop before it had ended.

    The child leads a session of its own, so that it is told once, by this process, and can keep what it has. Told
    again, it is killed.

    Args:
        command: program and arguments.
        env: its environment; None: this one.
        cwd: its folder; None: this one.
        output: file for what it prints; None: it prints where this process does.
        until_s: ``time.monotonic()`` at which it is told to stop.

    """
    with contextlib.ExitStack() as opened:
        into = None if output is None else opened.enter_context(output.open("wb"))
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=into,
            stderr=None if into is None else subprocess.STDOUT,
            start_new_session=True,
            env=env,
            cwd=cwd,
        )
        stopped = False
        while True:
            left_s = None if until_s is None or stopped else max(0.0, until_s - time.monotonic())
            try:
                status = child.wait(left_s)
                return (status if status >= 0 else 128 - status), stopped
            except (KeyboardInterrupt, subprocess.TimeoutExpired) as told:
                if stopped:
                    child.kill()
                elif os.name == "posix":
                    child.send_signal(signal.SIGINT)
                elif isinstance(told, subprocess.TimeoutExpired):  # of Ctrl-C the console has told it
                    child.terminate()
                stopped = True


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
