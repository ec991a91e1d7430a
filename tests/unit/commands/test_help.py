"""What --help prints, on a terminal that is not wide."""

from __future__ import annotations

import argparse

import pytest

from pytest_sdbatch.cli import main
from pytest_sdbatch.commands.help import Wrapped

EPILOG = """
a paragraph that is written on two lines of the source, of which
this is the second

exit status, the first that applies:
  13  invalid environment: other processes used the GPU
   0  else
"""


def test_paragraphs_are_filled_and_rows_hang_below_their_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines of the source mean nothing but where one is indented: that is a row, and empty ones stay."""
    monkeypatch.setenv("COLUMNS", "42")  # of which argparse leaves two
    parser = argparse.ArgumentParser(prog="x", epilog=EPILOG, formatter_class=Wrapped)

    assert parser.format_help().partition("exit\n\n")[2].splitlines() == [
        "a paragraph that is written on two lines",
        "of the source, of which this is the",
        "second",
        "",
        "exit status, the first that applies:",
        "  13  invalid environment: other",
        "      processes used the GPU",
        "   0  else",
    ]


@pytest.mark.parametrize("command", ["", "ab", "calibrate", "compare", "models", "report", "study"])
def test_no_line_is_wider_than_the_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """80 columns are what a terminal has, usually; usage, options and exit statuses keep to them."""
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit) as ended:
        main([*filter(None, [command]), "--help"])

    assert ended.value.code == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []
