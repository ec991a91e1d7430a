"""Files that are written whole or not at all, and never over another's."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.storage.meant import meant

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_WHY = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than this process may write",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the folder is not writable",
    errno.EPERM: "the folder is not writable",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is no folder",
    errno.ENAMETOOLONG: "the name is too long for this file system",
    errno.ELOOP: "a part of the path is a symbolic link",
}


def check_target(path: Path, *, create_parents: bool = False, over: bool = False) -> None:
    """Refuse what :func:`write_new` would refuse, before anything is measured.

    Args:
        path: where a run file is to be written.
        create_parents: whether missing folders will be made.
        over: whether the file is there already, and known to be one that may be replaced.

    Raises:
        RunFileError: for another suffix than ``.json``, a path that exists (be it a link to nothing), a folder that
            is missing or not writable.

    """
    if not path.name.isprintable():
        raise RunFileError(f"{str(path)!r} cannot be written", why="its name has control characters")
    if path.suffix.lower() != ".json":
        raise RunFileError(
            f"{path} cannot be written",
            why="only .json run files are written",
            fix=f"name it {path.with_suffix('.json') if path.name else 'run.json'}",
        )
    check_place(path, create_parents=create_parents, over=over)


def check_place(path: Path, *, create_parents: bool = False, over: bool = False) -> None:
    """Refuse a file of any kind that cannot be written at *path*; arguments as in :func:`check_target`.

    Raises:
        RunFileError: for a path that exists unless *over*, a folder that is missing or not writable.

    """
    try:
        if not over:
            check_free(path)
        folder = path.parent
        while create_parents and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            why = "is no folder" if folder.exists() else "does not exist"
            raise RunFileError(f"{path} cannot be written", why=f"{folder} {why}", fix="make the folder first")
    except OSError as error:
        raise failure(path, error) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunFileError(f"{path} cannot be written", why=f"the folder {folder} is not writable")


def write_new(path: Path, data: bytes | bytearray, *, create_parents: bool = False, over: bool = False) -> None:
    """Write *data* to *path*, which must not exist unless *over*; readers see the whole file, the old one, or none.

    The data goes to a file of another name in the same folder and gets its own name only when it is on the disk.
    Where the file system has no hard links the name is claimed by an empty file, which is then replaced: a reader
    in between finds it empty.

    Raises:
        RunFileError: for what :func:`check_target` refuses, and a disk that is full. Nothing is left behind.

    """
    check_target(path, create_parents=create_parents, over=over)
    try:
        if create_parents:
            path.parent.mkdir(parents=True, exist_ok=True)
        place_new(path, data, over=over)
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        raise failure(path, error) from None


def place_new(path: Path, data: bytes | bytearray, *, over: bool = False) -> None:
    """Do what :func:`write_new` does, for a file of any kind in a folder that exists.

    Raises:
        OSError: where it cannot be written. Nothing is left behind.

    """
    temporary = path.with_name(f".sdbatch-{secrets.token_hex(8)}.tmp")
    try:
        _fill(temporary, data)
        if over:
            temporary.replace(path)
        else:
            _give_name(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_folder(path.parent)


def read_whole(path: Path, *, most_bytes: int) -> bytes:
    """Return the content of the plain file *path*.

    Raises:
        RunFileError: for a file that is missing, a link, no plain file, not readable, or larger than *most_bytes*.

    """
    # Without O_NONBLOCK the opening of a named pipe would wait for a writer.
    flags = os.O_RDONLY | _flag("O_NOFOLLOW") | _flag("O_NONBLOCK") | _flag("O_BINARY")
    try:
        if path.is_symlink():
            raise RunFileError(f"{path} is not read", why="it is a symbolic link", fix="name the file it points to")
        with os.fdopen(os.open(path, flags), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise RunFileError(f"{path} is not read", why="it is no plain file")
            data = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise RunFileError(f"{path} does not exist", fix=meant(path)) from None
    except IsADirectoryError:
        raise RunFileError(f"{path} is not read", why="it is a folder", fix=meant(path)) from None
    except (OSError, ValueError) as error:
        raise RunFileError(f"{path} is not read", why=str(error)) from None
    if len(data) > most_bytes:
        raise RunFileError(f"{path} is not read", why=f"it is larger than {most_bytes / 2**20:g} MiB")
    return data


@contextlib.contextmanager
def reading(file: str) -> Iterator[None]:
    """Name *file* in the errors of what is read from its content; :func:`read_whole` names it itself."""
    try:
        yield
    except RunFileError as error:
        raise RunFileError(f"{file} cannot be read: {error.what}", why=error.why, fix=error.fix) from None


def _flag(name: str) -> int:
    return int(getattr(os, name, 0))  # each system has its own set


def check_free(path: Path) -> None:
    """Raise RunFileError where something is at *path*, be it a link to nothing.

    Raises:
        OSError: where that cannot be seen.

    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise RunFileError(f"{path} cannot be written", why="it is a folder")
    if stat.S_ISLNK(mode):
        raise RunFileError(f"{path} cannot be written", why="it is a symbolic link", fix="name the file itself")
    raise _taken(path)


def open_new(path: Path) -> int:
    """Open *path*, which must not exist, for writing and return its descriptor.

    Raises:
        OSError: where it exists, be it as a link to nothing, or cannot be made.

    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _flag("O_NOFOLLOW") | _flag("O_BINARY")
    return os.open(path, flags, 0o644)


def open_to_append(path: Path) -> int:
    """Open *path*, which must exist and be no link, and return its descriptor.

    Raises:
        OSError: where it is a link, or cannot be opened.

    """
    return os.open(path, os.O_WRONLY | os.O_APPEND | _flag("O_NOFOLLOW") | _flag("O_BINARY"))


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write *data* to the last byte: a disk that is nearly full takes only a part at a time."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def failure(
    path: Path, error: OSError, *, fix: str = "name a file in a folder with room that you may write"
) -> RunFileError:
    """Return *error* of writing *path* in words."""
    return RunFileError(
        f"{path} cannot be written", why=_WHY.get(error.errno or 0, error.strerror or str(error)), fix=fix
    )


def _fill(temporary: Path, data: bytes | bytearray) -> None:
    descriptor = open_new(temporary)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _give_name(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _claim_and_replace(temporary, path)


def _claim_and_replace(temporary: Path, path: Path) -> None:
    os.close(open_new(path))
    try:
        temporary.replace(path)
    except BaseException:
        path.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows opens no folders, some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _taken(path: Path) -> RunFileError:
    return RunFileError(f"{path} exists", why="a run file is never written over", fix="choose another name, or move it")
