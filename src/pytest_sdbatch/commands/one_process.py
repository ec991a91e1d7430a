"""One of the processes of ``sdbatch sweep --processes``: pytest, which hands its run in where it is told to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_sdbatch.commands.sweep import run_pytest


class HandIn:
    """Tells the plugin where to write its run, in place of the files that were asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_configure(self, config: pytest.Config) -> None:
        """Before the plugin itself is configured, which is done last."""
        from pytest_sdbatch.host import HAND_IN

        config.stash[HAND_IN] = self._path


def main(path: str, arguments: Sequence[str]) -> int:
    """Run pytest with *arguments*; its run file is *path*."""
    return run_pytest(arguments, HandIn(Path(path)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
