"""What git is asked for: where the project lies, which commits the sides are, and a folder with the files of each."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_sdbatch.commands.ab.errors import NoComparison
from pytest_sdbatch.errors import SdbatchError

# A hook of git sets these, and then every command means the repository of the hook.
_OF_HOOKS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")
_FULL = os.strerror(errno.ENOSPC)
_UNWRITTEN = "unable to write file"  # a checkout says no more, and that not in its last line
MAKE_ROOM = "make room for two checkouts there, or name a folder that has it: TMPDIR=FOLDER sdbatch ab ..."


class GitError(SdbatchError):
    """Git refused; *what* is its first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A work tree."""

    root: Path

    def commit_of(self, ref: str) -> str:
        """Return the full hash of *ref*.

        Raises:
            NoComparison: if there is none here; a shallow clone says how to get it.
        """
        try:
            return git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
        except GitError:
            pass
        if git(self.root, "rev-parse", "--is-shallow-repository").strip() == "true":
            raise NoComparison(
                f"--base {ref}: not in this clone",
                why="it is a shallow one, which has the latest commit alone",
                fix="clone it whole: fetch-depth: 0 with actions/checkout, or git fetch --unshallow",
            )
        raise NoComparison(
            f"--base {ref}: no such commit, branch or tag here",
            fix="fetch it (git fetch origin), and see git branch --all",
        )

    def changes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the paths that differ from HEAD, and those that git does not know and does not ignore.

        Without virtual environments, which older versions of Python make without telling git to ignore them.
        """
        changed = self._changed("HEAD")
        new = _lines(git(self.root, "ls-files", "--others", "--exclude-standard", "-z"))
        environments = {PurePosixPath(path).parent for path in new if path.endswith("/pyvenv.cfg")}
        return changed, tuple(path for path in new if environments.isdisjoint(PurePosixPath(path).parents))

    def differing(self, commit: str) -> tuple[str, ...]:
        """Return the paths in which the working tree differs from *commit*, new ones included."""
        return (*self._changed(commit), *self.changes()[1])

    def _changed(self, commit: str) -> tuple[str, ...]:
        seen = _lines(git(self.root, "diff", "--name-only", "--no-renames", "-z", commit))
        return tuple(dict.fromkeys((*seen, *(path for path in self._hidden() if self._differs(path, commit)))))

    def _hidden(self) -> list[str]:
        """Return the files whose changes git was told not to look at: skip-worktree, or assume-unchanged."""
        marked = _lines(git(self.root, "ls-files", "-v", "-z"))
        paths = [line[2:] for line in marked if line[0] == "S" or line[0].islower()]
        return [path for path in paths if (self.root / path).is_file()]  # of a sparse checkout most are not there

    def _differs(self, path: str, commit: str) -> bool:
        try:
            stored = git(self.root, "rev-parse", "--verify", "--quiet", f"{commit}:{path}").strip()
        except GitError:
            return True
        return git(self.root, "hash-object", "--", path).strip() != stored

    def ignored(self, folder: Path) -> tuple[str, ...]:
        """Return what git ignores below *folder*, relative to the root; of a folder that it ignores only its name."""
        arguments = ("--others", "--ignored", "--exclude-standard", "--directory", "-z", "--", str(folder))
        return _lines(git(self.root, "ls-files", *arguments))

    def add_worktree(self, folder: Path, commit: str) -> None:
        """Check *commit* out in the new *folder*."""
        # No hook of the project runs: it would run for a checkout that nobody made.
        nowhere = f"core.hooksPath={os.devnull}"
        git(self.root, "-c", nowhere, "worktree", "add", "--detach", "--quiet", str(folder), commit)

    def forget_worktree(self, folder: Path) -> None:
        """Forget the worktree in *folder*, if it is one; those of others may be away for a while and stay."""
        with contextlib.suppress(GitError):
            git(self.root, "worktree", "remove", "--force", "--force", str(folder))


def open_repository(folder: Path) -> Repository:
    """Return the repository that *folder* is in.

    Raises:
        NoComparison: if it is in none, or git is missing.
    """
    try:
        return Repository(root=Path(git(folder, "rev-parse", "--show-toplevel").rstrip("\n")).resolve())
    except GitError as error:
        raise NoComparison(
            f"--base needs the history of the project: {error.what}",
            why="the base's code is taken from git",
            fix="call it inside a clone of the project, or compare two environments: --base-python PYTHON",
        ) from None


def without_hook(variables: dict[str, str]) -> dict[str, str]:
    """Return *variables* without what a git hook sets."""
    return {name: value for name, value in variables.items() if name not in _OF_HOOKS}


def git(folder: Path, *arguments: str, given: str = "", variables: Mapping[str, str] | None = None) -> str:
    """Return what git prints in *folder*.

    Args:
        folder: in a repository.
        arguments: of git.
        given: what it reads.
        variables: that it has besides those of this process.

    Raises:
        GitError: with what it said last, if it fails.

    """
    own = {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(variables or {})}
    try:
        done = subprocess.run(  # as bytes: the name of a file may hold what text mode takes for the end of a line
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            input=os.fsencode(given),
            env={**without_hook(dict(os.environ)), **own},
            check=False,
        )
    except OSError as error:
        raise GitError(f"git cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        said = os.fsdecode(done.stderr).strip().splitlines() or [f"git {arguments[0]} ended with {done.returncode}"]
        full = [line for line in said if _FULL in line or _UNWRITTEN in line]
        if full:
            raise GitError(full[0].removeprefix("error: "), fix=MAKE_ROOM)
        raise GitError(said[-1].removeprefix("fatal: "))
    return os.fsdecode(done.stdout)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.split("\0") if line)


def parents_within(folder: Path, top: Path) -> Iterator[Path]:
    """Yield *folder* and the folders above it, up to *top*."""
    for at in (folder, *folder.parents):
        yield at
        if at == top:
            return


def project_root(folder: Path, repository: Repository, *, marks: Sequence[str]) -> Path:
    """Return the nearest folder at or above *folder* that has one of the files *marks*; else the repository's root."""
    within = list(parents_within(folder, repository.root))
    return next((at for at in within if any((at / mark).is_file() for mark in marks)), repository.root)
