"""What a node does: a process of its own, where the project was sent to, measures; what came is handed in."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from pytest_sdbatch.commands.children import kill_group, select
from pytest_sdbatch.commands.cluster import child
from pytest_sdbatch.commands.cluster.machines import Caller, Result, Task

_LOOK_S = 0.2  # between two looks at the process: an interrupt, which stops a task, ends no call of the system
_END_S = 60.0  # for what was told to end
_CALL_S = 2.0  # between two questions to the caller, who is on another machine
_SAID_BYTES, _SAID_LINES = 16 * 2**10, 40


def run(task: Task, caller: Caller | None = None) -> Result:
    """Run *task* to its end; where this is interrupted, its process and what that has started end, too.

    Args:
        task: for this node.
        caller: who hears how far a comparison is, and may have enough before it ends; None: nobody.

    """
    files = Path(tempfile.mkdtemp(prefix="sdbatch-"))
    try:
        return _run(task, files, caller)
    finally:
        shutil.rmtree(files, ignore_errors=True)


def _run(task: Task, files: Path, caller: Caller | None) -> Result:
    run_file, output = files / "run.json", files / "output"
    variables = _variables(task)
    if task.names is not None:
        select(run_file, task.names)
    if task.compares is not None:
        left_s = None if caller is None else caller.left_s()
        minutes = task.compares.minutes if left_s is None else max(left_s, 1.0) / 60
        child.give(run_file, replace(task.compares, minutes=minutes), begun_s=time.monotonic())
        variables["TMPDIR"] = str(files)  # of both sides nothing is left, however it ends
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)  # one without files is not sent
    begun_s = time.monotonic()
    with output.open("wb") as into:
        process = subprocess.Popen(
            child.command(run_file, task), cwd=folder, env=variables, stdin=subprocess.PIPE, stdout=into,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            status = _wait(process) if caller is None else _wait_with(process, output, caller)
        finally:
            if task.compares is not None:
                _let_tidy_up(process)
            kill_group(process)
            process.communicate()
    written = _content(run_file)
    journals = [] if written is not None else sorted(child.journals_of(run_file).glob("*.jsonl"))  # a run is all of it
    return Result(
        status=status if status >= 0 else 128 - status,
        said=_last_lines(output),
        seconds=time.monotonic() - begun_s,
        run=written,
        journal=journals[-1].read_bytes() if journals else None,
        plan=_content(child.plan_of(run_file)),
        comparison=_content(child.comparison_of(run_file)),
    )


def _wait(process: subprocess.Popen[bytes]) -> int:
    while (status := process.poll()) is None:
        time.sleep(_LOOK_S)
    return status


def _wait_with(process: subprocess.Popen[bytes], output: Path, caller: Caller) -> int:
    """Wait, telling *caller* what is said of the progress, and tell *process* to end when that one has enough."""
    told_s: float | None = None
    asked_s = time.monotonic()
    with output.open(encoding="utf-8", errors="replace") as printed:
        rest = ""
        while True:
            status = process.poll()  # before it is read: nothing is printed behind that
            *lines, rest = (rest + printed.read()).split("\n")
            for line in lines:
                if line.startswith(child.SAYS):
                    caller.hear(line.removeprefix(child.SAYS))
            if status is not None:
                return status
            now_s = time.monotonic()
            if told_s is None and now_s - asked_s > _CALL_S:
                asked_s = now_s
                if caller.has_enough():
                    told_s = now_s
                    process.send_signal(signal.SIGINT)
            elif told_s is not None and now_s - told_s > _END_S:  # what it runs does not hear it: now that is killed
                told_s = math.inf
                process.send_signal(signal.SIGINT)
            time.sleep(_LOOK_S)


def _let_tidy_up(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(child.TIDY_S + 2.0)


def _variables(task: Task) -> dict[str, str]:
    """Return the variables of the process: those of this one, but for what *task* says, and without our folder.

    A cluster may put the folder of the project first where modules are looked for; pytest decides on that itself.
    """
    there = {name: text for name, text in os.environ.items() if name != "PYTHONBREAKPOINT"}  # a debugger of the cluster
    variables = {**there, **{name: text for name, text in task.variables.items() if text is not None}}
    for name, text in task.variables.items():
        if text is None:
            variables.pop(name, None)
    here = Path.cwd().resolve()
    entries = variables.pop("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if entry and Path(entry).resolve() != here]
    return {**variables, "PYTHONPATH": os.pathsep.join(kept)} if kept else variables


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _last_lines(output: Path) -> str:
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - _SAID_BYTES))
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_SAID_LINES:])
