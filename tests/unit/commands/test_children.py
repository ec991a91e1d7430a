"""Child processes: where they print, and how they are ended."""

from __future__ import annotations

import sys
import time
from pathlib import Path

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
