"""The journal of a run: a line per finished case, on the disk before the next case begins.

``.sdbatch/<run>.jsonl`` holds a header line, then a line per record, and a last line once the run ended whole. A
process that is killed leaves what it had finished; at most its last line is cut short.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Record, Run
from pytest_sdbatch.storage import codec
from pytest_sdbatch.storage.exclusive import failure, open_new, read_whole, write_all
from pytest_sdbatch.storage.plain import parse

FOLDER = ".sdbatch"
KEPT = 5  # journals in a folder, the newest included

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
    entries: tuple[Entry, ...]
    whole: bool  # whether the run came to its end with every case


class Journal:
    """Writes the journal of one run.

    A journal that cannot be written costs the run nothing but its protection: the first problem stays in ``problem``,
    and later lines are tried again.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        """Begin the journal of *run*, whose records are not written, in *folder*, which is made where it is missing."""
        self.path = folder / f"{run.id}.jsonl"
        self.problem: RunFileError | None = None
        self._descriptor: int | None = None
        try:
            _make(folder)
            self._descriptor = open_new(self.path)
            _lock(self._descriptor)
        except OSError as error:
            self.problem = failure(self.path, error, fix=_GOES_ON)
        self._write({"schema": codec.SCHEMA, "run": codec.encode_header(run)})
        _prune(folder)

    def add(self, entry: Entry) -> None:
        """Write a finished case, to the disk."""
        self._write({"record": codec.encode_record(entry.record), "options": dict(entry.options)})

    def close(self, *, whole: bool) -> None:
        """End the journal; *whole* says that every case of the run has ended."""
        if whole:
            self._write({"whole": True})
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._descriptor is None:
            return
        before = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            write_all(self._descriptor, json.dumps(line, separators=(",", ":"), allow_nan=False).encode() + b"\n")
            os.fsync(self._descriptor)
        except OSError as error:
            self.problem = self.problem or failure(self.path, error, fix=_GOES_ON)
            with contextlib.suppress(OSError):  # half a line must not run into the next one
                os.ftruncate(self._descriptor, before)


def latest(folder: Path) -> Path | None:
    """Return the journal that was begun last in *folder*."""
    return max(_journals(folder), default=None, key=lambda path: path.name)


def read_journal(path: Path) -> Stored | None:
    """Return what the journal *path* holds, or None where not even its header was finished.

    A last line that was cut short is left out.

    Raises:
        RunFileError: for a file that cannot be read or is damaged (names the line), or that a running process writes.

    """
    if _is_live(path):
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
        entries = [
            Entry(record=codec.decode_record(value.get("record"), f"line {number}"), options=value.get("options", {}))
            for number, value in enumerate(values[1:], start=2)
            if "whole" not in value
        ]
    except RunFileError as error:
        raise RunFileError(f"{path} cannot be read: {error.what}", why=error.why, fix=_START_ANEW) from None
    return Stored(path=path, run=run, entries=tuple(entries), whole="whole" in values[-1])


def _parsed(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = parse(line)
    except RunFileError as error:
        raise RunFileError(f"{path}, line {number}: {error.what}", why=error.why, fix=_START_ANEW) from None
    if not isinstance(value, dict):
        raise RunFileError(f"{path}, line {number}: no object", fix=_START_ANEW)
    return value


def _make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        descriptor = open_new(folder / ".gitignore")
        try:
            write_all(descriptor, b"# made by pytest-sdbatch\n*\n")
        finally:
            os.close(descriptor)


def _journals(folder: Path) -> list[Path]:
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
        return [path for path in found if stat.S_ISREG(path.lstat().st_mode)]
    except OSError:
        return []  # no folder, or one that is being cleared


def _prune(folder: Path) -> None:
    for path in sorted(_journals(folder), key=lambda path: path.name)[:-KEPT]:
        if not _is_live(path):
            with contextlib.suppress(OSError):  # another process was quicker
                path.unlink()


def _lock(descriptor: int) -> None:
    # Held until the process ends, however it ends. Windows has no such lock, and refuses to remove open files.
    with contextlib.suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_live(path: Path) -> bool:
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
