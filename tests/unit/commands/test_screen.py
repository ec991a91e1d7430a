"""What a command knows of the screen it prints to."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from pytest_sdbatch.commands.screen import screen


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    encoding = "ascii"

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.mark.parametrize(("no_color", "color"), [(None, True), ("", True), ("1", False)])
def test_colours_are_for_a_terminal_unless_they_are_declined(
    monkeypatch: pytest.MonkeyPatch, no_color: str | None, color: bool
) -> None:
    """NO_COLOR counts once it has a text, as no-color.org has it; the characters are those of the terminal."""
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "61")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)

    assert screen() == {"width": 61, "color": color, "encoding": "ascii"}


def test_a_pipe_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """What names no encoding, as text in memory does not, takes any character."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.delenv("NO_COLOR", raising=False)

    assert (screen()["color"], screen()["encoding"]) == (False, "utf-8")


def test_to_know_the_screen_loads_no_numpy() -> None:
    """Nor what fits curves, which the table of a sweep needs: a comparison would begin a fifth of a second later."""
    code = (
        "import sys; from pytest_sdbatch.commands.screen import screen; screen(); "
        "print([m for m in ('numpy', 'scipy', 'pytest_sdbatch.analysis.scaling') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.strip() == "[]"
