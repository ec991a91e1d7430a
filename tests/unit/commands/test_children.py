"""Child processes: where they print, and how they are ended."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a child ended whose time was limited."""

    status: int
    stopped: bool
    said: str
    limit_s: float
    took_s: float


def _told_once_begun(script: str, folder: Path) -> Ended:
    """Run *script*, which first prints "begun", within a time; on a machine too busy for that again with more time."""
    for limit_s in (1.0, 5.0, 25.0):
        begun_s = time.monotonic()
        with (folder / "output").open("wb") as output:
            status, stopped = run_child([sys.executable, "-c", script], output=output, until_s=begun_s + limit_s)
        took_s, said = time.monotonic() - begun_s, (folder / "output").read_text()
        if said.startswith("begun"):
            return Ended(status=status, stopped=stopped, said=said, limit_s=limit_s, took_s=took_s)
    raise AssertionError(f"it had not begun within {limit_s:g} s: {said}")


@pytest.mark.skipif(sys.platform == "win32", reason="there it is ended without being told")
def test_a_child_whose_time_is_over_is_told_so(tmp_path: Path) -> None:
    """As by Ctrl-C, so that it can keep what it has."""
    ended = _told_once_begun(SLEEPS, tmp_path)

    assert (ended.status, ended.stopped) == (7, True)
    assert ended.said == "begun\ntold\n"
    assert ended.took_s >= ended.limit_s


STARTS = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("begun", child.pid, flush=True)
time.sleep({seconds})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no groups")
@pytest.mark.parametrize("seconds", [0, 60])
def test_what_a_child_started_ends_with_it(tmp_path: Path, seconds: int) -> None:
    """Be it told to stop, or at its end: a helper that goes on would disturb the next process."""
    ended = _told_once_begun(STARTS.format(seconds=seconds), tmp_path)

    _, started, *_ = ended.said.split()
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
