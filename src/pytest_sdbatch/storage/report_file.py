"""Files that people look at: which kind a name asks for, what they may replace, and writing them whole or not at all.

A run file is never written over. A report is made anew from run files at any time, so that one may replace another; any
other file of its name is left alone.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from pytest_sdbatch.errors import OptionError, RunFileError
from pytest_sdbatch.storage.exclusive import check_free, check_place, check_target, failure, place_new, read_whole

_MOST_BYTES = 2**30


class Kind(StrEnum):
    """What a file is, by its suffix."""

    JSON = ".json"  # the run file itself
    HTML = ".html"
    MARKDOWN = ".md"
    CSV = ".csv"


NO_RUN_FILE = (Kind.HTML, Kind.MARKDOWN, Kind.CSV)  # what can be made of one
# What each kind of report begins with: by this we know our own.
MARKS = {
    Kind.HTML: "<!doctype html>\n<!-- a report of pytest-sdbatch: the next one of this name replaces it -->\n",
    Kind.MARKDOWN: "<!-- a report of pytest-sdbatch: the next one of this name replaces it -->\n",
    Kind.CSV: '"file","run","started_at","test","case"',
}


def kind_of(path: Path, *, option: str, kinds: Sequence[Kind] = tuple(Kind)) -> Kind:
    """Return which of *kinds*, two or more, *path* asks for.

    Raises:
        OptionError: for a suffix that names none of them.

    """
    suffix = path.suffix.lower()
    if suffix not in kinds:
        raise OptionError(
            f"{option}={path}: {f'{suffix} is no kind of report' if suffix else 'no suffix'}",
            why="the suffix says what is written",
            fix=f"end it in {', '.join(kinds[:-1])} or {kinds[-1]}",
        )
    return Kind(suffix)


def check_reports(
    paths: Sequence[Path], *, option: str, kinds: Sequence[Kind] = tuple(Kind), over: Iterable[Path] = ()
) -> None:
    """Refuse files that could not be written, before anything is measured.

    Args:
        paths: of all kinds.
        option: that named them, for messages.
        kinds: that may be named.
        over: run files that are there, and known to be ones that may be replaced.

    Raises:
        OptionError: for an unknown suffix, or a file that is named twice.
        RunFileError: for a file that is there and is no report, a folder that is missing or not writable.

    """
    asked = [kind_of(path, option=option, kinds=kinds) for path in paths]
    for path, kind in zip(paths, asked, strict=True):
        if paths.count(path) > 1:
            raise OptionError(f"{option}={path}: named twice", fix="name each file once")
        if kind is Kind.JSON:
            check_target(path, over=path in over)
        else:
            _check_report(path, kind)


def write_report(path: Path, kind: Kind, text: str) -> Path:
    """Write *text* of a *kind* that is no run file to *path*, behind the mark of its kind, and return *path*.

    Raises:
        RunFileError: as :func:`check_reports`, and for a disk that is full. What was there then still is.

    """
    marked = text if text.startswith(MARKS[kind]) else MARKS[kind] + text
    over = _check_report(path, kind)
    try:
        place_new(path, marked.encode("utf-8"), over=over)
    except OSError as error:
        raise failure(path, error) from None
    return path


def _check_report(path: Path, kind: Kind) -> bool:
    """Return whether an earlier report is at *path*, which may be replaced."""
    if not path.name.isprintable():
        raise RunFileError(f"{str(path)!r} cannot be written", why="its name has control characters")
    over = False
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            over = _is_ours(path, kind)
            if not over:
                raise RunFileError(
                    f"{path} exists",
                    why="it is no report of pytest-sdbatch, so it is not replaced",
                    fix="choose another name, or move it",
                )
        else:
            check_free(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise failure(path, error) from None
    check_place(path, over=over)
    return over


def _is_ours(path: Path, kind: Kind) -> bool:
    mark = MARKS[kind].encode("utf-8")
    return read_whole(path, most_bytes=_MOST_BYTES)[: len(mark)] == mark
