"""The project as it is sent to the nodes: a zip of what git would keep, without what is too large to travel."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_sdbatch import units
from pytest_sdbatch.commands.ab.repository import without_hook
from pytest_sdbatch.commands.cluster.errors import ClusterError

LARGE_BYTES = 64 * 2**20  # of a file that stays here: weights, which no test file is
MOST_BYTES = 500 * 2**20  # of all of them: what Ray takes
_TIMEOUT_S = 60.0  # of git
# Made by tools, and made again by them.
_NO_PROJECT = {
    ".git", ".hg", ".sdbatch", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", ".tox", ".nox", ".venv",
    "venv", "__pycache__", "node_modules",
}  # fmt: skip
_HIDDEN = {".coveragerc", ".pytest.ini", ".pytest.toml"}  # that belong to a project which git does not know
_NAMED = 3  # files in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What is sent."""

    path: Path  # the zip
    files: int
    size_bytes: int  # of the files
    left_out: tuple[tuple[str, int], ...]  # files that are too large, from the root, with their bytes: largest first

    @property
    def said(self) -> str:
        """What was left out, in words; no text where nothing was."""
        return left_out_line(self.left_out)


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
    sizes = sorted(((name, (root / name).stat().st_size) for name in _files(root)), key=lambda found: -found[1])
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
    return Packed(path=target, files=len(sent), size_bytes=total, left_out=left_out)


def _named(files: Sequence[tuple[str, int]]) -> str:
    more = ", ..." if len(files) > _NAMED else ""
    return ", ".join(f"{name} ({units.memory(size)})" for name, size in files[:_NAMED]) + more


def _files(root: Path) -> list[str]:
    """Return the files of the project, from its *root*: those that git knows or would, or all that are there."""
    names = _of_git(root) or list(_walk(root))  # of a folder that git ignores it knows nothing
    environments = {str(Path(name).parent) for name in names if Path(name).name == "pyvenv.cfg"}
    return [name for name in names if _belongs(Path(name), environments) and (root / name).is_file()]


def _belongs(path: Path, environments: set[str]) -> bool:
    folders = path.parts[:-1]
    return _NO_PROJECT.isdisjoint(folders) and not any(str(parent) in environments for parent in path.parents)


def _of_git(root: Path) -> list[str]:
    """Return the files that git knows or would; none: *root* lies in no clone, or git ignores it.

    Raises:
        ClusterError: where it lies in a clone of which git does not tell, for what is ignored must not be sent.
    """
    command = ["git", "-C", str(root), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
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
        for name in sorted(files):
            if name.startswith(".") and name not in _HIDDEN:  # keys and passwords: .env, .netrc
                continue
            yield (Path(folder) / name).relative_to(root).as_posix()
