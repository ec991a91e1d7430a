"""The project as it is sent to the nodes: a zip of what git would keep, without what is too large to travel."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.repository import without_hook
from pytest_sdbatch.commands.cluster.errors import ClusterError

LARGE_BYTES = 64 * 2**20  # of a file that stays here: weights, which no test file is
MOST_BYTES = 500 * 2**20  # of all of them: what Ray takes
_TIMEOUT_S = 60.0  # of git
# Made by tools, and made again by them; but what git tracks of it is somebody's.
_NO_PROJECT = {
    ".git", ".hg", ".sdbatch", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".venv",
    "venv", "__pycache__", "node_modules", "site-packages",
}  # fmt: skip
_HIDDEN = {".coveragerc", ".pytest.ini", ".pytest.toml"}  # that belong to a project which git does not know
_NAMED = 3  # files in a message
# Why a file is not sent, other than for its size.
_REPOSITORY = "repositories of their own"
_LINK = "links to folders of which git keeps nothing here"
_NAME = "names that are not UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What is sent."""

    path: Path  # the zip
    files: int
    size_bytes: int  # of the files
    left_out: tuple[tuple[str, int], ...]  # files that are too large, from the root, with their bytes: largest first
    not_sent: Mapping[str, tuple[str, ...]]  # by why: what else is not sent

    @property
    def said(self) -> str:
        """What was left out, in words; no text where nothing was."""
        others = (f"not sent, {why}: {_some(names, len(names))}" for why, names in self.not_sent.items())
        return "; ".join(filter(None, (left_out_line(self.left_out), *others)))


def left_out_line(files: Sequence[tuple[str, int]]) -> str:
    """Return in words that *files*, each with its bytes, are not sent; no text where there are none."""
    if not files:
        return ""
    size = units.memory(sum(size for _, size in files))
    count = units.count(len(files), "file")
    return f"not sent, over {units.memory(LARGE_BYTES)}: {count}, {size}: {_named(files)}"


def pack(root: Path, target: Path, *, large_bytes: int = LARGE_BYTES, most_bytes: int = MOST_BYTES) -> Packed:
    """Write the project in *root* to the zip *target*.

    Args:
        root: of the project.
        target: a new file.
        large_bytes: a file that is larger is left out.
        most_bytes: of all files together.

    Raises:
        ClusterError: where that is too much, and what takes most of it; where it is not known what belongs to the
            project; and for a file that cannot be read.

    """
    _check_project(root)
    try:
        return _packed(root, target, large_bytes=large_bytes, most_bytes=most_bytes)
    except OSError as error:
        raise ClusterError(
            f"the project in {root} cannot be sent: {error.filename or target}", why=str(error.strerror or error)
        ) from None


def _check_project(root: Path) -> None:
    """Refuse a folder that holds more than a project: keys, and what other programs have there."""
    try:
        home = Path.home().resolve()
    except RuntimeError:  # of a user whom nobody knows, as in a container
        home = root.parent
    if home.is_relative_to(root) or root == root.parent:
        raise ClusterError(
            f"{root} is no project",
            why="all that lies in it would be sent to the nodes",
            fix="call it in the folder of the project",
        )


def _packed(root: Path, target: Path, *, large_bytes: int, most_bytes: int) -> Packed:
    files, not_sent = _files(root)
    sizes = sorted(((name, (root / name).stat().st_size) for name in files), key=lambda found: -found[1])
    left_out = tuple((name, size) for name, size in sizes if size > large_bytes)
    sent = sizes[len(left_out) :]
    total = sum(size for _, size in sent)
    if total > most_bytes:
        raise ClusterError(
            f"the project in {root} is too large to be sent to the nodes: {units.memory(total)}",
            why=f"a cluster takes {units.memory(most_bytes)}; the largest files are {_named(sent)}",
            fix="let git ignore what benchmarks do not need, or call it in the folder of the project alone",
        )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for name, _ in sorted(sent):
            archive.write(root / name, name)
    return Packed(path=target, files=len(sent), size_bytes=total, left_out=left_out, not_sent=not_sent)


def _named(files: Sequence[tuple[str, int]]) -> str:
    return _some([f"{name} ({units.memory(size)})" for name, size in files[:_NAMED]], len(files))


def _some(names: Sequence[str], count: int) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if count > _NAMED else "")


def _files(root: Path) -> tuple[list[str], Mapping[str, tuple[str, ...]]]:
    """Return the files of the project, from its *root*, and by why what of it is not sent, as it is shown.

    The files are those that git knows or would, or all that are there.
    """
    tracked, others = _of_git(root, "--cached"), _of_git(root, "--others", "--exclude-standard")
    if not tracked and not others:
        others = list(_walk(root))  # of a folder that git ignores it knows nothing
    environments = {folder for name in others if Path(name).name == "pyvenv.cfg" and (folder := Path(name).parent).name}
    names = dict.fromkeys((*tracked, *(name for name in others if _belongs(Path(name), environments))))
    found: dict[str, None] = {}
    not_sent: dict[str, list[str]] = {}
    for name in names:
        path = root / name
        if path.is_symlink() and path.is_dir():
            through = list(_through(root.resolve(), name, names))
            found.update(dict.fromkeys(through))
            if not through:
                not_sent.setdefault(_LINK, []).append(name)
        elif path.is_file():
            found[name] = None
        elif (path / ".git").exists():  # git keeps which commit it is at, or nothing at all
            not_sent.setdefault(_REPOSITORY, []).append(name.rstrip("/"))
    nameless = [name for name in found if not _has_text(name)]  # a zip has no place for them
    if nameless:
        not_sent[_NAME] = nameless
    return [name for name in found if _has_text(name)], {why: _shown(names) for why, names in not_sent.items()}


def _through(root: Path, link: str, names: Collection[str], passed: tuple[Path, ...] = ()) -> Iterator[str]:
    """Yield the files that are reached by *link* to a folder, as if they lay there: a zip has no links.

    Args:
        root: of the project, without links.
        link: its name, from the root.
        names: all that belongs to the project: of another folder nothing is sent.
        passed: the folders through which it was reached; no one is entered twice.

    """
    target = (root / link).resolve()
    if target in passed or (root / link).parent.resolve().is_relative_to(target) or not target.is_relative_to(root):
        return
    start = f"{target.relative_to(root).as_posix()}/"
    for name in names:
        if not name.startswith(start):
            continue
        path, there = root / name, f"{link}/{name.removeprefix(start)}"
        if path.is_symlink() and path.is_dir():
            yield from _through(root, there, names, (*passed, target))
        elif path.is_file():
            yield there


def _has_text(name: str) -> bool:
    return _shown([name]) == (name,)


def _shown(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(os.fsencode(name).decode("utf-8", "backslashreplace") for name in names)


def _belongs(path: Path, environments: set[Path]) -> bool:
    """Return whether *path*, which git does not know, is part of the project: no tool made it, or its folder."""
    return _NO_PROJECT.isdisjoint(path.parts) and environments.isdisjoint(path.parents)


def _of_git(root: Path, *which: str) -> list[str]:
    """Return *which* files git lists, from *root*; none: there are none, it lies in no clone, or git ignores it.

    Raises:
        ClusterError: where it lies in a clone of which git does not tell, for what is ignored must not be sent.
    """
    command = ["git", "-C", str(root), "ls-files", *which, "-z"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            env=without_hook(dict(os.environ)),
            check=False,
        )
        said = "" if done.returncode == 0 else os.fsdecode(done.stderr).strip() or f"it ended with {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        said = str(error)
    if not said:
        return list(dict.fromkeys(os.fsdecode(name) for name in done.stdout.split(b"\0") if name))
    if any((folder / ".git").exists() for folder in (root, *root.parents)):
        raise ClusterError(
            f"{root}: git does not tell what belongs to the project",
            why=said,
            fix=f"mend what this says: git -C {root} ls-files",
        )
    return []


def _walk(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NO_PROJECT and not name.startswith("."))
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in sorted((*files, *links)):
            if name.startswith(".") and name not in _HIDDEN:  # keys and passwords: .env, .netrc
                continue
            yield (Path(folder) / name).relative_to(root).as_posix()
