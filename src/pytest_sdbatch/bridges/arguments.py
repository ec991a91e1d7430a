"""The command line of this run, written again for another purpose."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

# Options that say what becomes of a run, and not what is measured.
_KEEPING = ("baseline", "gate", "fail_on", "save", "save_anyway", "report", "resume", "github", "plan")
_WITHOUT_VALUE = ("--sd-gate", "--sd-resume", "--sd-plan")
_IGNORED = "ignore:Module already imported"  # the filter that our own commands add


def to_measure(config: pytest.Config) -> str:
    """Return the arguments of this run without what becomes of it, for a shell."""
    return shlex.join(_measuring(list(map(str, config.invocation_params.args))))


def relative(path: Path, folder: Path) -> str:
    """Return *path* as seen from *folder*, with ``..`` where it lies outside."""
    return os.path.relpath(path, folder)


def _measuring(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that decide what is measured."""
    flags = [f"--sd-{name.replace('_', '-')}" for name in _KEEPING]
    keys = tuple(f"sd_{name}=" for name in _KEEPING)
    left = list(words)
    while left:
        word = left.pop(0)
        following = left[0] if left else ""
        flag, equals, _ = word.partition("=")
        if flag in flags:
            if not equals and flag not in _WITHOUT_VALUE and left:
                left.pop(0)
        elif (word == "-o" and following.startswith(keys)) or (word == "-W" and following.startswith(_IGNORED)):
            left.pop(0)
        elif not word.startswith(tuple(f"-o{key}" for key in keys)):
            yield word
