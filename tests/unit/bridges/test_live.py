"""What is being done during a case: overwritten on a terminal, rarely a line in a log."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_sdbatch.bridges.live import Live


@dataclass
class FakeWriter:
    """A terminal of 40 columns, some of them written."""

    fullwidth: int = 40
    width_of_current_line: int = 0


class FakeClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


class Kept(io.StringIO):
    """Keeps what was written when it is closed."""

    def close(self) -> None:
        """Stay open: the test reads on."""


def test_a_terminal_s_line_is_overwritten_and_cleared() -> None:
    """Each text begins where pytest's line ends, and the cursor stays there for what pytest writes next."""
    screen = Kept()
    live = Live(screen, FakeWriter(width_of_current_line=13), terminal=True, clock=FakeClock())

    live.tell("warm-up call 1")
    live.tell("round 1 of at most 30, tiny-sd-fp32")
    live.clear()
    live.clear()

    assert screen.getvalue() == (
        "\x1b[Kwarm-up call 1\x1b[14D"
        "\x1b[Kround 1 of at most 30,...\x1b[25D"
        "\x1b[K"
    )  # fmt: skip


def test_where_there_is_no_room_nothing_is_shown() -> None:
    """A line that wraps could not be taken back."""
    screen = Kept()
    live = Live(screen, FakeWriter(width_of_current_line=25), terminal=True, clock=FakeClock())

    live.tell("round 1")
    live.clear()

    assert screen.getvalue() == ""


def test_what_is_told_cannot_act_on_the_terminal() -> None:
    """A model may be called anything."""
    screen = Kept()

    Live(screen, FakeWriter(), terminal=True, clock=FakeClock()).tell("evil\x1b[2J\n")

    assert screen.getvalue() == "\x1b[Kevil\\x1b[2J\x1b[11D"


def test_a_log_gets_a_line_after_a_minute_of_silence() -> None:
    """One a minute, and none where cases end in between; it begins a line of its own."""
    screen, clock, writer = Kept(), FakeClock(), FakeWriter(width_of_current_line=13)
    live = Live(screen, writer, terminal=False, clock=clock)
    for second in (30, 59, 61, 90, 122):
        clock.now_s = second
        live.tell(f"round at {second}")
    live.clear()
    for second in (150, 183):
        clock.now_s, writer.width_of_current_line = second, 0
        live.tell(f"round at {second}")

    assert screen.getvalue() == "\nsdbatch: round at 61\n\nsdbatch: round at 122\nsdbatch: round at 183\n"


PROJECT = """
import pytest
from pytest_sdbatch.devices.fake import FakeDevice

DEVICE = FakeDevice()


def pytest_sdbatch_make_device(name):
    return DEVICE


@pytest.fixture
def generate():
    return DEVICE.generate
"""


@pytest.mark.slow
def test_a_terminal_sees_it_and_a_pipe_does_not(tmp_path: Path) -> None:
    """The same run on a terminal and in a log: the first shows each round and keeps none of it."""
    (tmp_path / "conftest.py").write_text(PROJECT)
    (tmp_path / "test_it.py").write_text("def test_it(sd_benchmark, generate):\n    sd_benchmark(generate)\n")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--sd-batch-sizes=1", "-o", "sd_rounds=3")
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)

    ours, theirs = pty.openpty()
    with subprocess.Popen(command, cwd=tmp_path, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        seen = _read(ours)
    piped = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)

    assert process.returncode == 0, seen
    for doing in ("warm-up 1", "round 1 of 3", "round 3 of 3"):
        assert f"\x1b[K{doing}, fp32-64x64-s4-b1x1\x1b[" in seen
    assert seen.index("\x1b[Kround 3 of 3") < seen.rindex("\x1b[K") < seen.index("[1/1]")
    assert piped.returncode == 0
    assert "of 3" not in piped.stdout


def _read(descriptor: int) -> str:
    """Return what comes until the other side is closed, which Linux tells as an error."""
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:
        pass
    os.close(descriptor)
    return b"".join(parts).decode()
