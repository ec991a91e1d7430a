"""A process that ends with the one that started it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from real_processes import wait_for

# Hears no interrupt, as one that is stuck in a driver does not.
DEAF = """
import os, signal, sys, time
from pathlib import Path
from pytest_sdbatch.commands.tied import tie

signal.signal(signal.SIGINT, signal.SIG_IGN)
tie()
assert sys.stdin.read() == ""
Path("deaf.tmp").write_text(str(os.getpid()))
os.replace("deaf.tmp", "deaf")
time.sleep(60)
"""
STARTS = """
import sys
from pytest_sdbatch.commands.children import run_child

run_child([sys.executable, "-c", sys.argv[1]], tied=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups")
def test_it_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    """Which could not tell it; reading its input, what runs in it finds none."""
    parent = subprocess.Popen([sys.executable, "-c", STARTS, DEAF], cwd=tmp_path, text=True)
    wait_for(tmp_path / "deaf", parent)
    child = psutil.Process(int((tmp_path / "deaf").read_text()))

    parent.kill()
    parent.wait()

    assert psutil.wait_procs([child], timeout=20)[1] == []
