"""Child processes: where they print, and how they are ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from pytest_sdbatch.commands.children import run_child

SLEEPS = """
import sys, time
try:
    print("begun", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("told", flush=True)
    sys.exit(7)
"""


def test_what_a_child_prints_goes_to_a_file(tmp_path: Path) -> None:
    """Both of its streams, in their order; its status is returned."""
    script = "import os, sys; os.write(1, b'one '); os.write(2, b'two'); sys.exit(3)"

    with (tmp_path / "output").open("wb") as output:
        ended = run_child([sys.executable, "-c", script], output=output)

    assert ended == (3, False)
    assert (tmp_path / "output").read_text() == "one two"


@pytest.mark.skipif(sys.platform == "win32", reason="there it is ended without being told")
def test_a_child_whose_time_is_over_is_told_so(tmp_path: Path) -> None:
    """As by Ctrl-C, so that it can keep what it has."""
    begun_s = time.monotonic()

    with (tmp_path / "output").open("wb") as output:
        ended = run_child([sys.executable, "-c", SLEEPS], output=output, until_s=begun_s + 2)

    assert ended == (7, True)
    assert (tmp_path / "output").read_text() == "begun\ntold\n"
    assert time.monotonic() - begun_s >= 2


STARTS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep({seconds})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups")
@pytest.mark.parametrize("seconds", [0, 60])
def test_what_a_child_started_ends_with_it(tmp_path: Path, seconds: int) -> None:
    """Be it told to stop, or at its end: a helper that goes on would disturb the next process."""
    with (tmp_path / "output").open("wb") as output:
        run_child([sys.executable, "-c", STARTS.format(seconds=seconds)], output=output, until_s=time.monotonic() + 2)

    (started,) = (tmp_path / "output").read_text().split()[:1]
    assert not _runs(started)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups")
def test_a_command_of_the_shell_is_told_as_a_whole(tmp_path: Path) -> None:
    """The shell alone would wait for what it runs."""
    begun_s = time.monotonic()

    with (tmp_path / "output").open("wb") as output:
        status, stopped = run_child("sleep 60; true", output=output, until_s=begun_s + 0.5)

    assert stopped
    assert status != 0
    assert time.monotonic() - begun_s < 30


def _runs(number: str) -> bool:
    try:
        process = psutil.Process(int(number))
        process.wait(5)
    except psutil.NoSuchProcess:
        return False
    except psutil.TimeoutExpired:
        return True
    return False
