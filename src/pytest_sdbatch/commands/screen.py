"""The screen that a command prints to: how wide it is, and what it can show."""

from __future__ import annotations

import os
import sys
from typing import TypedDict


class Screen(TypedDict):
    """What every writer of tables asks for, by the names of its arguments."""

    width: int  # columns
    color: bool
    encoding: str


def screen() -> Screen:
    """Return what stdout is; no colours where it is no terminal, or where ``NO_COLOR`` is set."""
    from pytest_sdbatch.report.layout import screen_width

    return Screen(
        width=screen_width(),
        color=sys.stdout.isatty() and not os.environ.get("NO_COLOR"),
        encoding=getattr(sys.stdout, "encoding", None) or "utf-8",
    )
