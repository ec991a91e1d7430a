"""What a command knows of the screen it prints to."""

from __future__ import annotations

import io
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
