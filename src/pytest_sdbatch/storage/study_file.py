"""A learning study on the disk: one JSON file, and while it runs a folder with a file for each run that has ended."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from pytest_sdbatch import units
from pytest_sdbatch.analysis.learning_curve import End
from pytest_sdbatch.analysis.learning_runs import Part, Study, TrainingRun
from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.exclusive import check_target, failure, place_new, read_whole, reading, write_new
from pytest_sdbatch.storage.journal import make_folder
from pytest_sdbatch.storage.plain import parse, to_plain
from pytest_sdbatch.storage.strict import convert

if TYPE_CHECKING:
    from pytest_sdbatch.training.study import NoisePart

SCHEMA = 1
MOST_BYTES = 64 * 2**20
_KIND = "sdbatch-study"
_END = 1024  # bytes in which a file says what it is: another program may have sorted its keys
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    kind: str
    schema: int
    content: Any


def write_study(path: Path, study: Study) -> None:
    """Write *study* to the new file *path*; it appears whole or not at all.

    Raises:
        RunFileError: for a path that is taken or cannot be written, or a number that is not finite.

    """
    check_target(path)
    write_new(path, _text(study))


def read_study(path: Path) -> Study:
    """Return the study that *path* holds, as it was written; a file that is damaged is refused.

    Raises:
        RunFileError: names the file, and the key that is wrong.

    """
    return _read(path, Study)


def is_study(path: Path) -> bool:
    """Return whether *path* says at one of its ends that it is a study; what cannot be read is none."""
    try:
        with path.open("rb") as file:
            ends = file.read(_END)
            file.seek(max(file.seek(0, os.SEEK_END) - _END, 0))
            ends += file.read(_END)
    except OSError:
        return False
    return re.search(rb'"kind"\s*:\s*"sdbatch-study"', ends) is not None


class StudyJournal:
    """Where the parts of a study are kept until all have ended. See :class:`pytest_sdbatch.training.study.Keeper`.

    Args:
        folder: of this study alone: its name says what is measured.

    """

    _LOCK = "lock"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.begun = False  # whether a run was interrupted in it
        self._lock: IO[bytes] | None = None

    def begin(self, *, resume: bool) -> int:
        """Make the folder, empty unless *resume*, and return how many runs it holds; no other process may come in.

        Raises:
            RunFileError: for runs that *resume* would keep, where it is not asked for: they may have taken hours, and
                so may one that has not ended. For a study that another process is making.

        """
        try:
            make_folder(self.folder.parent)
            if self.folder.is_symlink():  # as there: nobody else chooses where we write, and remove
                raise OSError(errno.ELOOP, "")
            self.folder.mkdir(exist_ok=True)
            self._claim()
            found = len(list(self.folder.glob("run-*.json")))
            self.begun = any(self.folder.glob("state-*.safetensors"))
            if not resume and (found or self.begun):
                kept = f"{units.count(found, 'run')} of" if found else "a part of a run of"
                raise RunFileError(
                    f"{kept} an interrupted study of the same options {'are' if found > 1 else 'is'} kept in "
                    f"{self.folder}",
                    fix="--resume goes on with it; to begin anew, remove that folder",
                )
            for path in self.folder.iterdir() if not resume else ():
                if path.name != self._LOCK:
                    path.unlink()
        except OSError as error:
            raise failure(self.folder, error, fix="run in a folder that you may write") from None
        return found

    def end(self) -> None:
        """Forget all parts."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let other processes in; a folder in which nothing was kept goes."""
        if self._lock is not None:
            with contextlib.suppress(OSError):
                if [path.name for path in self.folder.iterdir()] == [self._LOCK]:
                    shutil.rmtree(self.folder)
            self._lock.close()
            self._lock = None

    def _claim(self) -> None:
        """Keep other processes out until this one ends, however it ends; not all systems can."""
        if self._lock is not None:
            return
        lock = (self.folder / self._LOCK).open("ab")
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()  # and nothing else: the folder is the other's, who may not have kept anything yet
                raise RunFileError(
                    f"another process is making this study, in {self.folder}", fix="wait for it, or interrupt it"
                ) from None
            except OSError:  # a file system that has no locks
                pass
        self._lock = lock

    def run(self, name: str) -> TrainingRun | None:
        """Return the finished run called *name*; None: it has not ended."""
        path = self._path(f"run-{name}.json")
        return _read(path, TrainingRun) if path.exists() else None

    def keep_run(self, run: TrainingRun) -> None:
        """Keep a finished run; the state it was interrupted in is of no use any more."""
        self._keep(f"run-{run.name}.json", _text(run))
        with contextlib.suppress(OSError):
            self._path(f"state-{run.name}.safetensors").unlink()

    def noise(self) -> NoisePart | None:
        """Return what was read of gradients; None: nothing yet."""
        from pytest_sdbatch.training.study import NoisePart

        path = self._path("noise.json")
        return _read(path, NoisePart) if path.exists() else None

    def keep_noise(self, noise: NoisePart) -> None:
        """Keep what was read of gradients."""
        self._keep("noise.json", _text(noise))

    def state(self, name: str) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """Return the state in which the run called *name* was interrupted; None: there is none."""
        from pytest_sdbatch.training.state import load_state

        return load_state(self._path(f"state-{name}.safetensors"))

    def keep_state(self, name: str, tensors: Mapping[str, Any], numbers: Mapping[str, Any]) -> None:
        """Keep a state, over the one before."""
        from pytest_sdbatch.training.state import state_bytes

        self._keep(f"state-{name}.safetensors", state_bytes(tensors, numbers))

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _keep(self, name: str, data: bytes) -> None:
        path = self._path(name)
        try:
            place_new(path, data, over=True)
        except OSError as error:
            raise failure(path, error, fix="make room: what has ended is kept there") from None


def _text(part: Any) -> bytes:
    content = to_plain(dataclasses.asdict(part))
    document = {"kind": _KIND, "schema": SCHEMA, "content": content}
    return (json.dumps(document, indent=1, allow_nan=False) + "\n").encode("ascii")


def _read(path: Path, kind: type[T]) -> T:
    data = read_whole(path, most_bytes=MOST_BYTES)
    with reading(str(path)):
        return _content(parse(data), kind)


def _content(value: Any, kind: type[T]) -> T:
    if isinstance(value, dict) and value.get("kind") != _KIND:
        raise RunFileError("kind: it is no learning study", why="sdbatch study -o FILE.json writes one")
    document = convert(value, _Document, "")
    if document.schema != SCHEMA:
        raise RunFileError(
            f"schema: {document.schema}, and this version reads {SCHEMA}",
            why="another version of pytest-sdbatch wrote it",
        )
    found = convert(document.content, kind, "content")
    runs = found.runs if isinstance(found, Study) else (found,) if isinstance(found, TrainingRun) else ()
    for index, run in enumerate(runs):
        _check_run(run, f"content.runs[{index}]")
    if isinstance(found, Study):
        _check_study(found)
    return found


def _check_study(study: Study) -> None:
    """Refuse what no study can have been: tables and claims follow from a table of runs, and are held against it."""
    if study.target <= 0:
        raise RunFileError(f"content.target: {study.target} is no loss")
    if not study.sizes:
        raise RunFileError("content.runs: none of a constant batch size on all of the data, which a study begins with")
    for index, run in enumerate(study.runs):
        if run.part is Part.COUNT and run.batch_size not in study.sizes:
            raise RunFileError(f"content.runs[{index}]: short epochs of a batch size that the table lacks")


def _check_run(run: TrainingRun, path: str) -> None:
    """Refuse what no run can have been."""
    if run.batch_size < 1 or run.rate <= 0 or (run.batch_count is not None and run.batch_count < 1):
        raise RunFileError(f"{path}: a size or count below 1, or a rate that is not above 0")
    if not run.evaluations or run.evaluations[0].steps != 0:
        raise RunFileError(f"{path}.evaluations: the first is that before any step")
    for before, after in itertools.pairwise(run.evaluations):
        if after.examples <= before.examples or after.steps <= before.steps or after.seconds < before.seconds:
            raise RunFileError(f"{path}.evaluations: not in the order of their steps")
    losses = [loss for found in run.evaluations for loss in (found.held_out_loss, found.train_loss)]
    if min(losses) <= 0:
        raise RunFileError(f"{path}.evaluations: a loss that is not above 0")
    if run.end is End.DIVERGED and not run.reason:
        raise RunFileError(f"{path}.reason: a run that diverged says where")
