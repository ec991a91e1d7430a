"""One of several processes that measure: pytest, which hands its run in where it is told to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pytest_sdbatch.commands.children import promise_of, selection_of
from pytest_sdbatch.commands.hand_in import HandIn
from pytest_sdbatch.commands.sweep import run_pytest


def main(path: str, arguments: Sequence[str], *, journals: Path | None = None) -> int:
    """Run pytest with *arguments*; its run file is *path*, and its journal lies in *journals*, if that is named."""
    selection = selection_of(Path(path))
    names = json.loads(selection.read_text(encoding="utf-8")) if selection.exists() else None
    promised = promise_of(Path(path))
    baseline = json.loads(promised.read_text(encoding="utf-8")) if promised.exists() else None
    return run_pytest(arguments, HandIn(Path(path), names=names, baseline=baseline, journals=journals))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
