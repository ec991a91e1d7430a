"""What a node does with a task: here on this machine, with real processes."""

from __future__ import annotations

import _thread
import io
import json
import os
import pickle
import signal
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from ab_project import git, twice_the_layers
from ab_project import make_project as make_repository
from clusters import FakeCaller
from real_processes import FEW_PLUGINS, conftest, make_project

from pytest_sdbatch.commands.ab.command_line import read
from pytest_sdbatch.commands.ab.job import JobResult
from pytest_sdbatch.commands.ab.repository import Repository
from pytest_sdbatch.commands.cluster import history, on_node
from pytest_sdbatch.commands.cluster.comparing import Came
from pytest_sdbatch.commands.cluster.machines import Result, Task
from pytest_sdbatch.storage.plain import parse
from pytest_sdbatch.storage.run_file import runs_of

WORDS = ("-p", "no:cacheprovider", "test_it.py", "--sd-batch-sizes=1,2")
DIES = """
import os

def test_it(sd_benchmark, fake_device, sd_case):
    if sd_case.batch_size == 2:
        os.kill(os.getpid(), 9)
    sd_benchmark(fake_device.generate)
"""
SLEEPS = """
import os, time
from pathlib import Path

def test_it(sd_benchmark, fake_device):
    Path("running").write_text(str(os.getpid()))
    time.sleep(60)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a project where a node would have it: in the folder that its tasks are in."""
    monkeypatch.chdir(make_project(tmp_path, conftest=conftest()))
    return tmp_path


def run(*names: str, collects: bool = False, **variables: str | None) -> Result:
    """Run a task."""
    given = {**FEW_PLUGINS, **variables}
    task = Task(arguments=WORDS, names=None if collects else names, variables=given)
    return on_node.run(task)


def test_the_cases_that_are_named_are_measured(project: Path) -> None:
    """In a process of its own; what it was, and what it printed last, comes back."""
    result = run("test_it.py::test_it[fp32-64x64-s4-b2x1]")

    (made,) = runs_of(parse(result.run or b""))
    assert [one.case.batch_size for one in made.records] == [2]
    assert result.status == 0
    assert "1 passed, 1 deselected" in result.said
    assert result.journal is None  # the run holds all of it
    assert not (project / ".sdbatch").exists()


def test_a_node_says_what_it_would_measure(project: Path) -> None:
    """As a run of which nothing came, and what each case may take."""
    result = run(collects=True)

    (made,) = runs_of(parse(result.run or b""))
    assert [(one.case.batch_size, one.outcome.value, one.rounds) for one in made.records] == [
        (1, "crashed", ()),
        (2, "crashed", ()),
    ]
    beside = json.loads(result.plan or b"")
    assert beside["paths"] == []
    assert beside["seconds"][1] == 2 * beside["seconds"][0]


def test_of_a_process_that_dies_its_journal_comes_back(project: Path) -> None:
    """With the case that it had finished."""
    (project / "test_it.py").write_text(DIES)

    result = run(*(f"test_it.py::test_it[fp32-64x64-s4-b{size}x1]" for size in (1, 2)))

    assert (result.status, result.run) == (137, None)
    assert b"fp32-64x64-s4-b1x1" in (result.journal or b"") or b'"batch_size":1' in (result.journal or b"")


def test_an_interrupted_task_leaves_no_process(project: Path) -> None:
    """That is how Ray takes a task back."""
    (project / "test_it.py").write_text(SLEEPS)
    started: list[int] = []

    def interrupt() -> None:
        while not (project / "running").exists() or not (project / "running").read_text():
            time.sleep(0.05)
        started.append(int((project / "running").read_text()))
        _thread.interrupt_main()

    watch = threading.Thread(target=interrupt)
    watch.start()
    with pytest.raises(KeyboardInterrupt):
        run("test_it.py::test_it[fp32-64x64-s4-b1x1]")
    watch.join()

    assert not psutil.pid_exists(started[0])


def test_variables_are_those_of_the_caller(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder of the project is not first where modules are looked for, as a cluster has it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONBREAKPOINT", "ray.util.rpdb.set_trace")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(project), "/elsewhere"]))
    task = Task(arguments=(), names=(), variables={"OMP_NUM_THREADS": None, "PYTEST_ADDOPTS": "-q"})

    variables = on_node._variables(task)

    assert {"OMP_NUM_THREADS", "PYTHONBREAKPOINT"}.isdisjoint(variables)
    assert variables["PYTEST_ADDOPTS"] == "-q"
    assert variables["PYTHONPATH"] == "/elsewhere"


WAITS = """
from pathlib import Path
import time

def test_it(sd_benchmark, sd_pipeline):
    ran = Path({folder!r}, "ran")
    with ran.open("a") as file:
        file.write("x")
    while len(ran.read_text()) > 4:
        time.sleep(0.1)
    sd_benchmark(sd_pipeline)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Ray has no clusters there")
def test_a_comparison_ends_with_its_pairs_when_the_caller_has_enough(
    tmp_path: Path, few_plugins: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears how far it is; what it has is judged, its files come along, and of both sides nothing is left.

    Although the signal by which it is told is blocked where it is started, as Ray has it.
    """
    project = make_repository(tmp_path / "project")
    (project / "benchmarks" / "test_it.py").write_text(WAITS.format(folder=str(tmp_path)))
    twice_the_layers(project)
    history.pack(Repository(root=project), "main", tmp_path / "sent.zip")
    with zipfile.ZipFile(tmp_path / "sent.zip") as archive:
        archive.extractall(tmp_path / "node")
    monkeypatch.chdir(tmp_path / "node")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    ran = tmp_path / "ran"
    caller = FakeCaller(lambda: ran.exists() and len(ran.read_text()) > 4)

    task = Task(compares=read(["--base=main", "--", "benchmarks/", "--sd-batch-sizes=1"]), variables=FEW_PLUGINS)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        result = on_node.run(task, caller)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    came: Came = pickle.loads(result.comparison or b"")

    assert isinstance(came.result, JobResult), came.result
    assert came.result.interrupted
    assert came.result.comparison.pairs == 2
    assert caller.lines[0].startswith("base main (")
    assert len([name for name in zipfile.ZipFile(io.BytesIO(came.files)).namelist() if "/pair-" in name]) >= 4
    assert list((tmp_path / "temporary").iterdir()) == []
    assert git(tmp_path / "node", "worktree", "list").count("\n") == 1
