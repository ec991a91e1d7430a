"""The journal of a run: a line per finished case, on the disk before the next case begins.

``.sdbatch/<run>.jsonl`` holds a header line, then a line per record, and a last line once the run ended whole. A
process that is killed leaves what it had finished; at most its last line is cut short. The file appears with the first
finished case, and with all that was taken over from the run before: one that ends earlier leaves that run the latest.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record, Run
from pytest_sdbatch.storage import codec
from pytest_sdbatch.storage.exclusive import failure, open_to_append, place_new, read_whole, write_all
from pytest_sdbatch.storage.plain import parse
from pytest_sdbatch.storage.strict import convert

FOLDER = ".sdbatch"
KEPT = 5  # journals of one selection of tests, the newest included
KEPT_IN_ALL = 100  # of all selections: every shard of a run is one

_MOST_BYTES = 512 * 2**20
_GOES_ON = "the run goes on, but what is killed cannot be resumed: make room, or write access, for the next"
_START_ANEW = "leave --sd-resume out: all cases are measured anew"
_NAME = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}\.jsonl")  # only such files are ever read or removed here


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished case: its record, and the text of the options that were given for its test."""

    record: Record
    options: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a journal holds."""

    path: Path
    run: Run  # without its records
    selection: str = ""  # which tests were asked for, as text
    entries: tuple[Entry, ...]
    whole: bool  # whether the run came to its end with every case


# Open ones. A forked child (a loader of data, say) inherits their locks, and would hold them after its parent's end.
_OPEN: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """Writes the journal of one run.

    A journal that cannot be written costs the run nothing but its protection: lines wait for the next attempt, and
    ``problem`` says why while some are missing on the disk.
    """

    def __init__(self, folder: Path, run: Run, *, selection: str = "", kept: Iterable[Entry] = ()) -> None:
        """Prepare the journal of *run*, whose records are not written, in *folder*, which is made where it is missing.

        Args:
            folder: of the journals of a project.
            run: that begins.
            selection: which tests were asked for, as text; only the same may go on with this run.
            kept: the cases that were taken over from an earlier run.

        """
        self.path = folder / f"{run.id}.jsonl"
        self.problem: RunFileError | None = None
        self._descriptor: int | None = None
        header = {"schema": codec.SCHEMA, "run": codec.encode_header(run), "selection": selection}
        self._unwritten = [_line(header), *map(_line_of, kept)]
        self._has_kept = len(self._unwritten) > 1
        _OPEN.add(self)

    def add(self, entry: Entry) -> None:
        """Write a finished case, to the disk."""
        self._unwritten.append(_line_of(entry))
        self._write()

    def close(self, *, whole: bool) -> None:
        """End the journal; *whole* says that every case of the run has ended."""
        has_cases = self._has_kept or self._descriptor is not None or self.problem is not None
        if whole and has_cases:
            self._unwritten.append(_line({"whole": True}))
            self._write()
        self.let_go()

    def let_go(self) -> None:
        """Close the file, without a word to it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self) -> None:
        data = b"".join(self._unwritten)
        try:
            if self._descriptor is None:
                self._descriptor = _begin(self.path, data)
            else:
                _append(self._descriptor, data)
        except OSError as error:
            self.problem = failure(self.path, error, fix=_GOES_ON)
        else:
            self.problem = None
            self._unwritten.clear()


def _let_go_of_all() -> None:
    for journal in list(_OPEN):
        journal.let_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_of_all)


def newest_first(folder: Path) -> list[Path]:
    """Return the journals in *folder*, that of the run which began last first."""
    return sorted(_journals(folder), key=lambda path: path.name, reverse=True)


def selection_of(path: Path) -> str | None:
    """Return which tests the run of the journal *path* was asked for; None for a file without a readable header."""
    try:
        with path.open("rb") as file:
            header = parse(file.readline())
    except (OSError, RunFileError):
        return None
    told = header.get("selection") if isinstance(header, dict) else None
    return told if isinstance(told, str) else None


def read_journal(path: Path) -> Stored | None:
    """Return what the journal *path* holds, or None where not even its header was finished.

    A last line that was cut short is left out.

    Raises:
        RunFileError: for a file that cannot be read or is damaged (names the line), or that a running process writes.

    """
    if is_live(path):
        raise RunFileError(
            f"{path} cannot be resumed", why="its run has not ended", fix="wait for it, or leave --sd-resume out"
        )
    *lines, _cut = read_whole(path, most_bytes=_MOST_BYTES).split(b"\n")
    values = [_parsed(path, number, line) for number, line in enumerate(lines, start=1)]
    if not values:
        return None
    schema = values[0].get("schema")
    if schema != codec.SCHEMA:
        why = f"its schema is {schema!r}, and this version writes {codec.SCHEMA}"
        raise RunFileError(f"{path} is not read", why=why, fix=_START_ANEW)
    try:
        run = codec.decode_header(values[0].get("run"))
        selection = convert(values[0].get("selection", ""), str, "line 1.selection")
        entries = [
            Entry(
                record=codec.decode_record(value.get("record"), f"line {number}"),
                options=convert(value.get("options"), dict[str, str], f"line {number}.options"),
            )
            for number, value in enumerate(values[1:], start=2)
            if "whole" not in value
        ]
    except RunFileError as error:
        raise RunFileError(f"{path} cannot be read: {error.what}", why=error.why, fix=_START_ANEW) from None
    return Stored(path=path, run=run, selection=selection, entries=tuple(entries), whole="whole" in values[-1])


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = parse(line)
    except RunFileError as error:
        raise RunFileError(f"{path}, line {number}: {error.what}", why=error.why, fix=_START_ANEW) from None
    if not isinstance(value, dict):
        raise RunFileError(f"{path}, line {number}: no object", fix=_START_ANEW)
    return value


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _line_of(entry: Entry) -> bytes:
    return _line({"record": codec.encode_record(entry.record), "options": dict(entry.options)})


def _begin(path: Path, data: bytes) -> int:
    make_folder(path.parent)
    place_new(path, data)
    descriptor = open_to_append(path)
    lock(descriptor)
    _prune(path.parent)
    return descriptor


def _append(descriptor: int, data: bytes) -> None:
    before = os.lseek(descriptor, 0, os.SEEK_END)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):  # half a line must not run into the next one
            os.ftruncate(descriptor, before)
        raise


def make_folder(folder: Path) -> None:
    """Make the folder of the journals, which git is told to ignore.

    Raises:
        OSError: where it cannot be made, or is a link.
    """
    if folder.is_symlink():  # whoever sent us the project does not choose where else we write, and remove
        raise OSError(errno.ELOOP, "")
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        place_new(folder / ".gitignore", b"# made by pytest-sdbatch\n*\n")


def _journals(folder: Path) -> list[Path]:
    if folder.is_symlink():
        return []
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return [path for path in found if stat.S_ISREG(path.lstat().st_mode)]
    except OSError:
        return []  # no folder, or one that is being cleared


def _prune(folder: Path) -> None:
    journals = newest_first(folder)
    seen: Counter[str | None] = Counter()
    for number, path in enumerate(journals):
        selection = selection_of(path)
        seen[selection] += 1
        if (seen[selection] > KEPT or number >= KEPT_IN_ALL) and not is_live(path):
            with contextlib.suppress(OSError):  # another process was quicker
                path.unlink()


def lock(descriptor: int) -> None:
    """Say, for as long as *descriptor* is open, that this process writes its file."""
    # Held until the process ends, however it ends. Windows has no such lock, and refuses to remove open files.
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)  # others hold it for as long as they look


def is_live(path: Path) -> bool:
    """Return whether a process that is running writes the file *path*."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False
