"""Suspects run again in fresh processes: the parent frees its device first, and hands over its own command line."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.bridges import leasing
from pytest_sdbatch.errors import RunFileError

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.sides import SideRun
    from pytest_sdbatch.host import Host

_LAST_LINES = 5  # of what a process that left no run has printed


def fresh_runs(host: Host, names: Sequence[str], *, processes: int) -> list[SideRun]:
    """Return runs of the cases *names* in so many *processes*, one after the other; fewer where some left none.

    Raises:
        KeyboardInterrupt: where this process was told to stop meanwhile.

    """
    from pytest_sdbatch.commands.children import one_process, run_child, select, stopped_by_signals

    host.free()
    leasing.give_back(host)  # or the processes would wait for it
    folder = Path(tempfile.mkdtemp(prefix="sdbatch-"))
    runs: list[SideRun] = []
    in_main = threading.current_thread() is threading.main_thread()  # where alone signals can be caught
    try:
        with stopped_by_signals() if in_main else contextlib.nullcontext():
            for number in range(1, processes + 1):
                run_file, log = folder / f"{number}.json", folder / f"{number}.log"
                select(run_file, names)
                command, where = one_process(run_file, _arguments(host)), host.config.invocation_params.dir
                with log.open("wb") as output:
                    _, stopped = run_child(command, env=_variables(where), cwd=where, output=output)
                if stopped:
                    raise KeyboardInterrupt
                runs += _read(run_file, log, host)
                _say(host, f"fresh process {number} of {processes} has ended")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return runs


def announce(host: Host, names: Sequence[str], *, baseline: str, processes: int) -> None:
    """Say what is run again and why."""
    look = f"{units.count(len(names), 'case')} {'looks' if len(names) == 1 else 'look'}"
    _say(host, f"{look} slower than {baseline}; again in {processes} fresh processes, one after the other")


def _arguments(host: Host) -> list[str]:
    # This process still has its context on the device, which is no reason to fail there.
    words = [*map(str, host.config.invocation_params.args), "-o", "sd_foreign_processes=warn"]
    # One process, as the baseline was; workers would not know what was selected.
    return [*words, "-n0"] if host.is_controller else words


def _variables(where: Path) -> dict[str, str]:
    """Return the environment; ``python -m pytest`` had the current folder in its path, which ``-P`` leaves out."""
    if not {"", str(where)} & set(sys.path):
        return dict(os.environ)
    path = [str(where), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def _read(run_file: Path, log: Path, host: Host) -> list[SideRun]:
    from pytest_sdbatch.storage.run_file import read_run_file
    from pytest_sdbatch.storage.sides import side_run

    try:
        return [side_run(run, "fresh processes") for run in read_run_file(run_file)]
    except RunFileError as error:
        last = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()[-_LAST_LINES:]
        host.notes.append("\n  ".join([f"ERROR: a fresh process left no run ({error.what}); it printed last:", *last]))
        return []


def _say(host: Host, said: str) -> None:
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and host.config.get_verbosity() >= -1:
        open_line = host.config.get_terminal_writer().width_of_current_line > 0
        reporter.write_line(("\n" if open_line else "") + f"sdbatch: {said}")
