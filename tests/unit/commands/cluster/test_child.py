"""A process that ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from real_processes import conftest, make_project, wait_for

from pytest_sdbatch.commands.cluster import child
from pytest_sdbatch.commands.cluster.machines import Task

SLEEPS = """
import sys, time
from pathlib import Path

def test_it(sd_benchmark, fake_device):
    assert sys.__stdin__.read() == ""
    Path("running").touch()
    time.sleep(60)
"""


def test_the_command_of_a_process_is_this_module() -> None:
    """With the folder of the caller left out of its path, so that it imports what this process does."""
    command = child.command(Path("run.json"), Task(arguments=("-k", "a b"), names=()))

    assert command == [sys.executable, "-P", "-m", child.__name__, "measure", "run.json", "-k", "a b"]
    assert child.command(Path("run.json"), Task())[4] == "collect"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups")
def test_it_ends_when_nobody_waits_for_it(tmp_path: Path, few_plugins: None) -> None:
    """Its parent may be killed, with a node or without: no benchmark goes on for nobody, in the way of the next.

    By that alone: one that reads its input finds none, and does not wait.
    """
    (make_project(tmp_path, conftest=conftest()) / "test_it.py").write_text(SLEEPS)
    command = child.command(tmp_path / "run.json", Task(arguments=("test_it.py", "--sd-batch-sizes=1"), names=()))
    process = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
    )
    wait_for(tmp_path / "running", process)

    assert process.stdin is not None
    process.stdin.close()

    assert process.wait(timeout=30) == -9
