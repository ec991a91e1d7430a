"""One of several processes that measure: pytest, which hands its run in where it is told to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_sdbatch.commands.children import selection_of
from pytest_sdbatch.commands.sweep import run_pytest


class HandIn:
    """Tells the plugin where to write its run, in place of the files that were asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        selection = selection_of(path)
        self._only = json.loads(selection.read_text(encoding="utf-8")) if selection.exists() else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> None:
        """Before the plugin looks at the command line."""
        from pytest_sdbatch.host import HAND_IN

        config.stash[HAND_IN] = self._path

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leave out what was not selected."""
        if self._only is None:
            return
        from pytest_sdbatch.bridges.pytest_items import full_name_of
        from pytest_sdbatch.host import host_of

        host, only = host_of(config), set(self._only)
        left_out = [item for item in items if full_name_of(item, host) not in only]
        items[:] = [item for item in items if full_name_of(item, host) in only]
        config.hook.pytest_deselected(items=left_out)


def main(path: str, arguments: Sequence[str]) -> int:
    """Run pytest with *arguments*; its run file is *path*."""
    return run_pytest(arguments, HandIn(Path(path)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
