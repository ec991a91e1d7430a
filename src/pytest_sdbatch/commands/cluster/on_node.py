"""What a node does: it runs pytest in a process of its own, where the project was sent to, and hands in what came."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from pytest_sdbatch.commands.children import kill_group, select
from pytest_sdbatch.commands.cluster import child
from pytest_sdbatch.commands.cluster.machines import Result, Task

_LOOK_S = 0.2  # between two looks at the process: an interrupt, which stops a task, ends no call of the system
_SAID_BYTES, _SAID_LINES = 16 * 2**10, 40


def run(task: Task) -> Result:
    """Run *task* to its end; where this is interrupted, its process and what that has started end, too."""
    files = Path(tempfile.mkdtemp(prefix="sdbatch-"))
    try:
        return _run(task, files)
    finally:
        shutil.rmtree(files, ignore_errors=True)


def _run(task: Task, files: Path) -> Result:
    run_file, output = files / "run.json", files / "output"
    if task.names is not None:
        select(run_file, task.names)
    folder = Path(task.folder)
    folder.mkdir(parents=True, exist_ok=True)  # one without files is not sent
    command = child.command(run_file, task.arguments, collects=task.names is None)
    begun_s = time.monotonic()
    with output.open("wb") as into:
        process = subprocess.Popen(
            command, cwd=folder, env=_variables(task), stdin=subprocess.PIPE, stdout=into, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            while (status := process.poll()) is None:
                time.sleep(_LOOK_S)
        finally:
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
    )


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
