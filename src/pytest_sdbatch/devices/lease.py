"""Leases: two processes never time on the same GPU, or on the same cores, at once.

A lease is a lock file that the system gives back when its process ends, however it ends. It holds among the processes
of one user on one machine; what other users do is seen as foreign processes, not kept out.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pytest_sdbatch.errors import DeviceError, DeviceInUse

PLACE = "SDBATCH_LEASES"  # the variable that names another folder
_LOOK_AGAIN_S = 0.25
_ANOTHER_PLACE = f"set {PLACE} to a folder of your own, on a disk of this machine"
_TEMPORARY = "/tmp"  # the same for all jobs, unlike what TMPDIR names
_PRESENT = "cores-"  # and the number of a process: the name under which it says that it times on cores


class Lease:
    """What one process times on, until it ends or gives it back."""

    def __init__(self, names: tuple[str, ...], locks: Sequence[Any]) -> None:
        self.names = names
        self._locks = tuple(locks)

    def give_back(self) -> None:
        """Let others have it."""
        for lock in self._locks:
            lock.release()


def take(
    names: Sequence[str], *, wait_s: float, on_wait: Callable[[str], None] | None = None, folder: Path | None = None
) -> Lease:
    """Take all of *names*, waiting for those that another process holds.

    Args:
        names: of the things: ``gpu-3f2a...``, ``cpu-0``; taken in this order, the same for all processes.
        wait_s: seconds to wait at most, for all of them together.
        on_wait: told once, in words, what is waited for and who holds it.
        folder: where the lock files lie; None: a private folder of this user.

    Raises:
        DeviceInUse: where one of them is not given back in time.
        DeviceError: where the folder is not private, or no lock can be kept in it.

    """
    import filelock

    if not names:
        return Lease((), ())
    end = time.monotonic() + wait_s
    locks: list[Any] = []
    try:
        where = folder or private_folder()
        for name in names:
            lock = filelock.FileLock(where / f"{name}.lock", timeout=0)
            _wait_for(lock, name, where / f"{name}.holder", end, on_wait)
            locks.append(lock)
    except BaseException as error:
        for taken in locks:
            taken.release()
        # A folder that cannot be written, a full disk, a file system without locks (which filelock says this way).
        if isinstance(error, (OSError, NotImplementedError)):
            raise DeviceError(
                f"no lease of {', '.join(names)} can be kept",
                why=f"{type(error).__name__}: {error}",
                fix=_ANOTHER_PLACE,
            ) from error
        raise
    return Lease(tuple(names), locks)


def take_any(choices: Sequence[Sequence[str]], *, wait_s: float, on_wait: Callable[[str], None] | None = None) -> Lease:
    """Take all names of one of *choices*: of the first that is free, else of the first once it is given back.

    Raises:
        DeviceError: as :func:`take`.

    """
    if len(choices) > 1:
        for names in choices:
            with contextlib.suppress(DeviceInUse):
                return take(names, wait_s=0)
    return take(choices[0], wait_s=wait_s, on_wait=on_wait)


def be_present() -> Lease:
    """Say, until the lease is given back, that this process times on cores of this machine; it keeps nobody off them.

    Raises:
        DeviceError: as :func:`take`.

    """
    return take([f"{_PRESENT}{os.getpid()}"], wait_s=4 * _LOOK_AGAIN_S)  # somebody may just be looking


def others_present() -> tuple[int, ...]:
    """Return the numbers of the other processes that said so and have not ended.

    Raises:
        DeviceError: where the folder is not private.

    """
    import filelock

    found = []
    for path in sorted(private_folder().glob(f"{_PRESENT}*.lock")):
        number = int(path.stem.removeprefix(_PRESENT))
        if number == os.getpid():
            continue
        try:
            with filelock.FileLock(path, timeout=0), contextlib.suppress(OSError):
                path.unlink()  # its process has ended
                path.with_suffix(".holder").unlink()
        except filelock.Timeout:
            found.append(number)
        except OSError:  # it went away meanwhile
            continue
    return tuple(found)


def private_folder() -> Path:
    """Return the folder of this user's leases, made where it is missing: nobody else can write there.

    It does not follow TMPDIR, which batch systems set for each job: one job would not see the other's leases. Nor is it
    the user's folder below /run, which comes and goes with his log-ins.

    Raises:
        DeviceError: where its place is taken by a link, a file, or another user's folder.

    """
    folder = Path(os.environ[PLACE]) if os.environ.get(PLACE) else _usual_folder()
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    why = _not_private(folder.lstat())
    if why is not None:
        raise DeviceError(f"{folder} cannot hold the leases of devices", why=why, fix=f"remove it, or {_ANOTHER_PLACE}")
    return folder


def _usual_folder() -> Path:
    if hasattr(os, "getuid"):
        return Path(_TEMPORARY, f"pytest-sdbatch-{os.getuid()}")
    return Path(tempfile.gettempdir(), f"pytest-sdbatch-{os.environ.get('USERNAME', 'user')}")


def _not_private(status: os.stat_result) -> str | None:
    """Return why somebody else could hold, or take away, what lies there; None where nobody can."""
    if not stat.S_ISDIR(status.st_mode):
        return "it is a link or a file"
    if not hasattr(os, "getuid"):
        return None
    if status.st_uid != os.getuid():
        return f"it belongs to another user (number {status.st_uid})"
    return "other users may look into it or write there (chmod 700 ends that)" if status.st_mode & 0o077 else None


def core_sets(of: int, *, quota: float | None = None) -> list[tuple[int, ...]]:
    """Return even shares of the cores that this process may use, for *of* workers; no more than there are cores.

    Args:
        of: how many workers want one.
        quota: cores' worth of CPU time that all of them may use together; None: all of it.

    """
    known = getattr(os, "sched_getaffinity", None)
    cores = sorted(known(0)) if known is not None else list(range(os.cpu_count() or 1))
    share = min(of, len(cores) if quota is None else max(1, min(len(cores), int(quota))))
    return [tuple(cores[len(cores) * index // share : len(cores) * (index + 1) // share]) for index in range(share)]


def stay_on(cores: Sequence[int], *, threads: bool, most: int | None = None) -> None:
    """Keep this process on *cores*, with as many threads of torch; where the system cannot, with the threads alone.

    Args:
        cores: that it may use.
        most: threads that there are time for, where that is granted for fewer cores; None: for all of them.
        threads: whether to import torch for its threads. Else they are set only where it is there already: imported
            later it starts no more than there are cores, and an application without torch never waits for it.
    """
    can_stay = hasattr(os, "sched_setaffinity")
    if threads or not can_stay or "torch" in sys.modules:
        import torch

        torch.set_num_threads(len(cores) if most is None else max(1, min(len(cores), most)))
    if can_stay:
        # Every thread: those that libraries have started before would go on where they are.
        for thread in _threads():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                os.sched_setaffinity(thread, cores)


def _threads() -> list[int]:
    try:
        return [int(path.name) for path in Path("/proc/self/task").iterdir()]
    except OSError:
        return [0]


def _wait_for(lock: Any, name: str, holder: Path, end: float, on_wait: Callable[[str], None] | None) -> None:
    import filelock

    told = False
    while True:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            who = _read(holder)
            if time.monotonic() >= end:
                raise DeviceInUse(
                    f"{name} is in use by another benchmark{who}",
                    why="two runs at once on one device would measure each other",
                    fix="wait for it or end it, use another device, or wait longer with -o sd_lease_seconds=",
                ) from None
            if on_wait is not None and not told:
                on_wait(f"waiting for {name}, in use by another benchmark{who}")
            told = True
            time.sleep(_LOOK_AGAIN_S)
            continue
        with contextlib.suppress(OSError):
            holder.write_text(str(os.getpid()), encoding="ascii")
        return


def _read(holder: Path) -> str:
    try:
        return f" (process {int(holder.read_text(encoding='ascii'))})"
    except (OSError, ValueError):
        return ""
