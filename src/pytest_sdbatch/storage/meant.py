"""Which run file is meant by a name that is none."""

from __future__ import annotations

from pathlib import Path

from pytest_sdbatch.errors import did_you_mean
from pytest_sdbatch.options import BY_SPELLING

_MOST_NAMED = 8


def meant(path: Path) -> str:
    """Return what to do where a run file was asked for and *path* is a folder, the name of a baseline, or mistyped.

    Baselines are looked for where they lie unless the project says otherwise, as seen from the current folder.
    """
    folder = path if path.is_dir() else Path(BY_SPELLING["baselines"].default or "") / path
    files = [str(file) for file in sorted(folder.glob("*.json"))] if folder.is_dir() else []
    if len(files) == 1:
        return f"did you mean {files[0]}?"
    named = ", ".join(files[:_MOST_NAMED]) + (", ..." if len(files) > _MOST_NAMED else "")
    if files:
        return f"name one of its files: {named}"
    beside = [] if path.is_dir() else [file.stem for file in path.parent.glob("*.json")]
    known = did_you_mean(path.stem, beside)  # without what all names end in
    return f"{known.removesuffix('?')}.json?" if known else "name a file that is there"
